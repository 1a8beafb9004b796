"""harness.py - what a test is given: a box with a directory, programs and processes of its own.

A test is a function with @claim, named as what it claims, that takes the box. When it ends, however
it ends, the box ends every process below the test's own by its pid and removes the directory."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile

import load
import processes
from instance import LogSocket, Poold
from waiting import wait_until

NOBODY = 65534
IS_ROOT = os.geteuid() == 0

CLAIMS = []


class Skip(Exception):
    """The test cannot run here; the reason is its text."""


def claim(limit=30, root=False, needs=()):
    """Marks a test. limit: seconds; root: only as root; needs: programs that must be installed."""

    def mark(function):
        function.limit, function.root, function.needs = limit, root, needs
        CLAIMS.append(function)
        return function

    return mark


def refusing(names):
    """What poold is started by so that the kernel refuses it some calls (fixture/refuse.py)."""
    if os.uname().machine not in ("x86_64", "aarch64"):
        raise Skip(f"the filter is not written for {os.uname().machine}")
    fixture = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixture", "refuse.py")
    return (sys.executable, fixture, names)


class Box:
    """The world of one test."""

    def __init__(self, programs):
        self.programs = programs
        # Below the runner's own, which goes with the run; short, as runtime paths must be.
        self.directory = tempfile.mkdtemp(prefix="t.", dir=programs)
        os.chmod(self.directory, 0o755)
        # Workers are another user and write here.
        self.open = self.path("o")
        os.mkdir(self.open)
        os.chmod(self.open, 0o777)
        self.instances, self.loads, self.others = [], [], []
        self.port_next = 10000 + os.getpid() * 16 % 20000

    # --- names

    def path(self, name):
        return os.path.join(self.directory, name)

    def open_path(self, name):
        """Where workers may make and remove files."""
        return os.path.join(self.open, name)

    def program(self, name):
        return os.path.join(self.programs, name)

    def write(self, name, text, mode=0o644):
        """Replaces a file at once, as an editor should."""
        path = self.path(name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)
        return path

    def touch(self, name):
        """A file that a worker may remove."""
        path = self.open_path(name)
        with open(path, "w", encoding="utf-8"):
            pass
        return path

    def port(self):
        """A TCP port of 127.0.0.1 that nobody has; another test asks in another range."""
        while True:
            self.port_next += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self.port_next))
                    return self.port_next
                except OSError:
                    continue

    def address(self):
        return f"127.0.0.1:{self.port()}"

    def unix(self, name="s"):
        return f"unix:{self.path(name)}"

    # --- configurations

    def pool(self, *arguments, listen=None, **settings):
        """A pool of fixture_worker with these arguments; settings as the file has them."""
        pool = {"command": [self.program("fixture_worker"), *arguments], **settings}
        if listen:
            pool["listen"] = [listen] if isinstance(listen, str) else listen
        return pool

    def config(self, pools, uid=None):
        """A whole file. As root the workers are nobody, unless a pool says otherwise."""
        if IS_ROOT and uid is None:
            user = {"user": pwd.getpwuid(NOBODY).pw_name}
            pools = {name: {"identity": user, **pool} for name, pool in pools.items()}
        return {"pools": pools}

    # --- what runs

    def poold(self, pools, *, name="r", uid=None, logs=("stderr",), options=(), prefix=(),
              answering=True):
        """Starts poold over pools (a dictionary), waits until it answers."""
        instance = Poold(self, self.config(pools, uid), name=name, uid=uid, logs=logs,
                         options=options, prefix=prefix)
        self.instances.append(instance)
        return instance.wait_answering() if answering else instance

    def poold_raw(self, config, **options):
        """The same with a file as it is (text, or None: there already), without waiting."""
        instance = Poold(self, config, **options)
        self.instances.append(instance)
        return instance

    def load(self, address, clients=8, pause_us=2000, least=200, **options):
        """Clients that make a connection a request, or keep=True; the first one has been served on
        return."""
        wait_until(lambda: load.answers(address), what=f"an answer at {address}")
        running = load.Load(self.program("fixture_load"), address, clients, pause_us, least, **options)
        self.loads.append(running.process)
        return running

    def start(self, *argv, **options):
        """Another process of the test."""
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
        self.others.append(process)
        return process

    def log_socket(self, name="log"):
        return LogSocket(self.path(name))

    def read_pid(self, path):
        """The pid that a fixture writes to path, once it is there."""

        def content():
            try:
                with open(path, encoding="utf-8") as file:
                    return file.read().endswith("\n")
            except FileNotFoundError:
                return False

        wait_until(content, what=f"a pid in {path}")
        with open(path, encoding="utf-8") as file:
            return int(file.read())

    # --- the end

    def strangers(self):
        """Processes below the test that it did not start itself, zombies too."""
        own = {i.pid for i in self.instances} | {p.pid for p in self.loads + self.others}
        below = set()
        for process in self.others:
            below |= set(processes.descendants(process.pid))
        for instance in self.instances:
            if instance.process.poll() is None:
                below |= set(processes.descendants(instance.pid))
        return {pid: what for pid, what in processes.descendants(os.getpid()).items()
                if pid not in own | below}

    def end_orderly(self):
        """What runs when a test has not failed: every poold is stopped and looked through."""
        for instance in self.instances:
            if instance.process.poll() is None:
                instance.stop()

    def end(self):
        """Always: whatever runs is ended, the directory is removed. Returns who did not go."""
        left = processes.kill_descendants()
        shutil.rmtree(self.directory, ignore_errors=True)
        return left

    def story(self):
        """What a failed test prints: the log of each poold, and who is there."""
        parts = []
        for instance in self.instances:
            text = instance.log()
            parts.append(f"--- {instance.log_path}\n{text[-8000:]}")
            parts.append("--- processes\n" + "\n".join(
                f"{pid} {what}" for pid, what in processes.descendants(os.getpid()).items()))
        return "\n".join(parts)
