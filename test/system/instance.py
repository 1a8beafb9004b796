"""instance.py - one poold under test: started, asked, stopped, and looked through when it has gone."""

import json
import os
import signal
import socket
import subprocess
import time

import processes
from control import Control, Refused
from waiting import Late, PATIENCE, wait_until


class Failed(AssertionError):
    """poolctl ended with another status than the test expects."""


class Poold:
    """poold with a configuration, a runtime and a state directory of its own."""

    def __init__(self, box, config, *, name="r", uid=None, logs=("stderr",), options=(),
                 prefix=()):
        """prefix: a program, with its arguments, that executes poold; it becomes uid by itself."""
        self.box, self.name, self.uid = box, name, uid
        self.config = box.path(f"{name}.json")
        # Another user makes its directories where every user may.
        self.runtime = box.path(name) if uid is None else box.open_path(name)
        self.log_path = box.path(f"{name}.log")
        self.listeners = []  # paths of unix listeners: gone when poold is
        if config is not None:
            self.write_config(config)
        self.arguments = [
            *prefix, box.program("poold"), "--config", self.config, "--runtime-dir", self.runtime,
            "--state-dir", self.runtime + ".state", *options,
        ]
        for target in logs:
            self.arguments += ["--log", target]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=(lambda: _become(uid)) if uid is not None and not prefix else None,
            )
        self.pid = self.process.pid

    def write_config(self, config):
        """config: a dictionary, or the file's text."""
        if isinstance(config, dict):
            self.listeners += filter(None, [config.get("control", {}).get("socket")])
            for pool in config.get("pools", {}).values():
                for address in pool.get("listen", []):
                    if address.startswith("unix:"):
                        self.listeners.append(address[5:])
            config = json.dumps(config, indent=1)
        self.box.write(os.path.basename(self.config), config)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    # --- asking

    def control_path(self):
        """Where the control socket is: a link in the runtime directory says so."""
        link = os.path.join(self.runtime, "control.link")
        return os.readlink(link) if os.path.islink(link) else os.path.join(self.runtime, "control")

    def control(self, timeout=10.0):
        return Control(self.control_path(), timeout)

    def call(self, method, **params):
        with self.control() as control:
            return control.call(method, **params)

    def wait_answering(self, limit=10):
        """Until the control socket answers; fails at once when poold ends before."""

        def is_answering():
            if self.process.poll() is not None:
                raise AssertionError(f"poold ended with {self.process.returncode}:\n{self.log()}")
            try:
                return self.call("server.version")
            except (OSError, ConnectionError, Refused):
                return None

        wait_until(is_answering, limit, "poold to answer on its control socket")
        return self

    def ctl(self, *arguments, status=0, timeout=60):
        """Runs poolctl; returns what it printed. Its exit status must be the expected one."""
        done = subprocess.run(
            [self.box.program("poolctl"), "--runtime-dir", self.runtime, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout * PATIENCE,
            check=False, env={**os.environ, "NO_COLOR": "1"},
        )
        if done.returncode != status:
            raise Failed(
                f"poolctl {' '.join(arguments)} ended with {done.returncode}, not {status}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout + done.stderr

    def supervisor(self):
        return self.call("server.status")

    def engine_pid(self):
        return self.supervisor()["engine_pid"]

    def kill_engine(self):
        """kill -9, then until another one answers. The first such death is made good at once, and so is
        one each second; those that follow each other faster are held back on purpose."""
        old = self.engine_pid()
        processes.kill(old)

        def another():
            try:
                return self.engine_pid() != old
            except (OSError, ConnectionError, Refused):
                return False

        wait_until(another, what="another engine")

    def pool(self, name):
        """A pool; waits while poold has just begun and has not come to it yet."""

        def described():
            try:
                return self.call("pool.get", pool=name)
            except Refused as refused:
                if refused.code != 69:
                    raise
                return None

        return wait_until(described, what=f"poold to come to pool {name}")

    def state(self, name):
        return self.pool(name)["state"]

    def workers(self, name, state=None):
        """Workers of a pool (in that state), in order of slot and generation."""
        return [w for w in self.pool(name)["workers"] if state is None or w["state"] == state]

    def worker(self, name):
        """The one ready worker of a pool, once there is one."""

        def one():
            ready = self.workers(name, "ready")
            return ready if len(ready) == 1 else None

        return wait_until(one, what=f"one ready worker of {name}")[0]

    def wait_state(self, name, state, limit=10):
        """Until the pool is in that state; what it is meanwhile stands in the message."""
        seen = {}

        def is_there():
            seen.clear()
            seen.update(self.pool(name))
            return seen["state"] == state

        try:
            wait_until(is_there, limit, f"pool {name} to be {state}")
        except Late as late:
            raise Late(f"{late}; it is {json.dumps(seen)}") from None
        return seen

    def pools(self):
        """Every pool with its workers, and the supervisor. None while poold has just begun."""
        reply = self.call("pool.list")
        complete = len(reply["pools"]) == reply["supervisor"]["pools"]
        return reply if complete else None

    def wait_all_started(self, limit=20):
        """Until every pool is started; returns the pids of the workers by pool."""

        def all_started():
            reply = self.pools()
            if not reply or not all(p["state"] == "started" for p in reply["pools"]):
                return None
            return {p["name"]: [w["pid"] for w in p["workers"]] for p in reply["pools"]}

        return wait_until(all_started, limit, "all pools to be started")

    # --- events

    def events(self, number=None, pool=None, **fields):
        """Events of the ring, oldest first: those of that number, pool and fields."""
        return [e for e in self.call("events.recent", count=4096)["events"]
                if matches(e, number, pool, fields)]

    def wait_event(self, number, pool=None, limit=10, **fields):
        """The first such event, as soon as it is there."""
        return wait_until(lambda: self.events(number, pool, **fields), limit,
                          f"event {number} of {pool or 'anyone'} {fields or ''}", pause=0.01)[0]

    def last_seq(self):
        events = self.call("events.recent", count=1)["events"]
        return events[-1]["seq"] if events else 0

    def keeping(self):
        """Whether the configuration in force is being stored as the last good one right now."""
        return any(b"--keep" in processes.read(pid, "cmdline").split(b"\0")
                   for pid in processes.descendants(self.pid))

    # --- descriptors

    def descriptors(self):
        """How many keeper and engine hold, when it has not changed for a while: children that wait
        for work are made some milliseconds after one was used, and a configuration is stored."""
        counts, since = None, time.monotonic()
        while counts is None or time.monotonic() - since < 0.1:
            with self.control() as control:
                status = control.call("server.status")
                if status["clients"]["connected"] != 1 or self.keeping():
                    continue
                now = (processes.descriptors(self.pid),
                       processes.descriptors(status["engine_pid"]))
            if now != counts:
                counts, since = now, time.monotonic()
        return counts

    def wait_descriptors(self, before):
        """Until both hold no more than before: what a test took has been given back."""
        seen = [None]

        def is_back():
            seen[0] = self.descriptors()
            return seen[0] == before

        try:
            wait_until(is_back, 5, "")
        except Late:
            raise AssertionError(f"descriptors of keeper and engine: {before} before, {seen[0]} now"
                                 ) from None

    # --- the end

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_end(self, limit=20, status=0):
        try:
            ended = self.process.wait(limit * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Late(f"poold did not end within {limit} s") from None
        assert ended == status, f"poold ended with {ended}, not {status}:\n{self.log()[-2000:]}"

    def stop(self, number=signal.SIGTERM, limit=20):
        """Ends it in order and looks whether anything is left."""
        self.send_signal(number)
        self.wait_end(limit)
        self.census()

    def census(self):
        """Nothing of this instance may be left: no process, no zombie, no file, no socket."""
        left = self.box.strangers()
        assert not left, f"processes left behind: {left}"
        left = processes.mentioning(self.runtime + "/")
        assert not left, f"processes left behind: {left}"
        if os.path.isdir(self.runtime):
            left = [os.path.join(at, name) for at, folders, files in os.walk(self.runtime)
                    for name in folders + files]
            assert not left, f"files left in the runtime directory: {left}"
        left = [path for path in self.listeners if os.path.lexists(path)]
        assert not left, f"sockets left behind: {left}"


def matches(event, number, pool, fields):
    if number is not None and event["id"] != number:
        return False
    if pool is not None and event["pool"] != pool:
        return False
    return all(event["fields"].get(key) == value or event.get(key) == value
               for key, value in fields.items())


def _become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


class LogSocket:
    """A datagram socket that takes what poold logs with --log PATH."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.lines = []

    def read(self):
        """Every line so far."""
        while True:
            try:
                self.lines.append(self.socket.recv(65536, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return self.lines

    def close(self):
        self.socket.close()
