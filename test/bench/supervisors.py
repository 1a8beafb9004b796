"""supervisors.py - everything that can keep workers alive: the floor, poold, and the peers.

Each has a name, starts `count` workers that write to one record, and is stopped by pid."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import process


class Supervisor:
    signo = signal.SIGTERM

    def __init__(self, tools, folder):
        self.tools, self.folder = tools, pathlib.Path(folder) / f"{self.name}-{id(self):x}"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.popen, self.log = None, open(self.folder / "log", "wb")

    def start(self, count, record):
        self.prepare(count, record)
        environment = {"PATH": os.environ["PATH"], "BENCH_RECORD": str(record)}
        self.popen = subprocess.Popen(self.command(count), env=environment, cwd=self.folder,
                                      stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                      start_new_session=True)

    def prepare(self, count, record):
        """Writes what the supervisor reads."""

    def pids(self):
        """The supervising processes, without the workers and what only waits to become one."""
        every = [self.popen.pid] + process.descendants(self.popen.pid)
        return [pid for pid in every if not self.is_worker(pid)]

    def is_worker(self, pid):
        """Workers are the only processes of one static program that are called so."""
        return process.read(f"/proc/{pid}/comm").strip() in ("bench_worker", "run")

    def wait_for(self, condition, seconds, what):
        """As process.wait_for, but ends with what the supervisor said when it has ended."""
        def reached_or_ended():
            if self.popen.poll() is not None:
                said = (self.folder / "log").read_text(errors="replace").strip()[-2000:]
                raise ChildProcessError(f"{self.name} ended with status {self.popen.returncode} "
                                        f"while waiting for {what}: {said}")
            return condition()
        return process.wait_for(reached_or_ended, seconds, f"{self.name}: {what}")

    def stop(self, known=()):
        if self.popen:
            if not process.end(self.popen, {pid: process.start_time(pid) for pid in known},
                               self.signo):
                print(f"  ({self.name} had to be killed)", flush=True)
            self.popen.stdin.close()
            self.popen = None
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Floor(Supervisor):
    name, options = "floor", []
    events = None  # a FIFO for deaths

    def command(self, count):
        return [self.tools.floor, *self.options, str(count), self.tools.worker,
                *([self.events] if self.events else [])]


class LeanFloor(Floor):
    """Shares the table of descriptors with its child: see bench_floor.c."""
    name, options = "lean floor", ["--lean"]


class Poold(Supervisor):
    name = "poold"
    failure = {"rapid_fail": False}

    @property
    def control(self):
        return str(self.folder / "run" / "control")

    def prepare(self, count, record):
        pool = {"command": [str(self.tools.worker)], "environment": {"BENCH_RECORD": str(record)},
                "failure": self.failure}
        if os.geteuid() == 0:
            pool["identity"] = {"user": "nobody"}
        pools = {f"pool{i}": pool for i in range(count)}
        (self.folder / "poold.json").write_text(json.dumps({"pools": pools}))

    def command(self, count):
        return [self.tools.build / "poold", "--config", self.folder / "poold.json", "--runtime-dir",
                self.folder / "run", "--state-dir", self.folder / "state", "--log", "stderr"]

    def status(self):
        done = subprocess.run([self.tools.build / "poolctl", "--json", "--runtime-dir",
                               self.folder / "run", "status"], capture_output=True, timeout=30)
        readable = done.returncode in (0, 3) and done.stdout
        return json.loads(done.stdout) if readable else {"pools": []}

    def all_started(self, count):
        pools = self.status()["pools"]
        return len(pools) == count and all(pool["state"] == "started" for pool in pools)

    def parts(self):
        """{role: [pid]}: keeper, engine, launcher, and parked children, which are workers to be."""
        found = {"keeper": [self.popen.pid], "engine": [], "launcher": [], "parked": []}
        helpers = []
        for pid in process.children(self.popen.pid):
            if self.is_worker(pid):
                continue
            program = os.path.basename((process.command(pid) or [""])[0])
            if program == "poold-engine":
                found["engine"].append(pid)
            else:
                helpers.append(pid)
        helpers.sort(key=process.start_time)  # parked children are the launcher's copies
        found["launcher"], found["parked"] = helpers[:1], helpers[1:]
        return found

    def pids(self):
        parts = self.parts()
        return parts["keeper"] + parts["engine"] + parts["launcher"]

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(self.control)
        return client

    def call(self, client, method, **parameters):
        """One request, its reply unread."""
        client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                   "params": parameters}).encode() + b"\n")


class OneLifePoold(Poold):
    """Its pools are disabled at their first failure: a death is told, and nothing follows."""
    failure = {"rapid_fail": True, "max_failures": 1}


class ServiceFolders(Supervisor):
    """s6 and runit: a folder a service, with the program as `run`."""

    def prepare(self, count, record):
        for i in range(count):
            service = self.folder / "services" / f"worker{i}"
            service.mkdir(parents=True)
            (service / "run").symlink_to(self.tools.worker)


class S6(ServiceFolders):
    name, program = "s6", "s6-svscan"

    def command(self, count):
        return [self.program, "-c", str(max(count, 10)), self.folder / "services"]


class Runit(ServiceFolders):
    name, program = "runit", "runsvdir"
    signo = signal.SIGHUP  # TERM would leave every runsv behind

    def command(self, count):
        return [self.program, self.folder / "services"]


class Supervisord(Supervisor):
    name, program = "supervisord", "supervisord"

    def prepare(self, count, record):
        (self.folder / "supervisord.conf").write_text(
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            f"pidfile={self.folder}/pid\nminfds=10000\n"
            f"[program:worker]\ncommand={self.tools.worker}\nnumprocs={count}\n"
            f"process_name=%(program_name)s%(process_num)d\n"
            f"autorestart=true\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n")

    def command(self, count):
        return [self.program, "-n", "-c", self.folder / "supervisord.conf"]


def installed_peers():
    """(peers that are there, names of those that are not)."""
    every = (S6, Runit, Supervisord)
    there = [peer for peer in every if shutil.which(peer.program)]
    return there, [peer.name for peer in every if peer not in there]
