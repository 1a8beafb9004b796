"""hold.py - how long the engine's one thread is held, by its own account, and what a client sees of it.

The engine measures each callback by the clock and by the CPU time of its thread (server.status,
"loop"). Beside it, bench_probe asks for server.version every millisecond, and a bare echo process
as well: a round trip includes the wait for a CPU, of the engine and of the probe."""
import json
import os
import signal
import subprocess
import time

from many import Crowd
from records import now_ns
from supervisors import Poold
from table import Row, summary

LIMIT_MS = 60000


class Probe:
    def __init__(self, tools, control):
        self.popen = subprocess.Popen([tools.probe, control, str(LIMIT_MS)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def stop(self):
        """{"control": ..., "echo": ...}, in milliseconds."""
        out, _ = self.popen.communicate(timeout=60)  # closes its standard input: it ends
        samples = {"control": [], "echo": []}
        for line in out.splitlines():
            name, microseconds = line.split()
            samples[name].append(int(microseconds) / 1000)
        if self.popen.returncode != 0 or not samples["control"]:
            raise ConnectionError(f"the probe ended with status {self.popen.returncode}")
        return {name: summary([values]) for name, values in samples.items()}

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


def row_of(name, results):
    row = Row(f"control round trip: {name}, p99.9", "ms", "", statistic="p999")
    row.values["poold"], row.values["floor"] = results["control"], results["echo"]
    row.notes = ["round trips of server.version on the control socket; floor: to an echo process"]
    row.notes += [f"{name}: p50 {value['median']:.2f}, p99 {value['p99']:.2f}, "
                  f"max {value['max']:.1f} of {value['samples']}"
                  for name, value in row.values.items()]
    return row


# --- by the engine's own account


def loop_of(poold):
    """The histograms so far: {kind: {clock: {limit in ms: count}}}."""
    with poold.connect() as client:
        poold.call(client, "server.status")
        line = b""
        while not line.endswith(b"\n"):
            data = client.recv(1 << 18)
            if not data:
                raise ConnectionError("the control socket closed in mid-reply")
            line += data
    loop = json.loads(line)["result"]["loop"]
    return {kind: {clock: dict(map(tuple, told[clock]["steps"])) for clock in ("held", "cpu")}
            for kind, told in loop.items()}


def difference(after, before):
    """Summary of what came in between, each value at most an eighth too high."""
    steps = sorted((limit, count - before.get(limit, 0)) for limit, count in after.items())
    steps = [(limit, count) for limit, count in steps if count > 0]
    total = sum(count for _, count in steps)

    def share(wanted):
        seen = 0
        for limit, count in steps:
            seen += count
            if seen >= total * wanted:
                return limit
        return 0

    return {"median": share(0.5), "p99": share(0.99), "p999": share(0.999), "max": share(1),
            "samples": total, "rounds": 1}


def holds(name, kind, statistic, target, most, after, before):
    """One row: what passed by the clock is judged, what the thread used stands beside it."""
    row = Row(name, "ms", target, statistic=statistic)
    row.values["poold"] = difference(after[kind]["held"], before.get(kind, {}).get("held", {}))
    row.values["... its CPU time"] = difference(after[kind]["cpu"],
                                                before.get(kind, {}).get("cpu", {}))
    row.judge(most, row.values["poold"][statistic])
    row.notes = [f"{clock}: p50 {value['median']:.3f}, p99 {value['p99']:.3f}, p99.9 "
                 f"{value['p999']:.3f}, max {value['max']:.1f} of {value['samples']}"
                 for clock, value in zip(("held", "CPU"), row.values.values())]
    return row


def callbacks(name, after, before):
    return holds(f"longest callback: {name}, p99.9", "callbacks", "p999", "<= 1 ms", 1, after, before)


# --- the measurements


def idle(tools, crowd):
    probe = Probe(tools, crowd.supervisor.control)
    try:
        time.sleep(tools.scale(5, 2))
        return row_of(f"idle, {crowd.count} workers", probe.stop())
    finally:
        probe.kill()


class ProbedPoold(Poold):
    """Has the probe at it from its first instant."""

    def start(self, count, record):
        super().start(count, record)
        self.probe = Probe(self.tools, self.control)


def under_load(tools):
    """While all pools start, and while all their workers die at once."""
    crowd = Crowd(ProbedPoold, tools, tools.count)
    poold = crowd.supervisor
    try:
        begun = loop_of(poold)
        name = f"{tools.count} starts"
        rows = [callbacks(name, begun, {}), row_of(name, poold.probe.stop()),
                holds(f"a spawn blocks the loop: {name}, p99", "spawns", "p99", "<= 0.5 ms", 0.5,
                      begun, {})]
        pids, before = crowd.pids(), crowd.record.count()
        poold.probe = Probe(tools, poold.control)
        time.sleep(0.5)
        begun, start = loop_of(poold), now_ns()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        killed_s = (now_ns() - start) / 1e9
        poold.wait_for(lambda: crowd.record.count() >= before + len(pids), 60, "all replaced")
        all_s = (max(at for at, _ in crowd.record.all()) - start) / 1e9
        name = f"{tools.count} deaths at once"
        rows += [callbacks(name, loop_of(poold), begun), row_of(name, poold.probe.stop())]
        rows[-1].notes += [f"killed within {killed_s:.2f} s, all replaced after {all_s:.2f} s"]
        return rows
    finally:
        poold.probe.kill()
        crowd.stop()
