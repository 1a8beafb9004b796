"""test_poolworker.py - the stock worker under the load generators that people use: ab and wrk."""

import os
import re
import subprocess

from harness import claim
from http_worker import pool
from waiting import PATIENCE, wait_until

REQUESTS = 20000


def serve(box):
    """A pool that serves a file; returns poold and the file's address."""
    os.mkdir(box.path("site"))
    box.write("site/a.txt", "x" * 1000)
    address = box.address()
    poold = box.poold({"web": pool(box, "--root", box.path("site"), listen=address, output="null")})
    poold.wait_state("web", "started")
    return poold, f"http://{address}/a.txt"


def recycle_under(box, poold, *command):
    """Runs command, and recycles until it has ended; returns what it printed."""
    with open(box.path("printed"), "w+", encoding="utf-8") as printed:
        process = box.start(*command, stdout=printed, stderr=subprocess.STDOUT)
        while process.poll() is None:
            poold.ctl("recycle", "web", "--wait")
        assert process.wait(60 * PATIENCE) == 0, command
        printed.seek(0)
        text = printed.read()
    assert len(poold.events(6022, "web")) >= 3, "it was over before it was recycled"
    wait_until(lambda: len(poold.workers("web")) == 1, what="the last old worker to leave")
    assert not poold.events(1009) and not poold.events(1013)
    return text


@claim(limit=90, needs=["ab"])
def ab_with_kept_connections_loses_no_request_in_recycles(box):
    poold, url = serve(box)
    text = recycle_under(box, poold, "ab", "-q", "-k", "-c", "8", "-n", str(REQUESTS), url)
    assert re.search(rf"Complete requests: +{REQUESTS}\n", text), text
    assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text, text


@claim(limit=90, needs=["ab"])
def ab_with_a_connection_a_request_loses_none_in_recycles(box):
    poold, url = serve(box)
    text = recycle_under(box, poold, "ab", "-q", "-c", "8", "-n", str(REQUESTS), url)
    assert re.search(rf"Complete requests: +{REQUESTS}\n", text), text
    assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text, text


@claim(limit=90, needs=["wrk"])
def wrk_sees_no_error_in_recycles(box):
    poold, url = serve(box)
    text = recycle_under(box, poold, "wrk", "-t1", "-c8", "-d3s", url)
    assert "Requests/sec" in text and "Non-2xx" not in text, text
    assert "Socket errors" not in text, text
