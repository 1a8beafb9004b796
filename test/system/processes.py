"""processes.py - what /proc says of processes: who is whose child, what they hold, how they end."""

import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Whoever loses its parent below us becomes our child: so nothing can hide from the census."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def stat(pid):
    """(name, state, parent), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    rest = text[text.rindex(")") + 2 :].split()
    return name, rest[0], int(rest[1])


def state(pid):
    """The state's letter ('Z': a zombie); "" when there is no such process."""
    seen = stat(pid)
    return seen[1] if seen else ""


def is_alive(pid):
    return state(pid) not in ("", "Z", "X")


def descendants(pid):
    """Every process below pid, zombies too: {pid: (name, state, parent)}."""
    children = {}
    seen = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            what = stat(int(entry))
            if what:
                seen[int(entry)] = what
                children.setdefault(what[2], []).append(int(entry))
    found, waiting = {}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found[child] = seen[child]
                waiting.append(child)
    return found


def read(pid, name):
    """One file of /proc/PID as bytes; b"" when it cannot be read any more."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def environment(pid):
    pairs = read(pid, "environ").decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def status(pid):
    """The fields of /proc/PID/status."""
    lines = read(pid, "status").decode(errors="replace").splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines if ":" in line)}


def descriptors(pid):
    """How many descriptors the process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def mentioning(text):
    """Processes whose environment or command line names text: [(pid, name)]."""
    wanted, found = text.encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            if wanted in read(entry, "environ") or wanted in read(entry, "cmdline"):
                seen = stat(int(entry))
                if seen and seen[1] != "Z":
                    found.append((int(entry), seen[0]))
    return found


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def reap(keep=()):
    """Takes the status of every dead child of ours but those in keep (somebody else waits for them).
    Returns {pid: name} of those that were taken."""
    taken = {}
    for pid, (name, letter, parent) in descendants(os.getpid()).items():
        if parent == os.getpid() and letter == "Z" and pid not in keep:
            try:
                os.waitpid(pid, os.WNOHANG)
                taken[pid] = name
            except ChildProcessError:
                pass
    return taken


def kill_descendants(limit=10):
    """Ends everything below us, by pid, until nothing is left. Returns who did not go."""
    deadline = time.monotonic() + limit
    while True:
        left = descendants(os.getpid())
        if not left or time.monotonic() > deadline:
            return left
        for pid, (_, letter, _) in left.items():
            if letter != "Z":
                kill(pid)
        reap()
        time.sleep(0.005)


class Frozen:
    """Every thread of a process but the first, stopped until the end of the block: one that writes is
    then as one whose disk does not answer. OSError where nobody may trace."""

    PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
    WALL = 0x40000000

    def __init__(self, pid):
        self.threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long] * 4

    def trace(self, request, thread):
        if self.libc.ptrace(request, thread, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace of thread {thread}")

    def __enter__(self):
        for thread in self.threads:
            self.trace(self.PTRACE_SEIZE, thread)
            self.trace(self.PTRACE_INTERRUPT, thread)
            os.waitpid(thread, self.WALL)
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            try:
                self.trace(self.PTRACE_DETACH, thread)
            except OSError:  # it has ended, but not for who traces it
                os.waitpid(thread, self.WALL)
