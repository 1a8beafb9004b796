"""test_apply.py - another configuration takes effect while workers serve."""

import os
import signal
import socket
import threading

import load
from control import Refused
from harness import claim
from waiting import wait_until

SERVING = ("--ready", "20")


def serving(box, *arguments, listen=None, **settings):
    return box.pool(*SERVING, *arguments, listen=listen, ready="notify", **settings)


def until(condition, what):
    return wait_until(condition, what=what)


def names(poold):
    return sorted(pool["name"] for pool in poold.call("pool.list")["pools"])


def apply(poold, pools):
    """Writes the configuration of these pools and applies it; returns the plan."""
    poold.write_config(poold.box.config(pools))
    return poold.call("config.apply")


def refusal(call, *arguments, **named):
    """What the call is refused with, and it must be."""
    try:
        call(*arguments, **named)
    except Refused as refused:
        return refused
    raise AssertionError("it was not refused")


def changes(plan):
    return {pool["pool"]: pool["change"] for pool in plan["pools"]}


@claim()
def a_file_that_did_not_change_changes_nothing(box):
    pools = {"web": serving(box, listen=box.address())}
    poold = box.poold(pools)
    poold.wait_state("web", "started")
    before = poold.worker("web")
    for method in ("config.diff", "config.apply"):
        plan = poold.call(method)
        assert not plan["changed"] and plan["pools"] == [], plan
    assert poold.worker("web")["pid"] == before["pid"]
    applied = poold.wait_event(6040)
    assert applied["fields"]["changed"] == 0, applied
    poold.stop()


@claim()
def a_pool_that_is_added_starts_and_one_that_is_taken_out_drains(box):
    old, new = box.address(), box.address()
    poold = box.poold({"old": serving(box, listen=old), "stays": serving(box)})
    poold.wait_all_started()
    stays = poold.worker("stays")["pid"]
    before = poold.descriptors()
    plan = apply(poold, {"new": serving(box, listen=new), "stays": serving(box)})
    assert changes(plan) == {"old": "removed", "new": "added"}, plan
    poold.wait_state("new", "started")
    until(lambda: names(poold) == ["new", "stays"], "old has gone")
    assert poold.worker("stays")["pid"] == stays
    box.load(new).finish_without_failure()
    assert refusal(poold.call, "pool.start", pool="old").code == 4
    poold.wait_descriptors(before)
    poold.stop()


@claim(limit=40)
def a_changed_command_is_replaced_overlapped_without_a_lost_request(box):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address)})
    poold.wait_state("web", "started")
    running = box.load(address)
    for delay in ("1", "2", "3"):
        seen = len(poold.events(6022, "web"))
        plan = apply(poold, {"web": serving(box, "--delay", delay, listen=address)})
        web, = plan["pools"]
        assert web["recycles"] and [k["key"] for k in web["keys"]] == ["command"], web
        assert web["keys"][0]["takes_effect"] == "by recycling", web
        until(lambda: len(poold.events(6022, "web")) > seen, "the recycle is done")
        done = poold.events(6022, "web")[-1]
        assert done["fields"]["cause"] == "config-change", done
    running.finish_without_failure()
    poold.stop()


@claim()
def a_limit_that_holds_at_once_replaces_nobody(box):
    pools = {"web": serving(box, workers={"min": 2})}
    poold = box.poold(pools)
    poold.wait_state("web", "started")
    pids = {w["pid"] for w in poold.workers("web")}
    plan = apply(poold, {"web": serving(box, workers={"min": 3},
                                        health={"shutdown_timeout": "5s"})})
    web, = plan["pools"]
    assert not web["recycles"], web
    assert {k["key"]: (k["from"], k["to"]) for k in web["keys"]} == {
        "workers.min": (2, 3), "health.shutdown_timeout": (None, "5s")}, web
    until(lambda: len(poold.workers("web", "ready")) == 3, "the third one is there")
    assert poold.wait_event(6020, "web")["fields"]["cause"] == "start"
    assert poold.events(6020, "web")[-1]["fields"]["cause"] == "growth", poold.events(6020)
    assert pids < {w["pid"] for w in poold.workers("web")}
    apply(poold, {"web": serving(box, workers={"min": 1})})
    until(lambda: len(poold.workers("web")) == 1, "two of them left")
    assert poold.worker("web")["pid"] in pids
    poold.stop()


@claim()
def a_bad_file_changes_nothing_and_every_error_is_told(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    before = poold.worker("web")["pid"]
    bad = box.config({"web": {"comand": [], "workers": {"min": "two"}}})
    poold.write_config(bad)
    refused = refusal(poold.call, "config.apply")
    assert refused.code == 78, refused
    lines = refused.data["errors"]
    assert refused.data["count"] == len(lines) == 3, lines
    assert any("comand" in line and "command" in line for line in lines), lines
    told = poold.wait_event(1041)
    assert told["fields"]["errors"] == 3 and "stays as it was" in told["text"], told
    assert poold.worker("web")["pid"] == before
    said = poold.ctl("config", "check", status=78)
    assert "comand" in said, said
    poold.stop()


@claim()
def an_address_in_use_refuses_the_whole_change(box):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = "127.0.0.1:%d" % holder.getsockname()[1]
        poold = box.poold({"web": serving(box, listen=box.address()), "two": serving(box)})
        poold.wait_all_started()
        pids = [poold.worker(name)["pid"] for name in ("web", "two")]
        listen = poold.pool("web")["listen"]
        before = poold.descriptors()
        refused = refusal(apply, poold, {"web": serving(box, listen=[*listen, address]),
                                         "two": serving(box, "--delay", "1")})
        assert refused.code == 1 and address in refused.message, refused
        assert "Address already in use" in refused.message, refused
        assert [poold.worker(name)["pid"] for name in ("web", "two")] == pids
        assert poold.pool("web")["listen"] == listen
        poold.wait_descriptors(before)
        poold.stop()


@claim(limit=40)
def a_socket_that_moves_to_another_pool_keeps_its_queue(box):
    address = box.address()
    poold = box.poold({"blue": serving(box, listen=address)})
    poold.wait_state("blue", "started")
    running = box.load(address)
    apply(poold, {"green": serving(box, listen=address)})
    until(lambda: names(poold) == ["green"], "blue has gone")
    poold.wait_state("green", "started")
    running.finish_without_failure()
    poold.stop()


def connected(address):
    """A client that waits in the queue, and has asked."""
    client = load.connect(address)
    load.send_request(client)
    return client


@claim(limit=60)
def a_removal_is_taken_back_with_the_queue_while_the_old_worker_drains(box):
    address = box.address()
    stays = serving(box)
    poold = box.poold({"web": serving(box, "--stay", "--deaf", listen=address), "other": stays})
    poold.wait_all_started()
    old = poold.worker("web")["pid"]
    with connected(address) as before:
        apply(poold, {"other": stays})
        poold.wait_state("web", "stopping")
        with connected(address) as after:
            apply(poold, {"web": serving(box, listen=address), "other": stays})
            poold.wait_state("web", "started")
            assert [w["pid"] for w in poold.workers("web", "draining")] == [old]
            for client in before, after:
                assert "pool=web" in load.read_answer(client)
    os.kill(old, signal.SIGKILL)
    until(lambda: len(poold.workers("web")) == 1, "the old one has gone")
    box.load(address).finish_without_failure()
    poold.stop()


@claim(limit=60)
def the_queue_of_a_removed_pool_ends_with_its_last_worker(box):
    address, path = box.address(), box.unix()
    stays = serving(box)
    poold = box.poold({"web": serving(box, "--stay", "--deaf", listen=[address, path]),
                       "other": stays})
    poold.wait_all_started()
    old = poold.worker("web")["pid"]
    with connected(address) as client:
        apply(poold, {"other": stays})
        poold.wait_state("web", "stopping")
        poold.call("config.apply")  # a second one closes nothing either
        os.kill(poold.engine_pid(), signal.SIGKILL)
        poold.wait_answering()
        connected(address).close()
        assert os.path.exists(path.removeprefix("unix:"))
        os.kill(old, signal.SIGKILL)
        until(lambda: names(poold) == ["other"], "web has gone")
        try:
            assert client.recv(1024) == b"", "it was served"
        except ConnectionResetError:
            pass
    until(lambda: not os.path.exists(path.removeprefix("unix:")), "the path has gone")
    with socket.create_server(("127.0.0.1", int(address.split(":")[1]))):
        pass
    poold.stop()


@claim()
def a_unix_path_gets_its_new_mode_and_an_old_one_goes(box):
    first, second = box.unix("first"), box.unix("second")
    poold = box.poold({"web": serving(box, listen=first)})
    poold.wait_state("web", "started")
    apply(poold, {"web": serving(box, listen=[first, second])})
    poold.wait_state("web", "started")
    box.load(second).finish_without_failure()
    apply(poold, {"web": serving(box, listen=second)})
    until(lambda: not os.path.exists(first.removeprefix("unix:")), "the path has gone")
    box.load(second).finish_without_failure()
    poold.stop()


@claim()
def workers_keep_old_settings_where_the_pool_says_so(box):
    keep = {"recycling": {"on_config_change": False}}
    poold = box.poold({"web": serving(box, **keep)})
    poold.wait_state("web", "started")
    before = poold.worker("web")["pid"]
    plan = apply(poold, {"web": serving(box, "--delay", "1", **keep)})
    web, = plan["pools"]
    assert web["drifts"] and not web["recycles"], web
    poold.wait_event(6041, "web")
    assert poold.worker("web")["pid"] == before
    assert poold.worker("web")["drifted"], poold.worker("web")
    assert "1 with settings of before a change" in poold.ctl("status"), poold.ctl("status")
    poold.ctl("recycle", "web", "--wait")
    assert poold.worker("web")["pid"] != before and not poold.worker("web")["drifted"]
    poold.stop()


@claim()
def sockets_that_change_under_workers_that_stay_are_warned_of(box):
    keep = {"recycling": {"on_config_change": False}}
    first, second = box.address(), box.address()
    poold = box.poold({"web": serving(box, listen=first, **keep)})
    poold.wait_state("web", "started")
    poold.write_config(box.config({"web": serving(box, listen=second, **keep)}))
    web, = poold.call("config.diff")["pools"]
    assert web["drifts"] and web["opened"] == [second] and web["closed"] == [first], web
    assert "until they are recycled" in web["warning"], web
    said = poold.ctl("config", "apply")
    assert "warning: its workers keep the old sockets" in said, said
    drift = poold.wait_event(6041, "web")
    assert "sockets" in drift["text"], drift
    with connected(second) as client:  # it waits for the first worker with the new socket
        box.load(first).finish_without_failure()
        poold.ctl("recycle", "web", "--wait")
        assert "pool=web" in load.read_answer(client)
    poold.stop()


@claim(limit=40)
def a_new_pool_whose_address_is_taken_waits_and_disturbs_nobody(box):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = "127.0.0.1:%d" % holder.getsockname()[1]
        stays = serving(box, listen=box.address())
        poold = box.poold({"stays": stays})
        poold.wait_state("stays", "started")
        before = poold.worker("stays")["pid"]
        apply(poold, {"stays": stays, "new": serving(box, listen=address)})
        failed = poold.wait_event(6033, "new")
        assert address in failed["text"] and "in use" in failed["text"], failed
        poold.wait_event(6013, "new")
        assert poold.state("new") == "stopped" and "bound" in poold.pool("new")["reason"]
        assert poold.worker("stays")["pid"] == before
    poold.wait_state("new", "started")
    assert len(poold.events(6033, "new")) == 1
    poold.stop()


@claim(limit=60)
def a_successor_that_fails_keeps_the_old_worker_and_the_next_apply_goes_on(box):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address)})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    running = box.load(address)
    apply(poold, {"web": {**serving(box, listen=address), "command": ["/bin/false"]}})
    failed = poold.wait_event(1093, "web")
    assert failed["fields"]["cause"] == "config-change", failed
    until(lambda: poold.pool("web")["roll"] is None, "the roll has ended")
    assert poold.workers("web", "ready")[0]["pid"] == old
    apply(poold, {"web": serving(box, "--delay", "1", listen=address)})
    until(lambda: poold.workers("web") and poold.workers("web")[0]["pid"] != old, "it was replaced")
    running.finish_without_failure()
    poold.stop()


@claim(limit=60)
def the_same_file_applied_again_goes_on_with_who_was_not_replaced(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    old, fault = poold.worker("web")["pid"], box.touch("fault")
    apply(poold, {"web": serving(box, "--if", fault, "--exit", "1")})
    poold.wait_event(1093, "web")
    until(lambda: poold.pool("web")["roll"] is None, "the roll has ended")
    assert poold.workers("web", "ready")[0]["pid"] == old
    os.unlink(fault)
    plan = poold.call("config.apply")
    assert plan["pools"] == [], plan
    until(lambda: [w["pid"] for w in poold.workers("web")] not in ([old], []), "it was replaced")
    until(lambda: len(poold.workers("web")) == 1, "the old one has gone")
    assert not poold.worker("web")["drifted"], poold.worker("web")
    poold.stop()


@claim()
def an_operators_stop_outlives_a_change(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    poold.ctl("stop", "web", "--wait")
    apply(poold, {"web": serving(box, "--delay", "1")})
    poold.wait_event(6040)
    assert poold.state("web") == "stopped"
    poold.stop()


@claim()
def a_pool_without_auto_start_waits_for_an_operator(box):
    poold = box.poold({"web": serving(box, auto_start=False)})
    assert poold.state("web") == "stopped"
    poold.ctl("start", "web", "--wait")
    poold.wait_state("web", "started")
    poold.stop()


@claim()
def sighup_applies_the_file(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    poold.write_config(box.config({"web": serving(box), "more": serving(box)}))
    poold.send_signal(signal.SIGHUP)
    poold.wait_event(6040)
    poold.wait_state("more", "started")
    poold.stop()


@claim(limit=60)
def a_thousand_applies_coalesce_and_the_last_wins(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    failures = []

    def hurry(first):
        try:
            with poold.control(60) as control:
                for i in range(first, 1000, 4):
                    control.send("config.apply")
                    if i % 100 == 0:
                        poold.write_config(
                            box.config({"web": serving(box, workers={"min": 1 + i % 3})}))
        except Exception as error:  # told by the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=hurry, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    apply(poold, {"web": serving(box, workers={"min": 4})})
    until(lambda: len(poold.workers("web", "ready")) == 4, "the last one won")
    rounds = len(poold.events(6040))
    assert rounds < 500, rounds
    poold.stop()


@claim(limit=60)
def an_engine_that_dies_in_an_apply_loses_nothing(box):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address)})
    poold.wait_state("web", "started")
    running = box.load(address)
    for i in range(6):
        poold.write_config(box.config({"web": serving(box, "--delay", str(i + 1), listen=address),
                                       f"more{i}": serving(box)}))
        poold.send_signal(signal.SIGHUP)
        os.kill(poold.engine_pid(), signal.SIGKILL)
        poold.wait_answering()
        apply(poold, {"web": serving(box, "--delay", str(i + 1), listen=address),
                      f"more{i}": serving(box)})
        until(lambda: names(poold) == [f"more{i}", "web"], "the file is in force")
    running.finish_without_failure()
    poold.stop()


@claim()
def a_queue_that_grows_beyond_the_kernels_cap_is_told(box):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address)})
    poold.wait_state("web", "started")
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        cap = int(file.read())
    before = poold.worker("web")["pid"]
    apply(poold, {"web": serving(box, listen=address, queue_length=cap + 1)})
    assert poold.wait_event(6035, "web")["fields"]["cap"] == cap
    assert poold.pool("web")["queue"]["limit"] == cap + 1
    assert poold.worker("web")["pid"] == before
    poold.stop()


@claim()
def the_level_of_the_log_holds_at_once(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    config = box.config({"web": serving(box), "more": serving(box)})
    poold.write_config({**config, "log": {"level": "warning"}})
    poold.call("config.apply")
    poold.wait_state("more", "started")
    assert poold.events(6020, "more") and "more/0.1" not in poold.log(), poold.log()
    poold.write_config({**config, "log": {"level": "info"}})
    poold.call("config.apply")
    poold.ctl("recycle", "more", "--wait")
    assert "more/0.2" in poold.log(), poold.log()
    poold.stop()


@claim()
def a_pool_outside_the_inclusion_list_says_so_and_cannot_be_started(box):
    poold = box.poold_raw({**box.config({"web": serving(box, listen="127.0.0.9:21404"),
                                         "in": serving(box, listen=box.address())}),
                           "listen_addresses": ["127.0.0.1"]}).wait_answering()
    poold.wait_state("in", "started")
    web = poold.pool("web")
    assert web["state"] == "stopped" and "listen_addresses" in web["reason"], web
    poold.ctl("status", status=3)
    assert "listen_addresses" in refusal(poold.call, "pool.start", pool="web").message
    poold.stop()


@claim(limit=60)
def a_pool_that_the_inclusion_list_refuses_runs_again_when_it_may(box):
    config = box.config({"web": serving(box, listen=box.address()),
                         "down": serving(box, listen=box.address())})
    poold = box.poold_raw({**config, "listen_addresses": ["127.0.0.1"]}).wait_answering()
    poold.wait_all_started()
    poold.ctl("stop", "down", "--wait")
    for _ in range(2):
        poold.write_config({**config, "listen_addresses": ["127.0.0.2"]})
        plan = poold.ctl("config", "apply")
        poold.wait_state("web", "stopped")
        assert "web: changed, it may not run" in plan, plan
        assert "listen_addresses (127.0.0.2)" in poold.pool("web")["reason"], poold.pool("web")
        assert poold.pool("web")["wanted"] == "started", poold.pool("web")
        assert poold.pool("down")["reason"] == "stopped by an operator", poold.pool("down")
        assert "127.0.0.2" in poold.events(6013, "web")[-1]["fields"]["reason"], poold.events(6013)
        assert poold.events(6011, "web")[-1]["text"] == "stopped (refused)", poold.events(6011)
        os.kill(poold.engine_pid(), signal.SIGKILL)
        poold.wait_answering()
        poold.write_config({**config, "listen_addresses": ["127.0.0.1"]})
        poold.call("config.apply")
        poold.wait_state("web", "started")
        assert poold.state("down") == "stopped"
    assert len(poold.events(6013)) == 2, poold.events(6013)
    poold.stop()


@claim()
def reading_the_file_again_leaves_no_stray_to_be_warned_of(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    for _ in range(5):
        poold.call("config.diff")
    poold.ctl("recycle", "web", "--wait")
    poold.call("config.apply")
    poold.stop()
    assert "strays-found" not in poold.log(), poold.log()


@claim()
def keys_of_the_file_itself_are_in_the_plan(box):
    config = box.config({"web": serving(box)})
    poold = box.poold_raw({**config, "limits": {"starts": 3}}).wait_answering()
    poold.write_config({**config, "limits": {"starts": 7}, "log": {"level": "notice"}})
    assert [(k["key"], k["from"], k["to"]) for k in poold.call("config.diff")["keys"]] == [
        ("log.level", "info", "notice"), ("limits.starts", 3, 7)]
    poold.call("config.apply")
    assert poold.supervisor()["starts"]["max"] == 7
    poold.stop()


@claim(limit=60)
def an_apply_that_the_engine_took_to_its_death_is_carried_out(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    for i in range(8):
        poold.write_config(box.config({"web": serving(box), f"more{i}": serving(box)}))
        engine = poold.engine_pid()
        poold.send_signal(signal.SIGHUP)
        until(lambda: len([e for e in poold.events(6050) if "SIGHUP" in e["text"]]) > i,
              "the engine has heard of it")
        try:
            os.kill(engine, signal.SIGKILL)
        except ProcessLookupError:
            pass
        until(lambda: names(poold) == [f"more{i}", "web"], "it is in force")
    poold.stop()
