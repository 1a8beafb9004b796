"""hold.py - how long the engine's loop keeps its clients waiting, seen from outside.

There is no clock inside the engine for this: bench_probe asks for server.version every
millisecond, beside a bare echo process, and the difference between the two is what the loop adds.
A round trip includes the wait for a CPU, so under load this is an upper limit of a callback."""
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


def row_of(name, results, target):
    row = Row(f"loop: {name}, p99.9", "ms", target, statistic="p999")
    row.values["poold"], row.values["floor"] = results["control"], results["echo"]
    row.notes = ["round trips of server.version on the control socket; floor: to an echo process"]
    row.notes += [f"{name}: p50 {value['median']:.2f}, p99 {value['p99']:.2f}, "
                  f"max {value['max']:.1f} of {value['samples']}"
                  for name, value in row.values.items()]
    return row


def idle(tools, crowd):
    probe = Probe(tools, crowd.supervisor.control)
    try:
        time.sleep(tools.scale(5, 2))
        return row_of(f"idle, {crowd.count} workers", probe.stop(), "")
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
        rows = [row_of(f"{tools.count} starts", poold.probe.stop(), "<= 1 ms")]
        pids, before = crowd.pids(), crowd.record.count()
        poold.probe = Probe(tools, poold.control)
        time.sleep(0.5)
        start = now_ns()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        killed_s = (now_ns() - start) / 1e9
        poold.wait_for(lambda: crowd.record.count() >= before + len(pids), 60, "all replaced")
        all_s = (max(at for at, _ in crowd.record.all()) - start) / 1e9
        rows.append(row_of(f"{tools.count} deaths at once", poold.probe.stop(), "<= 1 ms"))
        rows[-1].notes += [f"killed within {killed_s:.2f} s, all replaced after {all_s:.2f} s"]
        for row in rows:
            row.judge(1, row.values["poold"]["p999"])
        return rows
    finally:
        poold.probe.kill()
        crowd.stop()
