"""test_presets.py - the files of etc/examples as they are shipped, each with its real server.

Only what an operator would replace is replaced: the folder, the ports, and the user where the test is
not root. Each is recycled five times under load, and killed at the end."""

import os
import pwd
import re
import shutil
import signal

import load
import processes
from harness import IS_ROOT, claim
from waiting import wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(TOP, "etc", "examples")
RECYCLES = 5
CLIENTS = 8


def replace_in(path, replacements):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for old, new in replacements.items():
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def install(box, preset):
    """Puts an example in a folder of the test's; returns its poold.json, and the address to ask."""
    folder = box.path("hello")
    shutil.copytree(os.path.join(EXAMPLES, preset), folder)
    web, fastcgi = str(box.port()), str(box.port())
    replacements = {"/srv/hello": folder, "8080": web, "9000": fastcgi}
    if not IS_ROOT:
        replacements["www-data"] = pwd.getpwuid(os.getuid()).pw_name
    for at, _, names in os.walk(folder):
        for name in names:
            replace_in(os.path.join(at, name), replacements)
    os.mkdir(os.path.join(folder, "var"))
    os.chmod(os.path.join(folder, "var"), 0o777)
    with open(os.path.join(folder, "poold.json"), encoding="utf-8") as file:
        return file.read(), f"127.0.0.1:{web}"


def wait_until_serving(poold, address):
    """READY=1 is not always the truth: until a ready worker, or a child of one, has answered."""

    def has_answered():
        answer = load.answers(address)
        ready = [worker["pid"] for worker in poold.workers("hello", "ready")]
        return answer and any(answer["pid"] in {pid, *processes.descendants(pid)} for pid in ready)

    wait_until(has_answered, 20, "an answer of a new worker")


def assert_not_warned_of(poold):
    """What is shipped is as the presets want it; whose it is here is the test's business."""
    for line in poold.ctl("config", "check").splitlines():
        assert "warning" not in line or any(
            allowed in line for allowed in ("the engine runs as", "can act for", "may write")), line


def recycle_under_load(box, poold, address):
    """Five recycles of the whole pool; returns what the clients have counted."""
    poold.wait_all_started()
    assert_not_warned_of(poold)
    wait_until_serving(poold, address)
    garden = len(poold.workers("hello", "ready"))
    running = box.load(address, clients=CLIENTS)
    for _ in range(RECYCLES):
        poold.ctl("recycle", "hello", "--wait")
        wait_until_serving(poold, address)
    counts = running.finish()
    assert counts["served"] >= running.least, f"too few requests to prove anything: {counts}"
    assert len(counts["pids"]) > RECYCLES, counts
    assert len(poold.events(6022, "hello")) == RECYCLES * garden
    assert not poold.events(1009) and not poold.events(1013), "a worker failed, or was killed"
    return counts


def kill_at_the_end(poold, address):
    """The main process dies, its children go with it, and one successor takes over."""
    old = poold.workers("hello", "ready")[0]
    below = set(processes.descendants(old["pid"]))
    garden = len(poold.workers("hello"))
    os.kill(old["pid"], signal.SIGKILL)
    poold.wait_event(1009, "hello", worker=old["id"])
    wait_until(lambda: len(poold.workers("hello", "ready")) == garden, 20, "the successor")
    wait_until_serving(poold, address)
    assert old["id"] not in [worker["id"] for worker in poold.workers("hello")]
    assert len(poold.events(1009)) == 1, "more than the one that was killed"
    wait_until(lambda: not below & set(processes.descendants(os.getpid())), what="its children's end")


def run_example(box, preset, failures_max=0):
    text, address = install(box, preset)
    poold = box.poold_raw(text).wait_answering()
    counts = recycle_under_load(box, poold, address)
    failed = counts["requests"] - counts["served"]
    assert failed <= failures_max, f"{failed} of {counts['requests']} requests failed: {counts}"
    assert failed == counts["answer_short"], f"more than closed connections: {counts}"
    kill_at_the_end(poold, address)
    poold.stop()


@claim()
def every_preset_has_an_example(_):
    with open(os.path.join(TOP, "supervisor", "load", "preset.def"), encoding="utf-8") as file:
        presets = re.findall(r'^PRESET\(\w+, +"([^"]+)"', file.read(), re.MULTILINE)
    examples = [name for name in os.listdir(EXAMPLES) if os.path.isdir(os.path.join(EXAMPLES, name))]
    assert sorted(presets) == sorted(examples), (presets, examples)


@claim(limit=60, needs=["gunicorn"])
def five_recycles_of_gunicorn_lose_no_request(box):
    run_example(box, "gunicorn")


@claim(limit=60, needs=["uvicorn"])
def five_recycles_of_uvicorn_lose_no_request(box):
    run_example(box, "uvicorn")


def connect_and_leave(box, preset, edit=None):
    """A connection that the worker has accepted and that says nothing while the worker is told to
    leave; returns it, and poold. edit: a file of the example, and what to replace in it."""
    text, address = install(box, preset)
    if edit:
        replace_in(box.path(f"hello/{edit[0]}"), edit[1])
    poold = box.poold_raw(text).wait_answering()
    poold.wait_all_started()
    wait_until_serving(poold, address)
    stream = load.connect(address)
    load.fetch(address)  # one loop accepts in order: the first connection is the worker's by now
    poold.ctl("recycle", "hello")
    return stream, poold


def answer_late(stream, poold, last_line):
    """The old worker, which has said last_line, answers the connection that it had."""
    old = poold.workers("hello")[0]["pid"]

    def is_waiting():
        return [worker for worker in poold.workers("hello") if worker["pid"] == old
                and last_line in (worker["last_line"] or "")]

    wait_until(is_waiting, what="the old worker to wait for its connection")
    with stream:
        assert f"pid={old}" in load.ask(stream)


@claim(needs=["uvicorn"])
def uvicorn_alone_closes_a_connection_whose_request_has_not_come(box):
    stream, _ = connect_and_leave(box, "uvicorn", ("hello.py", {"import patience": "#"}))
    with stream:
        assert stream.recv(1) == b"", "it has mended its ways: the example needs no patience.py"


@claim(needs=["uvicorn"])
def the_example_of_uvicorn_gives_such_a_request_time_to_come(box):
    answer_late(*connect_and_leave(box, "uvicorn"), "Waiting for connections to close")


@claim(limit=60, needs=["uwsgi-core"])
def five_recycles_of_uwsgi_lose_at_most_what_each_process_has_just_accepted(box):
    """Its processes leave in the handler of the signal: a connection that was accepted in that very
    instant is closed. Measured: one in 68 recycles under full load; it cannot be more than one for
    each of the two processes of each worker."""
    run_example(box, "uwsgi", failures_max=2 * RECYCLES)


@claim(limit=60, needs=["puma"])
def five_recycles_of_puma_lose_no_request(box):
    run_example(box, "puma")


@claim(needs=["puma"])
def puma_with_its_queue_closes_a_connection_whose_request_has_not_come(box):
    stream, _ = connect_and_leave(box, "puma", ("puma.rb", {"queue_requests false": ""}))
    with stream:
        assert stream.recv(1) == b"", "it has mended its ways: the example needs no puma.rb"


@claim(needs=["puma"])
def the_example_of_puma_gives_such_a_request_time_to_come(box):
    answer_late(*connect_and_leave(box, "puma"), "waiting for requests to finish")


@claim(limit=60, needs=["node"])
def five_recycles_of_node_lose_no_request(box):
    run_example(box, "node")


@claim(limit=60, needs=["nginx"])
def five_recycles_of_nginx_lose_no_request(box):
    run_example(box, "nginx")


@claim(limit=60, needs=["lighttpd"])
def five_recycles_of_lighttpd_lose_no_request(box):
    run_example(box, "lighttpd")


@claim(limit=60, needs=["haproxy"])
def five_recycles_of_haproxy_lose_no_request(box):
    run_example(box, "haproxy")


@claim(limit=60, needs=["php-fpm8.2", "nginx"])
def five_recycles_of_php_fpm_lose_no_request(box):
    run_example(box, "php-fpm")


@claim(limit=60, needs=["php-cgi8.2", "nginx"])
def five_recycles_of_php_cgi_lose_no_request(box):
    run_example(box, "php-cgi")
