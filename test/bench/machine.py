"""machine.py - the machine and the versions that a result belongs to."""
import os
import platform
import resource
import shutil
import subprocess

from process import read


def describe(build):
    return {
        "cpu": next((line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
                     if line.startswith("model name")), platform.machine()),
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in read("/proc/cpuinfo"),
        "memory_mib": int(read("/proc/meminfo").split()[1]) // 1024,
        "kernel": platform.release(),
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
        "pid_max": int(read("/proc/sys/kernel/pid_max")),
        "load_before": os.getloadavg()[0],
        "user": "root" if os.geteuid() == 0 else "unprivileged",
        "python": platform.python_version(),
        "compiler": first_line([os.environ.get("CC", "cc"), "--version"]),
        "poold": first_line([build / "poolctl", "version"]) or "unknown",
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
        "peers": {name: package_version(name) for name in ("s6", "runit", "supervisor", "gunicorn",
                                                              "uwsgi-core", "php8.2-fpm", "nginx")},
    }


def is_usable_tmpfs(path):
    """Writable, and programs can be executed from it."""
    types = {words[1]: words[2] for words in map(str.split, read("/proc/mounts").splitlines())}
    return (types.get(path) == "tmpfs" and os.access(path, os.W_OK) and
            not os.statvfs(path).f_flag & os.ST_NOEXEC)


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None


def package_version(name):
    if not shutil.which("dpkg-query"):
        return None
    return first_line(["dpkg-query", "-W", "-f", "${Version}\n", name])
