"""deaths.py - what happens when workers die: the way to a replacement, and to an event."""
import json
import os
import selectors
import signal
import time

import process
from many import Crowd
from records import RecordFile, RecordPipe, now_ns
from supervisors import Floor, LeanFloor, OneLifePoold, Poold
from table import Row, percentile, summary

A_SECOND = 200  # deaths that are to be told
PACE = 0.010    # between two deaths: they come one at a time, and parked children are refilled
SETTLE = 1.2    # runit and s6 hold a worker back that died within a second of its start
OURS = (Floor, LeanFloor, Poold)
PEER_KILLS = 5  # a round: most peers need a second or more each


class Group:
    """Workers of one supervisor, with the pipe that they write to."""

    def __init__(self, kind, tools, count):
        self.supervisor = kind(tools, tools.folder)
        self.name = kind.name
        self.pipe = RecordPipe(tools.folder / f"{self.name}.records")
        self.supervisor.start(count, self.pipe.path)
        self.pids = [pid for _, pid in self.pipe.next(count, 60)]
        self.victims = iter(list(self.pids))  # each once: every death is its pool's first failure
        self.rounds = []

    def kill_one(self):
        victim, killed_at = next(self.victims), now_ns()
        os.kill(victim, signal.SIGKILL)
        came_at, pid = self.pipe.next(1, 30)[0]
        self.pids.append(pid)
        self.rounds[-1].append((came_at - killed_at) / 1e6)
        time.sleep(PACE)

    def stop(self):
        self.supervisor.stop(self.pids)
        self.pipe.close()


def replacement(tools):
    """SIGKILL to the first instruction of the successor, interleaved kill by kill: what else the
    machine does hits all of them alike."""
    row = Row("worker killed -> replacement runs", "ms", "<= 1.15 x floor")
    kills, rounds = tools.scale(200, 60), tools.scale(3, 2)
    groups = []
    try:
        for kind in OURS + tuple(tools.peers):
            groups.append(Group(kind, tools, rounds * (kills if kind in OURS else PEER_KILLS)))
        time.sleep(SETTLE)
        for _ in range(rounds):
            for group in groups:
                group.rounds.append([])
            for number in range(kills):
                for group in groups:
                    if type(group.supervisor) in OURS or number < PEER_KILLS:
                        group.kill_one()
    finally:
        for group in groups:
            group.stop()
    row.values = {group.name: summary(group.rounds) for group in groups}
    tails = [f"{kind.name} {percentile(sum(group.rounds, []), share):.2f}"
             for share in (0.1, 0.99) for kind, group in zip(OURS, groups)]
    row.notes = [f"SIGKILL to the successor's first instruction; {rounds} x {kills} kills, one at "
                 f"a time, of {rounds * kills} one-worker pools,",
                 "each killed once: a first failure is replaced at once, without back-off;",
                 f"peers: {rounds} x {PEER_KILLS} kills, of workers older than a second",
                 f"p10: {', '.join(tails[:len(OURS)])}; p99: {', '.join(tails[len(OURS):])}"]
    row.judge(1.15)
    return [row]


class Stream:
    """Deaths as a subscriber hears of them: [(arrived at, bytes)], read apart."""

    def __init__(self, fd, text):
        self.fd, self.text, self.chunks = fd, text, []

    def take(self):
        data = os.read(self.fd, 1 << 18)
        self.chunks.append((now_ns(), data))
        return bool(data)

    def arrivals(self):
        """{pid: when its death had arrived}."""
        found, rest = {}, b""
        for arrived, data in self.chunks:
            rest += data
            if not self.text:
                for at in range(0, len(rest) - len(rest) % 16, 16):
                    found[int.from_bytes(rest[at:at + 8], "little")] = arrived
                rest = rest[len(rest) - len(rest) % 16:]
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                event = json.loads(line).get("params", {})
                if event.get("name") == "worker-died":
                    found[event["fields"]["pid"]] = arrived
        return found


def kill_steadily(pids, stream, seconds, a_second):
    """Kills at a fixed rate while it listens; {pid: when}."""
    killed, start = {}, time.monotonic()
    selector = selectors.DefaultSelector()
    selector.register(stream.fd, selectors.EVENT_READ)
    for number, pid in enumerate(pids[:seconds * a_second]):
        due = start + number / a_second
        while (left := due - time.monotonic()) > 0:
            if selector.select(left) and not stream.take():
                raise ConnectionError("the stream of events ended")
        killed[pid] = now_ns()
        os.kill(pid, signal.SIGKILL)
    last = time.monotonic()
    while time.monotonic() < last + 2 and selector.select(0.5):
        stream.take()
    return killed


def measure_events(supervisor, pids, fd, text, seconds, a_second):
    stream, watched = Stream(fd, text), supervisor.pids()
    cpu, start = process.cpu_seconds(watched), time.monotonic()
    killed = kill_steadily(pids, stream, seconds, a_second)
    share = (process.cpu_seconds(watched) - cpu) / (time.monotonic() - start) * 100
    arrived = stream.arrivals()
    delays = [(arrived[pid] - at) / 1e6 for pid, at in killed.items() if pid in arrived]
    if len(delays) < len(killed):  # a count, not a timing: this is an error
        raise ValueError(f"{supervisor.name}: {len(killed) - len(delays)} of {len(killed)} deaths "
                         "were never told")
    return {**summary([delays]), "cpu_percent": share}


def floor_events(tools, count):
    """The floor of an event: 16 bytes in a pipe, from a process with as many children."""
    floor, record = Floor(tools, tools.folder), RecordFile(tools.folder / "floor-events.records")
    events = RecordPipe(tools.folder / "floor-events")
    floor.events = events.path
    try:
        floor.start(count, record.path)
        floor.wait_for(lambda: record.count() >= count, 60, f"{count} workers")
        return measure_events(floor, [pid for _, pid in record.all()], events.fd, False,
                              tools.scale(10, 4), A_SECOND)
    finally:
        floor.stop([pid for _, pid in record.all()])
        events.close()


def poold_events(tools, crowd):
    """On a running poold whose pools have not failed yet."""
    poold = crowd.supervisor
    with poold.connect() as client:
        poold.call(client, "events.subscribe")
        return measure_events(poold, crowd.pids(), client.fileno(), True, tools.scale(10, 4),
                              A_SECOND)


def events(tools, crowd):
    """crowd: replaces what dies. The target's share of a CPU is without replacements: that takes
    another poold, whose pools are disabled at their first failure."""
    rate = f"{crowd.count} workers, {A_SECOND} exits/s"
    latency = Row(f"exit -> event, {rate}, p99", "ms", "<= 10 ms", statistic="p99")
    cpu = Row("its CPU, with the replacements", "% of a core", "")
    alone = Row("its CPU, without replacements", "% of a core", "<= 5 %")
    latency.values["floor"] = floor_events(tools, crowd.count)
    latency.values["poold"] = poold_events(tools, crowd)
    crowd.stop()
    other = Crowd(OneLifePoold, tools, crowd.count)
    try:
        latency.values["without replacements"] = poold_events(tools, other)
    finally:
        other.stop()
    latency.judge(10, latency.values["poold"]["p99"])
    latency.notes = ["kill to arrival at a subscriber of the control socket (floor: at a pipe)"]
    latency.notes += [f"{name}: p50 {value['median']:.2f}, max {value['max']:.1f}, "
                      f"all {value['samples']} arrived"
                      for name, value in latency.values.items()]
    for name in ("floor", "poold"):
        cpu.values[name] = {"value": latency.values[name]["cpu_percent"]}
    cpu.ratio = round(cpu.values["poold"]["value"] / cpu.values["floor"]["value"], 3)
    cpu.notes = ["of keeper, engine and launcher, by the scheduler's account"]
    alone.values["poold"] = {"value": latency.values["without replacements"]["cpu_percent"]}
    alone.judge(5, alone.values["poold"]["value"])
    alone.notes = ["the first failure disables the pool: two events a death, both subscribed to"]
    return [latency, cpu, alone]
