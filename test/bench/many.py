"""many.py - thousands of one-worker pools: how fast they come, what they cost once they are up."""
import time

import process
from records import RecordFile, now_ns
from supervisors import Floor, LeanFloor, Poold
from table import Row, summary

PEER_SERVICES = 500


class Crowd:
    """`count` workers of one supervisor, up; with what it took."""

    def __init__(self, kind, tools, count):
        self.count = count
        self.record = RecordFile(tools.folder / f"{kind.name}-{now_ns()}.records")
        self.supervisor = kind(tools, tools.folder)
        started = now_ns()
        try:
            self.supervisor.start(count, self.record.path)
            self.supervisor.wait_for(lambda: self.record.count() >= count, 90, f"{count} workers")
            self.last_s = (max(at for at, _ in self.record.all()) - started) / 1e9
            self.status_s = None
            if issubclass(kind, Poold):
                self.supervisor.wait_for(lambda: self.supervisor.all_started(count), 60,
                                         "status with all started")
                self.status_s = (now_ns() - started) / 1e9
        except BaseException:
            self.stop()
            raise

    def pids(self):
        return [pid for _, pid in self.record.all()]

    def stop(self):
        """A second time it does nothing."""
        self.supervisor.stop(self.pids())
        self.record.close()


def starts(tools, keep):
    """All up, interleaved; the last poold is given to `keep` before it is stopped."""
    up = Row(f"{tools.count} one-worker pools up", "s", "<= 1.2 x floor")
    rate = Row("the same, as a rate", "workers/s", "")
    status = Row("... until `poolctl status` says all started", "s", "")
    kinds = (Floor, LeanFloor, Poold)
    times, said, last = {kind.name: [] for kind in kinds}, [], tools.scale(3, 1) - 1
    for number in range(last + 1):
        for kind in kinds:
            crowd = Crowd(kind, tools, tools.count)
            try:
                times[kind.name].append([crowd.last_s])
                if kind is Poold:
                    said.append([crowd.status_s])
                    if number == last:
                        keep(crowd)
            finally:
                crowd.stop()
    for name, rounds in times.items():
        up.values[name] = summary(rounds)
        rate.values[name] = summary([[tools.count / s for s in samples] for samples in rounds])
    status.values["poold"] = summary(said)
    up.judge(1.2)
    up.notes = ["from exec of the supervisor to the last worker's first instruction;",
                "poold reads its file first; the lean floor does not copy its table of descriptors"]
    for kind in tools.peers:
        crowd = Crowd(kind, tools, tools.scale(PEER_SERVICES, 100))
        try:
            name = f"{kind.name}, {crowd.count} services"
            rate.values[name] = {"value": crowd.count / crowd.last_s}
        finally:
            crowd.stop()
    rate.notes = ["peers with fewer services, as beside the name: only the rates compare"]
    return [up, rate, status]


def memory(tools, crowd, empty_kib):
    """PSS of the supervising processes some time after the start."""
    poold, row = crowd.supervisor, Row("memory a pool, supervising processes", "KiB", "<= 2.4 KiB")
    parts = poold.parts()
    kib = {role: sum(map(process.pss_kib, pids)) for role, pids in parts.items()}
    kib["memfds that nobody maps"] = process.unmapped_memfd_kib(poold.pids())
    parked = kib.pop("parked")
    total = sum(kib.values())
    row.values["poold"] = {"value": total / crowd.count, "total_kib": total, "parts_kib": kib,
                           "parked_kib": parked, "parked": len(parts["parked"]),
                           "empty_kib": empty_kib,
                           "beyond_empty": (total - empty_kib) / crowd.count}
    row.values["... beyond an empty configuration"] = {"value": (total - empty_kib) / crowd.count}
    row.judge(2.4, total / crowd.count)
    row.notes = ["PSS in KiB: " + ", ".join(f"{role} {value:,.0f}" for role, value in kib.items()) +
                 f"; an empty configuration {empty_kib:,.0f} in all",
                 f"not counted: {len(parts['parked'])} parked children, {parked} KiB; what the "
                 "kernel keeps for descriptors and processes"]
    return row


def empty_memory(tools):
    poold = Poold(tools, tools.folder)
    try:
        poold.start(0, tools.folder / "unused")
        poold.wait_for(lambda: poold.parts()["engine"] and answers(poold), 20, "its control socket")
        time.sleep(1)  # what start-up touches is touched
        return sum(map(process.pss_kib, poold.pids())) + process.unmapped_memfd_kib(poold.pids())
    finally:
        poold.stop()


def answers(poold):
    try:
        poold.connect().close()
        return True
    except OSError:
        return False


def idle(tools, crowd):
    """CPU of the supervising processes while nothing happens."""
    row = Row(f"idle CPU, {crowd.count} workers", "% of a core", "<= 0.5 %")
    seconds, watched = tools.scale(30, 5), crowd.supervisor.pids()
    cpu, start = process.cpu_seconds(watched), time.monotonic()
    time.sleep(seconds)
    share = (process.cpu_seconds(watched) - cpu) / (time.monotonic() - start) * 100
    row.values["poold"] = {"value": share}
    row.judge(0.5, share)
    row.notes = [f"over {seconds} s, by the scheduler's account; workers that speak no protocol, "
                 "so none is pinged"]
    return row


def listing(tools, crowd):
    """One large reply of the control socket."""
    row = Row(f"pool.list of {crowd.count} pools, p99", "ms", "<= 50 ms", statistic="p99")
    samples, size = [], 0
    with crowd.supervisor.connect() as client:
        for _ in range(tools.scale(50, 20)):
            start, data = now_ns(), b"-"
            crowd.supervisor.call(client, "pool.list")
            size = 0
            while not data.endswith(b"\n"):
                data = client.recv(1 << 18)
                if not data:
                    raise ConnectionError("the control socket closed in mid-reply")
                size += len(data)
            samples.append((now_ns() - start) / 1e6)
    row.values["poold"] = summary([samples])
    row.judge(50, row.values["poold"]["p99"])
    row.notes = [f"request to last byte of {size / 1e6:.1f} MB; "
                 f"median {row.values['poold']['median']:.1f} ms"]
    return row
