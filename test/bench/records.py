"""records.py - where workers write when they came to life (bench_worker.c), and how to read it."""
import fcntl
import os
import select
import struct
import time

RECORD = struct.Struct("=QQ")  # bench_worker.c: nanoseconds, pid; bench_floor.c: pid, wait status
PIPE_BYTES = 1 << 20


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class RecordFile:
    """For many starts: appending wakes nobody, so the reader costs nothing meanwhile."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb"):
            os.chmod(path, 0o666)

    def count(self):
        return os.stat(self.path).st_size // RECORD.size

    def all(self):
        with open(self.path, "rb") as file:
            return list(RECORD.iter_unpack(file.read()))

    def close(self):
        pass


class RecordPipe:
    """For single deaths: the reader wakes at once. A FIFO, opened so that it never ends."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        os.chmod(path, 0o666)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # the kernel's default holds 4,096 records
        self.poll = select.poll()
        self.poll.register(self.fd, select.POLLIN)

    def take(self):
        """What is there now."""
        try:
            return list(RECORD.iter_unpack(os.read(self.fd, PIPE_BYTES)))
        except BlockingIOError:
            return []

    def next(self, count, seconds):
        """Exactly `count` records, or a TimeoutError."""
        found, limit = [], time.monotonic() + seconds
        while len(found) < count:
            left = limit - time.monotonic()
            if left <= 0 or not self.poll.poll(left * 1000):
                raise TimeoutError(f"{len(found)} of {count} records within {seconds} s")
            found += self.take()
        return found

    def close(self):
        os.close(self.fd)
