"""test_poolworker_module.py - modules of the stock worker: what they may do, and whom they harm."""

import os
import signal
import subprocess

import load
import processes
from harness import Skip, claim
from http_worker import ByHand, Client, ask, pool, require, worker_of
from waiting import PATIENCE, wait_until

FOREIGN = '#include "poolworker_module.h"\nconst struct poolworker_module poolworker_module = {%s};\n'


def module(box, name):
    require(box)
    path = box.program(f"module_{name}.so")
    if not os.path.exists(path):
        raise Skip(f"the module {name} is not built")
    return path


def misbehaving(box, **settings):
    """A pool whose workers do wrong below /m/."""
    address = settings.pop("listen", None) or box.address()
    return address, pool(box, "--module", f"/m/={module(box, 'misbehave')}", listen=address,
                         limits={"core": "0"}, **settings)


@claim()
def a_module_answers_below_its_prefix_and_nowhere_else(box):
    hello = module(box, "hello")
    worker = ByHand(box, "--module", f"/hello/={hello},world", "--module", f"/hello/you/={hello},you")
    client = Client(worker.address)
    answer = client.ask("/hello/x%20y?a=b", method="POST", body=b"body")
    assert answer.status == 200, answer
    assert answer.body == b"hello world, number 1: POST /hello/x y?a=b, 4 bytes: body\n", answer
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.ask("/hello").body.startswith(b"hello world, number 2")
    assert client.ask("/hello/you/x").body.startswith(b"hello you, number 1")
    assert worker_of(client.ask("/hellox")) == worker.pid
    assert client.ask("/hello/", method="HEAD").status == 200
    assert client.ask("/hello/").body.startswith(b"hello world, number 4"), "the connection was kept"
    assert client.ask("/hello/", method="POST", body=b"x" * 1_048_577).status == 413


@claim()
def a_wildcard_module_sees_first_and_answers_changes_or_passes_on(box):
    hello = module(box, "hello")
    worker = ByHand(box, "--wildcard", hello, "--module", f"/new/={hello},new")
    client = Client(worker.address)
    answer = client.ask("/page")
    assert answer.status == 200 and answer.headers["x-filtered"] == "yes", answer
    answer = client.ask("/closed/page", method="POST", body=b"x" * 1000)
    assert answer.status == 403 and answer.body == b"closed\n", answer
    assert client.ask("/old").body.startswith(b"hello new, number 1: GET /new?moved"), "it was moved"
    assert worker.wait_log(cs_uri_stem="/old")["sc-status"] == "200"
    both = ByHand(box, "--wildcard", hello, "--wildcard", module(box, "misbehave"))
    assert ask(both.address, "/closed/fail").status == 403, "the second one is not asked"
    assert ask(both.address, "/fail").status == 500
    assert client.ask("/%zz").headers.get("x-filtered") is None, "what is no request is not shown"


@claim()
def nothing_is_loaded_that_does_not_fit(box):
    require(box)
    hello = module(box, "hello")
    plain = box.write("plain.so", "no library", 0o755)
    for arguments, text in (
            (("--module", f"/x/={plain}"), "cannot be loaded"),
            (("--module", f"/x={hello}"), "/PREFIX/=FILE"),
            (("--module", hello), "/PREFIX/=FILE"),
            (("--wildcard", "hello.so"), "./ will do"),
            (("--wildcard", "/bin/true"), "a module")):
        done = subprocess.run(
            [box.program("poolworker"), "--listen", box.address(), *arguments], check=False,
            capture_output=True, text=True, timeout=20 * PATIENCE)
        assert done.returncode == 1 and text in done.stderr, (arguments, done)


@claim(needs=["cc"])
def a_module_of_another_api_is_refused_with_both_numbers(box):
    require(box)
    header = os.path.join(os.path.dirname(__file__), "..", "..", "worker", "host")
    for fields, text in ((".api = 2", "made for API 2, poolworker has 1"),
                         (".api = 0", "made for API 0"), (".api = 1", "handles nothing")):
        source = box.write("foreign.c", FOREIGN % fields)
        library = box.path("foreign.so")
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{header}", "-o", library, source], check=True,
                       timeout=60)
        done = subprocess.run(
            [box.program("poolworker"), "--listen", box.address(), "--wildcard", library],
            check=False, capture_output=True, text=True, timeout=20 * PATIENCE)
        assert done.returncode == 1 and text in done.stderr, done


@claim()
def a_module_that_fails_or_is_slow_harms_its_request_alone(box):
    worker = ByHand(box, "--module", f"/m/={module(box, 'misbehave')}")
    client = Client(worker.address)
    assert client.ask("/m/fail").status == 500
    assert client.ask("/m/slow?50").body == b"ok\n"
    assert client.ask("/m/leak?64").body == b"ok\n"
    client.close()
    assert worker.stop() == 0


@claim(limit=60)
def a_crash_costs_its_worker_only(box):
    address, web = misbehaving(box, workers={"min": 2})
    _, other = misbehaving(box)
    poold = box.poold({"web": web, "other": other})
    for name in ("web", "other"):
        poold.wait_state(name, "started")
    before = {name: [w["pid"] for w in poold.workers(name, "ready")] for name in ("web", "other")}
    assert len(before["web"]) == 2
    client = Client(address)
    try:
        assert client.ask("/m/crash") is None
    except ConnectionResetError:
        pass
    died = poold.wait_event(1009, "web")
    assert died["fields"]["signal"] == signal.SIGSEGV, died
    wait_until(lambda: len(poold.workers("web", "ready")) == 2, what="two workers again")
    after = {name: [w["pid"] for w in poold.workers(name, "ready")] for name in ("web", "other")}
    assert after["other"] == before["other"]
    assert len(set(after["web"]) & set(before["web"])) == 1, (before, after)
    assert load.fetch(address)["pid"] in after["web"]
    assert not processes.is_alive((set(before["web"]) - set(after["web"])).pop())


@claim(limit=60)
def a_module_may_ask_for_another_worker(box):
    address, web = misbehaving(box)
    poold = box.poold({"web": web})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    assert ask(address, "/m/recycle").body == b"ok\n"
    wait_until(lambda: poold.workers("web", "ready") and poold.workers("web", "ready")[0]["pid"] != old
               and len(poold.workers("web")) == 1, what="another worker")
    assert not poold.events(1009)


@claim()
def a_module_that_is_not_well_is_reported(box):
    worker = ByHand(box, "--module", f"/m/={module(box, 'misbehave')}")
    assert ask(worker.address, "/m/unhealthy").body == b"ok\n"

    def said():
        with open(worker.log_path, encoding="utf-8") as log:
            return "#Remark: the module misbehave is not well: it was told to be ill\n" in log.read()

    wait_until(said, what="the remark")
