"""process.py - what /proc says of processes: trees, memory, CPU; and their end, by pid."""
import ctypes
import os
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """What a killed supervisor leaves behind becomes our child, so that clean-up finds it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def read(path):
    """A file of /proc, or "" once the process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def start_time(pid):
    """Ticks since boot: with the pid, the process's identity. 0: it is gone."""
    return int((read(f"/proc/{pid}/stat").rpartition(")")[2].split() or [0] * 20)[19])


def command(pid):
    return read(f"/proc/{pid}/cmdline").split("\0")[:-1]


def children(pid):
    return [int(word) for thread in threads(pid)
            for word in read(f"/proc/{pid}/task/{thread}/children").split()]


def threads(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def descendants(pid):
    found, waiting = [], [pid]
    while waiting:
        for child in children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def cpu_seconds(pids):
    """CPU time of all threads of these processes, from the scheduler's own nanoseconds."""
    return sum(int((read(f"/proc/{pid}/task/{thread}/schedstat").split() or ["0"])[0])
               for pid in pids for thread in threads(pid)) / 1e9


def pss_kib(pid):
    """Proportional set size: pages shared by n processes count 1/n in each."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def unmapped_memfd_kib(pids):
    """Pages of memfds that the processes hold open and do not map (so that no PSS has them)."""
    size, mapped = {}, {}
    for pid in pids:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            try:
                if os.readlink(path).startswith("/memfd:"):
                    status = os.stat(path)
                    size[status.st_ino] = status.st_blocks / 2
            except OSError:
                continue
        inode = None
        for line in read(f"/proc/{pid}/smaps").splitlines():
            words = line.split()
            if "-" in words[0] and len(words) > 4 and words[4].isdigit():
                inode = int(words[4]) if "/memfd:" in line else None
            elif inode is not None and words[0] == "Pss:":
                mapped[inode] = mapped.get(inode, 0) + int(words[1])
    return sum(max(0, kib - mapped.get(inode, 0)) for inode, kib in size.items())


def wait_for(condition, seconds, what):
    """Polls every 5 ms; the condition's value, or an error that says what did not come."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


def end(popen, known, signo=signal.SIGTERM, seconds=30):
    """Stops a supervisor in order, then kills what is alive of its tree and of {pid: start time}
    that is known to be its own. True: nothing had to be killed."""
    known = dict(known)
    known.update((pid, start_time(pid)) for pid in descendants(popen.pid))
    if popen.poll() is None:
        popen.send_signal(signo)
    try:
        popen.wait(seconds)
    except subprocess.TimeoutExpired:
        known.update((pid, start_time(pid)) for pid in descendants(popen.pid))
        popen.kill()
        popen.wait(seconds)
    left = {pid: since for pid, since in known.items() if since and start_time(pid) == since}
    limit = time.monotonic() + seconds / 2
    while left and time.monotonic() < limit:  # runit's supervisors outlive their parent a little
        time.sleep(0.01)
        reap(left)
        left = {pid: since for pid, since in left.items() if start_time(pid) == since}
    kill(left)
    return not left


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    limit = time.monotonic() + 5
    while any(start_time(pid) for pid in pids) and time.monotonic() < limit:
        reap(pids)
        time.sleep(0.002)


def reap(pids):
    """Collects those that have become our children and ended."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
