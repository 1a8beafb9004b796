"""test_poolworker_drain.py - the stock worker leaves, and no client that follows HTTP loses a request."""

import signal

import load
from harness import claim
from http_worker import ByHand, Client, pool, worker_of
from waiting import holds_for, wait_until

RECYCLES = 50


def recycle_under_load(box, *arguments, times=RECYCLES, settings=None, least=1000, **load_options):
    address = box.address()
    poold = box.poold({"web": pool(box, *arguments, listen=address, **(settings or {}))})
    poold.wait_state("web", "started")
    running = box.load(address, least=least, **load_options)
    for _ in range(times):
        poold.ctl("recycle", "web", "--wait")
        wait_until(lambda: load.fetch(address)["pid"] == poold.worker("web")["pid"],
                   what="an answer of the new worker")
    counts = running.finish_without_failure()
    # A worker that lives for some ms only may see none of the clients.
    assert len(counts["pids"]) >= times // 2, counts
    assert len(poold.events(6022, "web")) == times
    assert not poold.events(1009) and not poold.events(1013), "every one left by itself"
    poold.stop()


@claim(limit=90)
def fifty_recycles_lose_no_request_of_kept_connections(box):
    recycle_under_load(box, "--no-log", keep=True)


@claim(limit=90)
def fifty_recycles_lose_no_request_of_new_connections(box):
    recycle_under_load(box, "--no-log")


@claim(limit=60)
def recycles_of_a_garden_lose_no_request_of_kept_connections(box):
    address = box.address()
    poold = box.poold({"web": pool(box, listen=address, workers={"min": 2})})
    poold.wait_state("web", "started")
    running = box.load(address, keep=True)
    for _ in range(5):
        poold.ctl("recycle", "web", "--wait")
    running.finish_without_failure()
    assert not poold.events(1009) and not poold.events(1013)


@claim()
def the_next_request_of_a_kept_connection_is_answered_and_the_connection_closed(box):
    worker = ByHand(box, "--drain-grace", "60s")
    client = Client(worker.address)
    assert "connection" not in client.ask().headers
    worker.process.send_signal(signal.SIGTERM)
    # It drains once it accepts no more; what it holds is served on.
    wait_until(lambda: not is_served(worker), what="the drain")
    answer = client.ask()
    assert answer.status == 200 and answer.headers["connection"] == "close", answer
    assert worker_of(answer) == worker.pid
    assert client.is_closed()
    assert worker.wait_end() == 0


def is_served(worker):
    """Whether a new connection is answered within a moment."""
    try:
        fresh = Client(worker.address, timeout=0.3)
    except OSError:
        return False
    try:
        return fresh.ask() is not None
    except (OSError, AssertionError):
        return False
    finally:
        fresh.close()


@claim()
def a_connection_without_a_request_is_closed_after_the_grace_and_the_worker_ends(box):
    worker = ByHand(box, "--drain-grace", "300ms")
    kept, fresh = Client(worker.address), Client(worker.address)
    assert kept.ask().status == 200
    worker.process.send_signal(signal.SIGTERM)
    assert kept.is_closed() and fresh.is_closed()
    assert worker.wait_end() == 0


@claim()
def a_request_that_comes_during_the_grace_on_a_new_connection_is_answered(box):
    worker = ByHand(box, "--drain-grace", "60s")
    fresh = Client(worker.address)
    holder = Client(worker.address)
    assert holder.ask().status == 200
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not is_served(worker), what="the drain")
    assert fresh.ask().headers["connection"] == "close"
    assert holder.ask().headers["connection"] == "close"
    assert worker.wait_end() == 0


@claim()
def the_last_answer_reaches_a_client_that_has_sent_more(box):
    worker = ByHand(box, "--drain-grace", "60s")
    client = Client(worker.address)
    assert client.ask().status == 200
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not is_served(worker), what="the drain")
    client.send("GET /one HTTP/1.1\r\nHost: t\r\n\r\n" + "GET /two HTTP/1.1\r\nHost: t\r\n\r\n" * 2000)
    client.send("GET /three HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read().headers["connection"] == "close"
    assert client.read() is None, "an end, and no reset"
    client.close()
    assert worker.wait_end() == 0


@claim()
def half_a_request_is_waited_for_in_a_drain(box):
    worker = ByHand(box, "--drain-grace", "100ms")
    client = Client(worker.address)
    client.send("GET /half HTTP/1.1\r\nHost: te")
    # The worker has read it when it has answered somebody who came later.
    assert Client(worker.address).ask().status == 200
    worker.process.send_signal(signal.SIGTERM)
    holds_for(lambda: worker.process.poll() is None, 0.5, "the worker to wait")
    client.send("st\r\n\r\n")
    assert client.read().status == 200
    assert worker.wait_end() == 0


@claim()
def the_drain_ends_at_its_limit_whoever_still_talks(box):
    worker = ByHand(box, "--drain-limit", "500ms")
    client = Client(worker.address)
    client.send("GET / HTTP/1.1\r\n")
    assert Client(worker.address).ask().status == 200
    assert worker.stop() == 0
    with open(worker.log_path, encoding="utf-8") as log:
        assert "the drain ran out of time" in log.read()


@claim()
def a_second_signal_hurries(box):
    worker = ByHand(box)
    client = Client(worker.address)
    client.send("GET / HTTP/1.1\r\n")
    assert Client(worker.address).ask().status == 200
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not is_served(worker), what="the drain")
    assert worker.process.poll() is None
    assert worker.stop() == 0
