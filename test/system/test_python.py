"""test_python.py - worker/bindings/poolworker.py: what it says, who may say it, and its examples under
poold."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import threading
import time

import load
from harness import claim
from waiting import holds_for, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINDINGS = os.path.join(TOP, "worker", "bindings")
sys.path.insert(0, BINDINGS)
sys.dont_write_bytecode = True

import poolworker  # noqa: E402 pylint: disable=wrong-import-position


class FakePoold:
    """A notify socket that a test reads, and a Worker that speaks to it as if poold had started it."""

    def __init__(self, box, leader=True, environ=(), **options):
        poolworker.is_leader = lambda: leader
        self.path = box.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bind()
        self.address = None
        self.worker = poolworker.Worker(
            environ={"NOTIFY_SOCKET": self.path, "POOLD_PROTOCOL": "1", **dict(environ)}, **options)

    def bind(self):
        self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def hear(self):
        text, self.address = self.socket.recvfrom(8192)
        return text.decode()

    def hears_nothing(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(8192) is None
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(20)

    def say(self, text):
        self.socket.sendto(text if isinstance(text, bytes) else text.encode(), self.address)


@claim()
def each_call_of_the_python_worker_is_one_message(box):
    poold = FakePoold(box)
    for call, said in [
            (poold.worker.ready, "READY=1\n"),
            (lambda: poold.worker.status("busy\nSTOPPING=1"), "STATUS=busy STOPPING=1\n"),
            (lambda: poold.worker.status("ä" * 300), "STATUS=" + "ä" * 250 + "\n"),
            (lambda: poold.worker.recycle("old"), "RECYCLE=old\n"),
            (poold.worker.unhealthy, "WATCHDOG=trigger\n"),
            (lambda: poold.worker.extend(1.5), "EXTEND_TIMEOUT_USEC=1500000\n"),
            (poold.worker.alive, "WATCHDOG=1\n"),
            (poold.worker.stopping, "STOPPING=1\n")]:
        call()
        assert poold.hear() == said
    assert poold.hears_nothing()


@claim()
def without_poold_the_python_worker_says_nothing(_):
    worker = poolworker.Worker(environ={})
    worker.ready()
    with worker.request():
        assert worker.active == 1
    assert (worker.requests, worker.active, worker.fileno()) == (1, 0, -1)
    worker.dispatch()
    worker.start()
    assert poolworker.current() is worker


@claim()
def another_service_manager_hears_only_what_it_knows(box):
    poold = FakePoold(box, environ={"POOLD_PROTOCOL": ""})
    with poold.worker.request():
        poold.worker.recycle("old")
    poold.worker.ready()
    assert poold.hear() == "READY=1\n"
    assert poold.worker.fileno() == -1


@claim()
def requests_of_threads_are_reported_coalesced_and_exactly(box):
    poold = FakePoold(box)

    def serve():
        for _ in range(1000):
            with poold.worker.request():
                pass

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    messages = 1
    while poold.hear() != "REQUESTS=8000\nACTIVE=0\n":
        messages += 1
    assert messages < 200, "two a second, and this takes no minute and a half"
    for thread in threads:
        thread.join()
    holds_for(poold.hears_nothing, 0.7, "no report when nothing changes")


@claim()
def forked_children_are_counted_with_their_worker(box):
    poold = FakePoold(box)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            poolworker.is_leader = lambda: False
            for _ in range(5):
                with poold.worker.request():
                    pass
            poold.worker.request_begin()
            while True:
                time.sleep(1000)
        wait_until(lambda: "ACTIVE=1" in poold.hear(), what="the child's report")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert (poold.worker.requests, poold.worker.active) == (15, 0)
    with poold.worker.request():
        pass
    wait_until(lambda: poold.hear() == "REQUESTS=16\nACTIVE=0\n", what="the sum of all")


@claim()
def a_child_of_the_worker_does_not_speak_for_it(box):
    poold = FakePoold(box, leader=False, alone=True)
    poold.worker.stopping()
    poold.worker.alive()
    assert poold.worker.fileno() == -1
    poold.worker.status("I am a child")
    assert poold.hear() == "STATUS=I am a child\n"
    assert poold.address is None, "poold could ask it"
    poold.worker.unhealthy()
    assert poold.hear() == "WATCHDOG=trigger\n"
    with poold.worker.request():
        pass
    assert "REQUESTS=1\n" in poold.hear()


@claim()
def a_child_that_may_have_brothers_reports_no_requests(box):
    poold = FakePoold(box, leader=False)
    with poold.worker.request():
        pass
    poold.worker.status("served")
    assert poold.hear() == "STATUS=served\n"


@claim()
def a_poold_that_does_not_read_gets_the_latest_later(box):
    poold = FakePoold(box)
    filler, filled = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), 0
    try:
        while True:
            filler.sendto(b"X=1", socket.MSG_DONTWAIT, poold.path)
            filled += 1
    except BlockingIOError:
        pass
    poold.worker.ready()
    for number in range(1000):
        poold.worker.status(number)
    for _ in range(filled):
        assert poold.hear() == "X=1"
    assert poold.hear() == "READY=1\nSTATUS=999\n"
    filler.close()


@claim()
def after_a_refused_message_the_python_worker_connects_again(box):
    poold = FakePoold(box)
    poold.worker.ready()
    poold.bind()
    poold.worker.status("again")
    assert poold.hear() == "STATUS=again\n"


@claim()
def an_asyncio_worker_answers_pings_and_drains_once(box):
    poold = FakePoold(box)
    asked = []
    poold.worker.on_drain = asked.append

    async def live():
        loop = asyncio.get_running_loop()
        poold.worker.attach()
        poold.worker.ready()
        for say, heard in [(None, "READY=1\n"), ("PING=41\n", "PONG=41\n"),
                           ("nonsense", None), ("PING=x\n", None), (b"A" * 5000, None),
                           ("DRAIN=1\nDEADLINE_USEC=2500000\n", "STOPPING=1\n"),
                           ("DRAIN=1\n", "STOPPING=1\n"), ("PING=42\n", "PONG=42\n")]:
            if say is not None:
                poold.say(say)
            if heard is not None:
                assert await loop.run_in_executor(None, poold.hear) == heard
        poold.worker.detach()

    asyncio.run(live())
    assert asked == [2.5] and poold.worker.draining


@claim()
def a_worker_of_threads_answers_while_they_move(box):
    poold = FakePoold(box)
    poold.worker.start(threads=1)
    poold.worker.ready()
    assert poold.hear() == "READY=1\n"
    # Its thread has its address by now or gets it: what is said next has it.
    wait_until(lambda: poold.worker.status("x") or poold.hear() and poold.address,
               what="an address to answer to")
    poold.say("PING=1\n")
    wait_until(lambda: poold.hear() == "PONG=1\n", what="the answer")
    poold.worker.request_begin()
    poold.say("PING=2\n")  # since the last ping none has ended, and none is free
    poold.say("PING=3\n")
    assert "PONG" not in poold.hear()  # the report of the request
    poold.worker.request_end()
    wait_until(lambda: "ACTIVE=0" in poold.hear(), what="the report of its end")
    poold.say("PING=4\n")
    wait_until(lambda: poold.hear() == "PONG=4\n", what="the answer of a thread that moves")


@claim()
def the_watchdog_is_fed_from_the_loop(box):
    poold = FakePoold(box, environ={"WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())})

    async def live():
        poold.worker.attach()
        for _ in range(3):
            assert await asyncio.get_running_loop().run_in_executor(None, poold.hear) == "WATCHDOG=1\n"

    asyncio.run(live())


# --- middleware


@claim()
def wsgi_counts_a_request_until_its_answer_is_closed(box):
    poold = FakePoold(box)
    closed = []

    class Answer(list):
        def close(self):
            closed.append(poold.worker.active)

    sick = []
    application = poolworker.WSGI(lambda environ, start: Answer([b"a", b"b"]), poold.worker,
                                  unhealthy=lambda: bool(sick))
    answer = application({}, None)
    assert poold.worker.active == 1 and len(answer) == 2 and list(answer) == [b"a", b"b"]
    sick.append(True)
    answer.close()
    answer.close()
    assert closed[0] == 1 and (poold.worker.requests, poold.worker.active) == (1, 0)
    wait_until(lambda: "WATCHDOG=trigger" in poold.hear(), what="the sick worker's word")


@claim()
def wsgi_counts_a_request_that_raises_and_leaves_files_what_they_are(box):
    poold = FakePoold(box)

    class FileWrapper:  # as servers have it
        def close(self):
            pass

    def fail(environ, start):
        raise KeyError("broken")

    try:
        poolworker.WSGI(fail, poold.worker)({}, None)
        raise AssertionError("nothing was raised")
    except KeyError:
        assert (poold.worker.requests, poold.worker.active) == (1, 0)
    file = FileWrapper()
    answer = poolworker.WSGI(lambda environ, start: file, poold.worker)(
        {"wsgi.file_wrapper": FileWrapper}, None)
    assert answer is file and poold.worker.active == 1
    answer.close()
    assert poold.worker.active == 0


async def asgi_life(application, requests=0):
    """What an ASGI server does with an application; returns what it was told of lifespan."""
    told, inbox = [], asyncio.Queue()

    async def send(message):
        told.append(message["type"])

    life = asyncio.ensure_future(application({"type": "lifespan"}, inbox.get, send))
    await inbox.put({"type": "lifespan.startup"})
    while not told and not life.done():
        await asyncio.sleep(0.001)
    for _ in range(requests):
        await application({"type": "http"}, None, send)
    await inbox.put({"type": "lifespan.shutdown"})
    await life
    return told


@claim()
def asgi_says_ready_when_the_application_has_started(box):
    poold = FakePoold(box)

    async def application(scope, receive, send):
        while scope["type"] == "lifespan":
            what = (await receive())["type"]
            await send({"type": what + ".complete"})
            if what == "lifespan.shutdown":
                return
        assert poold.worker.active == 1

    told = asyncio.run(asgi_life(poolworker.ASGI(application, poold.worker), requests=3))
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"], told
    assert poold.hear() == "READY=1\n"
    assert poold.hear() == "STOPPING=1\nREQUESTS=3\nACTIVE=0\n"


@claim()
def asgi_answers_for_an_application_that_knows_no_lifespan(box):
    poold = FakePoold(box)

    async def application(scope, receive, send):
        assert scope["type"] == "http"

    told = asyncio.run(asgi_life(poolworker.ASGI(application, poold.worker), requests=1))
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"], told
    assert poold.hear() == "READY=1\n"


@claim()
def asgi_does_not_say_ready_when_the_application_has_failed(box):
    poold = FakePoold(box)

    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed"})

    asyncio.run(asgi_life(poolworker.ASGI(application, poold.worker)))
    assert poold.hear() == "STOPPING=1\n"


# --- under poold


def example(box, name, address, **settings):
    for file in ("poolworker.py", f"examples/{name}.py"):
        shutil.copy(os.path.join(BINDINGS, file), box.directory)
    return {"command": ["python3", box.path(name + ".py")],  # of the PATH that a worker gets
            "environment": {"PYTHONDONTWRITEBYTECODE": "1"},
            "listen": [address], "ready": "notify",
            "stop_signal": "QUIT",  # deadly: a drain by message ends with exit code 0
            **settings}


def serve_and_recycle(box, name, address, **settings):
    poold = box.poold({"web": example(box, name, address, **settings)})
    poold.wait_state("web", "started", limit=20)
    running = box.load(address)
    for _ in range(3):
        poold.ctl("recycle", "web", "--wait")
        wait_until(lambda: any(worker["requests"] for worker in poold.workers("web")),
                   what="requests to be reported")
    running.finish_without_failure()
    for event in poold.events(6023, "web"):
        assert event["fields"].get("code") == 0, f"not drained by message: {event}"
    assert not poold.events(1009) and not poold.events(1013) and not poold.events(1127)
    wait_until(lambda: not any(worker["active"] for worker in poold.workers("web")),
               what="no request to be in flight")
    poold.stop()


@claim(limit=60)
def a_python_worker_in_an_asyncio_loop_loses_no_request(box):
    serve_and_recycle(box, "asyncio_server", box.address())


@claim(limit=60)
def a_python_worker_of_threads_loses_no_request(box):
    serve_and_recycle(box, "threads_server", box.address())


@claim(limit=60)
def a_garden_of_python_threads_on_a_unix_socket_loses_no_request(box):
    serve_and_recycle(box, "threads_server", box.unix(), workers={"min": 2})


@claim()
def a_python_worker_counts_each_request(box):
    address = box.address()
    poold = box.poold({"web": example(box, "threads_server", address)})
    poold.wait_state("web", "started", limit=20)
    for _ in range(23):
        load.fetch(address)
    wait_until(lambda: poold.worker("web")["requests"] == 23, what="23 requests to be reported")
    poold.stop()


@claim()
def an_asyncio_worker_without_descriptors_rests_and_goes_on(box):
    import resource  # pylint: disable=import-outside-toplevel
    poold = FakePoold(box)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    calls = []

    async def handle(_reader, writer):
        calls.append("handled")
        writer.close()

    async def live():
        loop = asyncio.get_running_loop()
        poold.worker.attach()
        poold.worker.serve(handle, [listener])
        accept = poold.worker._serving._accept
        with socket.create_connection(address) as client:
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            accept(listener)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            assert not calls and not loop.remove_reader(listener), "it is still looked at"
            while not calls:
                await asyncio.sleep(0.01)
            assert await loop.run_in_executor(None, client.recv, 1) == b""
        poold.worker.on_drain = lambda seconds: None
        poold.worker.stopping()
        await poold.worker.served()
        poold.worker.detach()

    asyncio.run(asyncio.wait_for(live(), 20))
