"""clients.py - what clients notice: requests failed over recycles, the slowest ones, throughput.

The same server three ways: by hand, by hand with its own way to renew itself (gunicorn's HUP, uWSGI's
chain reload, php-fpm's USR2 behind nginx), and under poold. Each is asked by CLIENTS clients of the
system tests' own load generator, first in peace, then while it is renewed again and again."""
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import process
from table import Row, ratio

CLIENTS = 4
PAUSE_US = 500  # between two requests of a client: the machine's CPUs serve clients and servers
APP = '''import os


def application(environ, start_response):
    body = b"pid=%d\\n" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''


class Server:
    """Something that answers on its address, can be renewed, and is stopped by pid."""
    signo = signal.SIGTERM
    needs = ()

    def __init__(self, tools, folder):
        self.tools, self.folder = tools, folder / type(self).__name__[:5]
        self.folder.mkdir()
        self.folder.chmod(0o755)
        (self.folder / "app.py").write_text(APP)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        self.popen, self.renewals = None, 0

    @classmethod
    def lacks(cls, tools):
        return [program for program in cls.needs
                if not shutil.which(program) and not (tools.build / program).exists()]

    def start(self):
        log = open(self.folder / "log", "wb")
        self.popen = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, start_new_session=True)
        log.close()
        process.wait_for(self.answers, 60, f"{self.name}: an answer")

    def answers(self):
        if self.popen.poll() is not None:
            raise ChildProcessError(f"{self.name} ended with status {self.popen.returncode}: "
                                    + (self.folder / "log").read_text()[-2000:])
        return self.ask() > 0

    def ask(self):
        """The pid that answers on a connection of its own; 0: nobody does."""
        host, port = self.address.split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: stream.recv(65536), b""))
        except OSError:
            return 0
        found = answer.partition(b"pid=")[2].split(b"\n")[0]
        return int(found) if found.isdigit() else 0

    def renew(self):
        """Asks for new workers, and waits until the one that answered before does not any more."""
        old = self.ask()
        self.ask_for_new()
        process.wait_for(lambda: process.start_time(old) == 0, 60, f"{self.name}: a new worker")
        self.renewals += 1

    def stop(self):
        if self.popen and not process.end(self.popen, {}, self.signo):
            print(f"  ({self.name} had to be killed)", flush=True)
        self.popen = None


def gunicorn_command(workers, *more):
    return ["gunicorn", "--preload", "--workers", workers, "--worker-class", "gthread", "--threads", "4",
            "--log-level", "warning", *more, "app:application"]


class Gunicorn(Server):
    name, needs = "gunicorn: HUP", ("gunicorn",)

    def command(self):
        return [word for word in gunicorn_command("2", "--bind", self.address) if word != "--preload"]

    def ask_for_new(self):
        self.popen.send_signal(signal.SIGHUP)


class Uwsgi(Server):
    name, needs, signo = "uWSGI: chain reload", ("uwsgi-core",), signal.SIGINT

    def command(self):
        return ["uwsgi-core", "--plugin", "python3", "--master", "--http-socket", self.address,
                "--wsgi-file", "app.py", "--processes", "2", "--lazy-apps", "--disable-logging",
                "--need-app", "--master-fifo", self.folder / "fifo"]

    def renew(self):
        """Asked again before the chain is complete it would not listen."""
        def completed():
            return (self.folder / "log").read_text().count("chain reloading complete")
        before = completed()
        (self.folder / "fifo").write_text("c")
        process.wait_for(lambda: completed() > before, 60, f"{self.name}: a completed chain")
        self.renewals += 1


class PhpFpm(Server):
    name, needs = "php-fpm: USR2 (behind nginx)", ("php-fpm8.2", "nginx")
    nginx = None

    def command(self):
        (self.folder / "index.php").write_text(
            '<?php $body = "pid=" . getmypid() . "\\n"; header("Content-Length: " . strlen($body)); echo $body;')
        user = "user = nobody\ngroup = nogroup\n" if os.geteuid() == 0 else ""
        owner = "listen.owner = nobody\n" if os.geteuid() == 0 else ""
        (self.folder / "fpm.conf").write_text(
            f"[global]\ndaemonize = no\nerror_log = /dev/stderr\nprocess_control_timeout = 30s\n"
            f"[www]\n{user}{owner}listen = {self.folder}/fpm.sock\npm = static\npm.max_children = 4\n")
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\npid {self.folder}/nginx.pid;\nerror_log stderr;\n"
            f"{'user nobody nogroup;' if os.geteuid() == 0 else ''}\nevents {{}}\nhttp {{\n"
            + "".join(f"  {kind}_temp_path {self.folder}/{kind};\n"
                      for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"  access_log off;\n  server {{ listen {self.address};\n    location / {{\n"
            f"      fastcgi_pass unix:{self.folder}/fpm.sock;\n"
            f"      fastcgi_param SCRIPT_FILENAME {self.folder}/index.php;\n"
            f"      fastcgi_param REQUEST_METHOD GET;\n    }}\n  }}\n}}\n")
        return ["php-fpm8.2", "-F", "-n", "-y", self.folder / "fpm.conf"]

    def start(self):
        with open(self.folder / "nginx.log", "wb") as log:
            self.nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", self.folder / "nginx.conf"],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)
        super().start()

    def ask_for_new(self):
        self.popen.send_signal(signal.SIGUSR2)

    def stop(self):
        super().stop()
        if self.nginx:
            process.end(self.nginx, {})


class Stock(Server):
    name, needs = "stock worker, by hand", ("poolworker",)

    def command(self):
        """systemd-socket-activate's part: the listener as descriptor 3, LISTEN_PID its own."""
        (self.folder / "activate.py").write_text(
            "import os, socket, sys\nhost, port = sys.argv[1].split(':')\n"
            "listener = socket.create_server((host, int(port)), backlog=1000)\n"
            "listener.setblocking(False)\nos.dup2(listener.fileno(), 3)\nos.set_inheritable(3, True)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n")
        return ["python3", "-S", "activate.py", self.address, self.tools.build / "poolworker"]


class Pool(Server):
    """A pool of poold's. Its workers are started from the folder, which every user may enter."""
    workers, pool = 2, {}

    def command(self):
        pool = {"listen": [self.address], "ready": "notify", "directory": str(self.folder),
                "workers": {"min": self.workers}, "output": "null", **self.pool_of()}
        if os.geteuid() == 0:
            pool["identity"] = {"user": "nobody"}
        (self.folder / "poold.json").write_text(json.dumps({"pools": {"web": pool}}))
        return [self.tools.build / "poold", "--config", self.folder / "poold.json", "--runtime-dir",
                self.folder / "run", "--state-dir", self.folder / "state", "--log", "stderr"]

    def renew(self):
        done = subprocess.run([self.tools.build / "poolctl", "--runtime-dir", self.folder / "run",
                               "recycle", "web", "--wait"], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise ChildProcessError(f"{self.name}: {done.stdout}{done.stderr}")
        self.renewals += 1


class StockPool(Pool):
    name, needs = "stock worker, poold", ("poolworker",)

    def pool_of(self):
        shutil.copy(self.tools.build / "poolworker", self.folder)
        return {"command": [str(self.folder / "poolworker")]}


class OneStockPool(StockPool):
    name, workers = "stock worker, poold", 1


class GunicornPool(Pool):
    name, needs = "gunicorn, poold", ("gunicorn",)

    def pool_of(self):
        return {"preset": "gunicorn", "command": gunicorn_command("1")}


class Clients:
    def __init__(self, tools, address, keep=False, pause_us=PAUSE_US):
        self.popen = subprocess.Popen(
            [tools.build / "test/fixture_load", address, str(CLIENTS), "120", str(pause_us), "1",
             "keep" if keep else "close"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self):
        """What the load generator counted."""
        out, _ = self.popen.communicate(timeout=60)  # closes its standard input: it ends
        if self.popen.returncode != 0:
            raise ChildProcessError(f"the clients ended with status {self.popen.returncode}")
        return json.loads(out)


def for_seconds(seconds, act):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        act()


def load_of(tools, server, seconds, keep, act, pause_us=PAUSE_US):
    clients = Clients(tools, server.address, keep, pause_us)
    try:
        for_seconds(seconds, act)
    finally:
        counts = clients.stop()
    return counts


def told(server, keep, steady, counts):
    failed = counts["requests"] - counts["served"]
    ways = "kept connections" if keep else "a connection a request"
    return (f"{server.name}, {ways}: {failed} of {counts['requests']:,} requests failed over "
            f"{server.renewals} renewals; p99.9 {counts['p999_us'] / 1000:.2f} ms, in peace "
            f"{steady['p999_us'] / 1000:.2f} ms" + (f" ({counts['failure']})" if failed else ""))


def over_recycles(tools):
    failures = Row("requests failed while renewed", "per 100,000", "poold: 0")
    slowest = Row("slowest request (p99.9), renewed : in peace", "x", "poold <= 1.2")
    here, peers = (StockPool, GunicornPool), (Gunicorn, Uwsgi, PhpFpm)
    worst = {"failed": None, "times": None}
    for kind, keep in itertools.product(here + peers, (False, True)):
        lacking = kind.lacks(tools)
        if lacking:
            failures.notes.append(f"{kind.name}: not measured, {', '.join(lacking)} is not there")
            continue
        folder = pathlib.Path(tools.folder / f"c{int(keep)}")
        folder.mkdir()
        folder.chmod(0o755)
        server = kind(tools, folder)
        try:
            server.start()
            steady = load_of(tools, server, tools.scale(6, 2), keep, lambda: time.sleep(0.1))
            counts = load_of(tools, server, tools.scale(10, 4), keep, server.renew)
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        failed = (counts["requests"] - counts["served"]) / counts["requests"] * 1e5
        times = counts["p999_us"] / max(1, steady["p999_us"])
        name = f"{kind.name}{', kept' if keep else ''}"
        failures.values[name], slowest.values[name] = {"value": failed}, {"value": times}
        failures.notes.append(told(server, keep, steady, counts))
        if kind in here:
            worst = {"failed": max(failed, worst["failed"] or 0), "times": max(times, worst["times"] or 0)}
    failures.judge(0, worst["failed"])
    slowest.judge(1.2, worst["times"])
    slowest.notes.append("renewals follow each other without a rest: far more often than anybody renews")
    return [failures, slowest]


def throughput(tools):
    """One worker each, in turns, so that both meet the same machine."""
    row = Row("throughput of the same server, 1 worker", "requests/s", "poold within noise of the floor",
              statistic="median")
    if Stock.lacks(tools):
        row.notes.append("not measured: poolworker was not built")
        return [row]
    folder = tools.folder / "t"
    folder.mkdir()
    folder.chmod(0o755)
    servers = {"floor": Stock(tools, folder), "poold": OneStockPool(tools, folder)}
    rates = {name: [] for name in servers}
    try:
        for server in servers.values():
            server.start()
        for _ in range(tools.scale(5, 3)):
            for name, server in servers.items():
                began = time.monotonic()
                counts = load_of(tools, server, tools.scale(2, 1), True, lambda: time.sleep(0.1), 0)
                rates[name].append(counts["served"] / (time.monotonic() - began))
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for name, values in rates.items():
        ordered = sorted(values)
        row.values[name] = {"median": ordered[len(ordered) // 2], "spread": [ordered[0], ordered[-1]],
                            "samples": len(ordered), "rounds": len(ordered)}
    row.ratio = ratio(row.values["poold"], row.values["floor"])
    row.met = row.values["poold"]["median"] >= row.values["floor"]["spread"][0]
    row.notes.append(f"{CLIENTS} kept connections without a pause; noise: the floor's own slowest round")
    return [row]


def of_clients(tools):
    return over_recycles(tools) + throughput(tools)
