"""poolworker.py - what a worker written in Python says to poold, and hears from it.

One file, the standard library only, Python 3.9 and later: copy it beside your application. Started by
hand, without NOTIFY_SOCKET, every call works and says nothing. libpoolworker(3) tells of the messages;
this module has the same ones.

    worker = poolworker.Worker()        # once, before the server forks
    worker.on_drain = leave             # called when poold asks the worker to leave
    worker.attach()                     # in an asyncio loop; or worker.start() for servers of threads
    worker.ready()
    with worker.request():              # or the middleware WSGI(application), ASGI(application)
        ...

Who speaks. poold's worker is the process that poold started: it leads its session. Servers such as
gunicorn serve with children of that process. A child may say READY, STATUS, RECYCLE, that it is
unhealthy, and how many requests there are; STOPPING, answers to pings and the watchdog are the
worker's own. Counters are shared between the process that made the Worker and its forked children, so
each of them reports the requests of all. A Worker that is made in a child (gunicorn without --preload,
without a line in gunicorn.conf.py) knows its own requests only and reports none, unless it is made with
alone=True by a child that has no brothers.

Pings are answered where work is done: by the asyncio loop, or by the thread of start() as long as
can_serve() says so. Who calls neither attach() nor start() nor fileno() gives poold no address: such a
worker is not pinged, and it is drained by its stop signal, as gunicorn wants it.

Threads: every method may be called from any thread."""

import asyncio
import atexit
import contextlib
import errno
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
import weakref

__all__ = ["Worker", "WSGI", "ASGI", "current"]

PROTOCOL = 1  # the highest that this module speaks
MESSAGE_MAX = 4096  # bytes of a datagram
TEXT_MAX = 500  # bytes of STATUS= and RECYCLE=
COUNTS_EVERY = 0.5  # seconds: the least between two reports of the counters
COUNTS_SOON = 0.02  # ... and the first one after a rest
RETRY, RETRY_MAX = 0.02, 1.0  # after a message that was not taken, doubling
REST = 0.1  # of listeners, when there are no descriptors
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
FIRST_LISTENER = 3

NOTIFY, POOLD = 1, 2  # levels: a service manager that knows sd_notify(3); poold

# What is said where there is no poold, and what a child of the worker may say.
NOTIFY_KEYS = {"READY", "STOPPING", "STATUS", "WATCHDOG", "EXTEND_TIMEOUT_USEC"}
CHILD_KEYS = {"READY", "STATUS", "EXTEND_TIMEOUT_USEC", "REQUESTS", "ACTIVE", "RECYCLE"}

_current = None  # the Worker made last in this process, or inherited by a fork
_workers = weakref.WeakSet()


def current():
    """The Worker of this process: the one that was made last, here or before a fork; else a new one."""
    return _current if _current is not None else Worker()


class Worker:
    """The worker, and poold at the other end of its notify socket."""

    def __init__(self, *, clean=False, alone=False, environ=os.environ):
        """clean: takes what poold says out of the environment, so that programs which the worker
        executes cannot speak for it. alone: this child is the only one of its worker that counts."""
        global _current
        self.on_drain = raise_sigterm  # called with the seconds until KILL, or None
        self.can_serve = lambda: True  # asked at each ping that start() or fileno() brings
        self.draining = False
        self._address = _address_of(environ.get("NOTIFY_SOCKET", ""))
        self.level = 0
        if self._address:
            protocol = _number(environ.get("POOLD_PROTOCOL", ""), 0)
            self.level = POOLD if 1 <= protocol <= PROTOCOL else NOTIFY
        self._watchdog = _watchdog_of(environ) if self._address else None
        self._listeners = _listeners_of(environ)
        self._counters = _Counters()
        self._counts = alone or is_leader()
        self._reset()
        if clean:
            for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                         "LISTEN_PID", "LISTEN_FDNAMES", "POOLD_PROTOCOL"):
                environ.pop(name, None)
        _workers.add(self)
        _current = self

    def _reset(self):
        """What a process has of its own: nothing of it is shared with a child."""
        self._lock = threading.RLock()
        self._said = {}  # what is still to be said: the latest value of each key
        self._sent = (0, 0)  # requests and active, as poold knows them from us
        self._reported = -COUNTS_EVERY
        self._retry = 0
        self._timer = None  # whatever calls _flush later
        self._socket = None
        self._bound = False
        self._loop = None
        self._serving = None  # what serve() has begun
        self._is_leader = is_leader()
        self._warned = False

    # --- what the worker says

    def ready(self):
        """It serves."""
        self._say(READY="1")

    def status(self, text):
        """For people: status shows it."""
        self._say(STATUS=_text(text))

    def unhealthy(self):
        """Replace me: I am sick."""
        self._say(WATCHDOG="trigger")

    def recycle(self, reason):
        """Replace me when it is convenient."""
        self._say(RECYCLE=_text(reason))

    def extend(self, seconds):
        """More time, from now, for the start or the end that is under way; poold bounds it."""
        self._say(EXTEND_TIMEOUT_USEC=str(int(seconds * 1000000)))

    def alive(self):
        """Feeds the watchdog; attach() and start() do so by themselves."""
        self._say(WATCHDOG="1")

    def stopping(self):
        """It leaves by itself, or because of a signal. In a child of the worker: nothing."""
        self.draining = True
        if self._serving is not None:
            self._loop.call_soon_threadsafe(self._serving.stop)
        self._say(STOPPING="1")

    # --- requests

    def request_begin(self):
        self._count(0, 1)

    def request_end(self):
        self._count(1, -1)

    @contextlib.contextmanager
    def request(self):
        """Counts what is done inside."""
        self.request_begin()
        try:
            yield
        finally:
            self.request_end()

    @property
    def requests(self):
        """Ended since the start, in this process and those that share its counters."""
        return self._counters.total()[0]

    @property
    def active(self):
        """Begun and not ended."""
        return self._counters.total()[1]

    # --- listening sockets

    def listeners(self):
        """The sockets that poold handed over, as (name, socket): non-blocking, not inherited by programs
        that the worker executes."""
        made = []
        for number, name in enumerate(self._listeners):
            descriptor = FIRST_LISTENER + number
            os.set_inheritable(descriptor, False)
            made.append((name, socket.socket(fileno=os.dup(descriptor))))
        return made

    def serve(self, handle, listeners=None):
        """In the loop of attach(): a task handle(reader, writer) for each connection of the listeners that
        poold handed over (or of these sockets). Ends when the worker is to leave; wait with served().

        What asyncio.start_server does not: it leaves the queue as long as poold has made it, takes one
        connection at a time so that other workers get theirs, rests when there are no descriptors, and
        drops no connection that it has accepted when it is closed."""
        if listeners is None:
            listeners = [listener for _name, listener in self.listeners()]
        self._serving = _Serving(self._loop, handle, listeners)

    async def served(self):
        """Until the worker is to leave, and every connection has been handled."""
        await self._serving.stopped.wait()
        while self._serving.tasks:
            await asyncio.wait(self._serving.tasks)

    # --- hearing

    def fileno(self):
        """A descriptor to poll for reading; call dispatch() when it is readable. Who asks for it has
        promised to: poold pings from then on. -1 where there is nobody to listen to."""
        with self._lock:
            if self.level != POOLD or not self._is_leader:
                return -1
            if not self._bound:
                self._close()
                self._bound = True
            self._open()
            return self._socket.fileno()

    def dispatch(self):
        """Hears what poold has said: answers a ping, calls on_drain."""
        ping = drain = None
        while self._socket is not None and self._bound:
            try:
                message = _read(self._socket.recv(MESSAGE_MAX + 1, socket.MSG_DONTWAIT))
            except OSError:
                break
            ping = message.get("PING", ping)
            drain = message if message.get("DRAIN") == "1" else drain
        if ping is not None and self.can_serve():
            self._say(PONG=str(ping))
        if drain is not None:
            self._leave(drain.get("DEADLINE_USEC"))

    def _leave(self, deadline):
        first = not self.draining
        self.stopping()
        if first:
            self.on_drain(deadline / 1000000 if deadline is not None else None)

    def attach(self, loop=None):
        """Listens to poold in an asyncio loop, the running one: the answer to a ping proves that it turns.
        The watchdog is fed from there."""
        loop = loop or asyncio.get_running_loop()
        descriptor = self.fileno()
        self._loop = loop
        if descriptor >= 0:
            loop.add_reader(descriptor, self.dispatch)
        if self._watchdog and self._is_leader:
            self._feed_from(loop)
        return self

    def _feed_from(self, loop):
        self.alive()
        loop.call_later(self._watchdog, self._feed_from, loop)

    def detach(self):
        """Before the loop is closed: undoes attach(), and reports what is not reported yet."""
        with self._lock:
            if self._loop is not None and self._socket is not None:
                self._loop.remove_reader(self._socket.fileno())
            self._loop = None
            self._timer = None  # what the loop was to call is not called any more
            self._note_counts()
            self._flush()

    def start(self, threads=None):
        """Listens to poold in a thread, for servers that block. A thread of its own proves nothing, so say
        how many threads serve: a ping is answered as long as one of them is free, or has ended a request
        since the last ping. Without that, can_serve is asked."""
        if threads is not None:
            self.can_serve = self._moves_with(threads)
        if self._is_leader and (self.level == POOLD or self._watchdog):
            threading.Thread(target=self._run, name="poolworker", daemon=True).start()
        return self

    def _moves_with(self, threads):
        ended = None

        def moves():
            nonlocal ended
            before, ended = ended, self.requests
            return ended != before or self.active < threads

        return moves

    def _run(self):
        descriptor = self.fileno()
        poll = select.poll()
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        while True:
            if self._watchdog:
                self.alive()
            poll.poll(self._watchdog * 1000 if self._watchdog else None)
            self.dispatch()

    # --- sending

    def _say(self, **said):
        with self._lock:
            self._said.update(said)
            self._flush()

    def _count(self, ended, active):
        with self._lock:
            self._counters.add(ended, active)
            if self.level != POOLD:
                return
            if not self._counts:
                self._warn("a Worker that is made in a child of poold's worker reports no requests: "
                           "make it before the fork (--preload, gunicorn.conf.py), or with alone=True")
            elif self._timer is None:
                rest = self._reported + COUNTS_EVERY - time.monotonic()
                self._later(max(rest, COUNTS_SOON))

    def _warn(self, text):
        if not self._warned:
            print(f"poolworker: {text}", file=sys.stderr, flush=True)
        self._warned = True

    def _later(self, seconds):
        """Calls _flush then: from the loop when there is one, else from a thread that ends with it."""
        if self._loop is not None and not self._loop.is_closed():
            self._timer = self._loop
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._on_time)
        else:
            self._timer = threading.Timer(seconds, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self):
        """Reports, and looks again later: of two children that report at a time the one with the older
        sum may have been the last, and then has to say the newer one."""
        with self._lock:
            self._timer = None
            self._note_counts()
            reports = "REQUESTS" in self._said
            self._flush()
            if reports and self._timer is None:
                self._later(COUNTS_EVERY)

    def _at_exit(self):
        with self._lock:
            self._timer = self  # nothing can be done later any more
            self._note_counts()
            self._flush()

    def _note_counts(self):
        total = self._counters.total()
        if self._counts and total != self._sent:
            self._said.update(REQUESTS=str(total[0]), ACTIVE=str(total[1]))

    def _flush(self):
        """Says all that is to be said as one datagram; what is not taken stays."""
        if self._said:
            self._note_counts()
        said = {key: value for key, value in self._said.items() if self._may_say(key, value)}
        if not said:
            self._said.clear()
            return
        try:
            self._send("".join(f"{key}={value}\n" for key, value in said.items()).encode())
        except OSError:
            self._retry = min(self._retry * 2 or RETRY, RETRY_MAX)
            if self._timer is None:
                self._later(self._retry)
            return
        self._retry = 0
        if "REQUESTS" in said:
            self._sent = (int(said["REQUESTS"]), int(said["ACTIVE"]))
            self._reported = time.monotonic()
        self._said.clear()

    def _may_say(self, key, value):
        if not self._address or (self.level == NOTIFY and key not in NOTIFY_KEYS):
            return False
        return self._is_leader or key in CHILD_KEYS or (key, value) == ("WATCHDOG", "trigger")

    def _send(self, text):
        self._open()
        try:
            self._socket.send(text, socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOTCONN, errno.ECONNRESET):
                raise
            self._socket.connect(self._address)
            self._socket.send(text, socket.MSG_DONTWAIT)

    def _open(self):
        if self._socket is not None:
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        if self._bound:
            self._socket.bind("")  # a name of the kernel's choice, so that poold can answer
        with contextlib.suppress(OSError):  # nobody there yet: each message tries anew
            self._socket.connect(self._address)

    def _close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # --- forks

    def _before_fork(self):
        self._lock.acquire()
        self._counters.before_fork()

    def _after_fork_in_parent(self):
        self._lock.release()

    def _after_fork_in_child(self):
        self._counters.after_fork()
        self._close()
        self._reset()


class _Serving:
    """Listeners in an asyncio loop, and the connections that came from them."""

    def __init__(self, loop, handle, listeners):
        self.tasks, self.stopped = set(), asyncio.Event()
        self._loop, self._handle, self._listeners = loop, handle, listeners
        for listener in listeners:
            self._watch(listener)

    def _watch(self, listener):
        if not self.stopped.is_set():
            self._loop.add_reader(listener, self._accept, listener)

    def stop(self):
        self.stopped.set()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners = []

    def _accept(self, listener):
        try:
            connection, _ = listener.accept()
        except OSError as error:  # mostly EAGAIN: another worker was quicker
            if error.errno in SHORTAGES:
                self._loop.remove_reader(listener)
                self._loop.call_later(REST, self._watch, listener)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._serve(connection))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, connection):
        reader, writer = await asyncio.open_connection(sock=connection)
        await self._handle(reader, writer)


class _Counters:
    """Requests of a process and its forked children: each writes a slot of its own in shared memory, so
    that nobody needs a lock of all."""

    SLOTS = 16384  # processes in a worker's life; later ones are not counted

    def __init__(self):
        # Slot 0: how many there are. Each other: pid, ended, active.
        self._memory = mmap.mmap(-1, 3 * 8 * self.SLOTS)
        self._cells = memoryview(self._memory).cast("Q")
        self._slot = self._next = 1
        self._is_child = False
        self._begin()

    def _begin(self):
        self._cells[0] = max(self._cells[0], self._slot)
        self._cells[3 * self._slot] = os.getpid()

    def add(self, ended, active):
        if self._slot:
            at = 3 * self._slot
            self._cells[at + 1] += ended
            self._cells[at + 2] = max(self._cells[at + 2] + active, 0)

    def total(self):
        """Ended and active. What a process held that died in the middle is not active any more."""
        ended = active = 0
        for at in range(3, 3 * self._cells[0] + 3, 3):
            ended += self._cells[at + 1]
            if self._cells[at + 2] and _is_there(self._cells[at]):
                active += self._cells[at + 2]
        return ended, active

    def before_fork(self):
        """In the parent: the child's slot. Children of children have none: two could get the same."""
        if not self._is_child and self._next < self.SLOTS - 1:
            self._next += 1

    def after_fork(self):
        self._slot = 0 if self._is_child or self._next == self._slot else self._next
        self._is_child = True
        if self._slot:
            self._begin()


def _in_all(method):
    def call():
        for worker in list(_workers):
            method(worker)

    return call


os.register_at_fork(before=_in_all(Worker._before_fork),
                    after_in_parent=_in_all(Worker._after_fork_in_parent),
                    after_in_child=_in_all(Worker._after_fork_in_child))
atexit.register(_in_all(Worker._at_exit))


# --- middleware


class WSGI:
    """Counts the requests of a WSGI application, each until the server has taken its answer. unhealthy:
    asked after each request; True lets the worker be replaced."""

    def __init__(self, application, worker=None, unhealthy=None):
        self.application, self.unhealthy = application, unhealthy
        self.worker = worker or current()

    def __call__(self, environ, start_response):
        self.worker.request_begin()
        try:
            answer = self.application(environ, start_response)
        except BaseException:
            self._end()
            raise
        # A file that the server sends by itself must stay what it is for the server to see that.
        if isinstance(answer, environ.get("wsgi.file_wrapper", ())):
            answer.close = _Answer(answer, self._end, getattr(answer, "close", None)).close
            return answer
        return _Answer(answer, self._end, getattr(answer, "close", None))

    def _end(self):
        self.worker.request_end()
        if self.unhealthy is not None and self.unhealthy():
            self.worker.unhealthy()


class _Answer:
    """What an application returned, with something to do when the server closes it."""

    def __init__(self, answer, end, close):
        self._answer, self._end, self._close = answer, end, close

    def __iter__(self):
        return iter(self._answer)

    def __len__(self):  # servers know the length of an answer that has one part
        return len(self._answer)

    def close(self):
        end, self._end = self._end, None
        try:
            if self._close is not None:
                self._close()
        finally:
            if end is not None:
                end()


class ASGI:
    """Counts the requests and web sockets of an ASGI application; and when it has started, listens to
    poold in the server's loop and says READY. Told to leave, the process gets SIGTERM, which every
    ASGI server takes as the wish for an orderly end. unhealthy: as in WSGI."""

    def __init__(self, application, worker=None, unhealthy=None):
        self.application, self.unhealthy = application, unhealthy
        self.worker = worker or current()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        try:
            with self.worker.request():
                await self.application(scope, receive, send)
        finally:
            if self.unhealthy is not None and self.unhealthy():
                self.worker.unhealthy()

    async def _live(self, scope, receive, send):
        """Applications need not know of lifespan: they return, or raise, and this answers for them."""
        said = set()

        async def note(message):
            said.add(message["type"])
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.worker.attach()
                self.worker.ready()

        try:
            await self.application(scope, receive, note)
        except Exception:
            if said:
                raise
        if not said:
            await note({"type": "lifespan.startup.complete"})
            while (await receive())["type"] != "lifespan.shutdown":
                pass
            await note({"type": "lifespan.shutdown.complete"})
        self.worker.stopping()
        self.worker.detach()


# --- the environment


def is_leader():
    """Whether this process is poold's worker itself: poold starts each in a session of its own."""
    return os.getsid(0) == os.getpid()


def raise_sigterm(_seconds=None):
    """The server's own orderly end."""
    os.kill(os.getpid(), signal.SIGTERM)


def _address_of(path):
    """The address of NOTIFY_SOCKET; None: there is nobody to talk to."""
    if not path:
        return None
    if path[0] not in "/@" or len(path) < 2 or len(os.fsencode(path)) >= 108:
        raise ValueError(f"NOTIFY_SOCKET is no address: {path!r}")
    return "\0" + path[1:] if path[0] == "@" else path


def _watchdog_of(environ):
    """Seconds between two signs of life; None: nobody waits for them."""
    usec = _number(environ.get("WATCHDOG_USEC", ""), 0)
    pid = environ.get("WATCHDOG_PID", str(os.getpid()))
    return usec / 2000000 if usec and pid == str(os.getpid()) else None


def _listeners_of(environ):
    """The names of the listeners that were handed over to this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = min(_number(environ.get("LISTEN_FDS", ""), 0), 64)
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return (names + [""] * count)[:count]


def _number(text, fallback):
    """A whole number of 64 bits."""
    is_number = text.isascii() and text.isdigit() and len(text) < 25 and int(text) < 2 ** 64
    return int(text) if is_number else fallback


def _text(text):
    """One line of at most TEXT_MAX bytes."""
    line = " ".join(str(text).replace("\0", " ").splitlines())
    return line.encode("utf-8", "replace")[:TEXT_MAX].decode("utf-8", "ignore")


def _read(datagram):
    """The keys of a message of poold; {} when it is malformed."""
    message = {}
    if len(datagram) > MESSAGE_MAX:
        return {}
    for line in datagram.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if not equals or not key:
            return {}
        if key in ("PING", "DEADLINE_USEC"):
            message[key] = _number(value, None)
            if message[key] is None:
                return {}
        else:
            message[key] = value
    return message


def _is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
