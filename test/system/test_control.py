"""test_control.py - the control socket and poolctl: whatever a client does, poold goes on."""

import errno
import json
import os
import socket
import subprocess

import processes
from control import Control, Refused
from harness import NOBODY, claim
from waiting import wait_until


def one_pool(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    return poold


@claim()
def forty_pipelined_requests_are_answered_in_order(box):
    poold = one_pool(box)
    with poold.control() as control:
        control.send_bytes(b"".join(
            json.dumps({"jsonrpc": "2.0", "id": n, "method": "server.version"}).encode() + b"\n"
            for n in range(40)))
        assert [control.read_message()["id"] for _ in range(40)] == list(range(40))


@claim()
def garbage_is_answered_with_an_error(box):
    poold = one_pool(box)
    lines = [b"garbage", b"{", b"[]", b"42", b'"x"', b"null", b"\xff\xfe\x00", b"{}",
             b'{"jsonrpc":"1.0","id":1,"method":"server.status"}',
             b'{"jsonrpc":"2.0","id":{},"method":"server.status"}',
             b'{"jsonrpc":"2.0","id":1,"method":"no.such"}',
             b'{"jsonrpc":"2.0","id":1,"method":"pool.get"}',
             b'{"jsonrpc":"2.0","id":1,"method":"pool.get","params":[]}',
             b'{"jsonrpc":"2.0","id":1,"method":"pool.get","params":{"pool":7}}',
             b'{"jsonrpc":"2.0","id":1,"method":"pool.get","params":{"pool":"web","x":1}}',
             b"[" * 5000]
    with poold.control() as control:
        for line in lines:
            control.send_bytes(line + b"\n")
            message = control.read_message()
            assert message and "error" in message, (line[:80], message)
        assert control.call("server.version")["api"] == 1


@claim()
def a_line_above_64_kib_ends_the_connection_only(box):
    poold = one_pool(box)
    with poold.control() as control:
        try:
            control.send_bytes(b"x" * 300000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            message = control.read_message()
            assert "error" in message, message
            assert control.read_line() is None
        except ConnectionResetError:
            pass
    poold.ctl("status")


@claim()
def a_request_in_single_bytes_is_understood(box):
    poold = one_pool(box)
    with poold.control() as control:
        for byte in b'{"jsonrpc":"2.0","id":9,"method":"server.version"}\n':
            control.send_bytes(bytes([byte]))
        assert control.read_message()["id"] == 9


@claim(limit=40)
def a_subscriber_that_does_not_read_is_told_what_it_lost(box):
    poold = one_pool(box)
    with poold.control() as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.call("events.subscribe")
        with poold.control() as control:
            for _ in range(3000):
                control.call("pool.start", pool="web")
        seen, dropped = 0, 0
        while seen + dropped < 3000:
            event = slow.next_event()
            seen += "seq" in event
            dropped += event.get("dropped", 0)
    assert dropped > 0 and seen > 0, (seen, dropped)
    poold.ctl("recycle", "web", "--wait")


@claim(limit=40)
def a_caller_that_does_not_read_does_not_hold_others_up(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "0", ready="notify") for n in range(30)})
    poold.wait_all_started()
    slow = [poold.control() for _ in range(10)]
    for control in slow:
        control.socket.setblocking(False)
        for n in range(200):
            try:
                control.socket.send(json.dumps({"jsonrpc": "2.0", "id": n, "method": "pool.list"})
                                    .encode() + b"\n")
            except BlockingIOError:
                break
    poold.ctl("recycle", "p0", "--wait", "--timeout", "5s")
    poold.ctl("status")
    for control in slow:
        control.close()
    wait_until(lambda: poold.supervisor()["clients"]["connected"] == 1, what="the slow to be gone")


@claim(limit=40)
def clients_above_the_limit_of_a_user_are_turned_away(box):
    poold = one_pool(box)
    held = []
    refused = 0
    for _ in range(40):
        control = poold.control()
        held.append(control)
        try:
            control.call("server.version")
        except (Refused, ConnectionError, OSError):
            refused += 1
    assert refused == 8, f"32 connections a user: {refused} of 40 were refused"
    for control in held:
        control.close()
    poold.wait_answering()
    poold.ctl("status")


@claim(limit=40)
def clients_that_vanish_leave_no_descriptor(box):
    poold = one_pool(box)
    before = poold.descriptors()
    for n in range(60):
        control = poold.control()
        if n % 3 == 0:
            control.send("pool.recycle", pool="web", wait=True)
        elif n % 3 == 1:
            control.send("events.subscribe", after=0)
        else:
            control.send_bytes(b'{"half a requ')
        control.close()
        if n % 20 == 19:  # one user has 32 connections at most
            wait_until(lambda: poold.supervisor()["clients"]["connected"] == 1,
                       what="the clients to be gone")
    wait_until(lambda: not poold.pool("web")["roll"], what="the last recycle to end")
    wait_until(lambda: len(poold.workers("web")) == 1, what="one worker")
    poold.wait_descriptors(before)


@claim(root=True)
def a_stranger_may_not_ask(box):
    poold = one_pool(box)
    path = os.path.join(poold.runtime, "control")
    assert os.stat(path).st_mode & 0o777 == 0o600
    done = subprocess.run([box.program("poolctl"), "--runtime-dir", poold.runtime, "status"],
                          capture_output=True, text=True, timeout=10, check=False,
                          user="daemon", group="daemon", extra_groups=[])
    assert done.returncode == 77, done


@claim(root=True)
def the_own_user_of_an_unprivileged_poold_may_command_it_and_so_may_root(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, uid=NOBODY)
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    done = subprocess.run([box.program("poolctl"), "--runtime-dir", poold.runtime, "stop", "web",
                           "--wait"], capture_output=True, text=True, timeout=20, check=False,
                          user=NOBODY, group=NOBODY, extra_groups=[])
    assert done.returncode == 0, done
    events = poold.events(6050, "web")
    assert {e["fields"]["uid"] for e in events} == {0, NOBODY}, events


@claim()
def exit_statuses_of_poolctl_are_those_of_its_manual(box):
    failing = box.pool("--exit", "1", ready="notify", failure={"max_failures": 1})
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify"), "bad": failing})
    poold.wait_state("web", "started")
    poold.wait_state("bad", "disabled")
    poold.ctl("status", "web", status=0)
    poold.ctl("version", status=0)
    poold.ctl("help", status=0)
    poold.ctl("start", "bad", "--wait", status=1)
    poold.ctl("no-such-verb", status=2)
    poold.ctl("start", status=2)
    poold.ctl("--no-such-option", status=2)
    poold.ctl("status", status=3)
    poold.ctl("status", "wab", status=4)
    said = poold.ctl("recycle", "wab", status=4)
    assert '"web"' in said or "web" in said, f"the nearest name: {said}"
    poold.ctl("--json", "recycle", "web", "wab", status=4)
    poold.ctl("recycl", status=2)
    poold.stop()
    poold.ctl("status", status=69)


@claim()
def json_of_status_has_what_the_contract_says(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    status = json.loads(poold.ctl("--json", "status"))
    assert status["supervisor"]["keeper_pid"] == poold.pid, status
    pool = status["pools"][0]
    assert pool["name"] == "web" and pool["state"] == "started" and pool["listen"] == [address], pool
    worker = pool["workers"][0]
    assert worker["id"] == "0.1" and worker["state"] == "ready" and worker["pid"] > 1, worker
    assert worker["since"][10] == "T" and worker["since"][-6] in "+-", worker
    workers = json.loads(poold.ctl("--json", "workers"))
    assert workers["workers"][0]["pool"] == "web", workers


@claim()
def status_tells_why_a_pool_fails_also_after_the_engine_was_replaced(box):
    once = {"max_failures": 1}
    poold = box.poold({"says": box.pool("--print", "KeyError: DATABASE_URL", "--exit", "3",
                                        failure=once),
                       "nowhere": box.pool(directory="/nowhere", failure=once)})
    for again in (False, True):
        if again:
            processes.kill(poold.engine_pid())
            poold.wait_event(6003)
        poold.wait_state("says", "disabled")
        poold.wait_state("nowhere", "disabled")
        failures = poold.pool("nowhere")["failures"]
        last, (one,) = failures["last"], failures["all"]
        assert (one["event"], one["name"]) == (1022, "spawn-failed"), one
        assert (last["event"], last["errno"], last["path"]) == (1022, errno.ENOENT, "/nowhere"), last
        last = poold.pool("says")["failures"]["last"]
        assert last["exit"] == {"code": 3} and last["last_line"] == "KeyError: DATABASE_URL", last
        said = poold.ctl("status", status=3)
        assert '; it said "KeyError: DATABASE_URL"\n' in said, said
        assert "nowhere: last: cannot enter the working directory /nowhere: No such file" in said
    assert 'it said "KeyError' in poold.ctl("events", "--pool", "says")


@claim()
def a_follower_sees_the_end_of_a_shutdown(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "0", ready="notify") for n in range(40)})
    poold.wait_all_started()
    with poold.control() as follower, poold.control() as deaf:
        follower.call("events.subscribe")
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.call("events.subscribe", after=0)
        poold.stop()
        seen = []
        while not seen or seen[-1] != "supervisor-stopped":
            seen.append(follower.next_event()["name"])
        assert seen.count("pool-stopped") == 40, seen


@claim()
def status_says_how_many_pools_wait_for_a_start(box):
    poold = box.poold({f"p{n}": box.pool(ready="notify") for n in range(12)})
    starts = wait_until(lambda: poold.supervisor()["starts"], what="the starts")
    waiting = 12 - starts["max"]
    wait_until(lambda: poold.supervisor()["starts"]["waiting"] == waiting, what="pools that wait")
    said = poold.ctl("status", status=3)
    assert f"\n{waiting} pools wait for their turn: at most {starts['max']} workers start" in said, said


@claim()
def recycling_a_disabled_pool_that_serves_says_so(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 2},
                                       failure={"max_failures": 1})})
    poold.wait_state("web", "started")
    processes.kill(poold.workers("web")[0]["pid"])
    poold.wait_state("web", "disabled")
    said = poold.ctl("recycle", "web", status=1)
    assert "it is disabled: 1 of its workers still serves; a start enables it" in said, said
    assert "poolctl start web" in said, said


@claim()
def each_change_is_an_event_with_who_asked(box):
    poold = one_pool(box)
    poold.ctl("recycle", "web", "--wait")
    poold.ctl("status")
    events = poold.events(6050, "web")
    assert len(events) == 1, events
    assert events[0]["fields"]["uid"] == os.getuid(), events
    assert events[0]["fields"]["method"] == "pool.recycle", events


@claim()
def verbs_name_the_end_and_work_from_every_state(box):
    poold = one_pool(box)
    pid = poold.worker("web")["pid"]
    poold.ctl("start", "web", "--wait")
    assert poold.worker("web")["pid"] == pid, "starting a started pool changes nothing"
    poold.ctl("stop", "web", "--wait")
    poold.ctl("stop", "web", "--wait")
    poold.ctl("start", "web", "--wait")
    poold.ctl("start", "web", "--wait")
    assert len(poold.events(6010, "web")) == 2 and len(poold.events(6011, "web")) == 1


@claim()
def poolctl_waits_on_when_the_engine_is_replaced(box):
    poold = box.poold({"web": box.pool("--ready", "300", "--linger", "400", ready="notify")})
    poold.wait_state("web", "started")
    for verb, method in (("stop", "pool.stop"), ("start", "pool.start"),
                         ("recycle", "pool.recycle")):
        engine = poold.engine_pid()
        begun = [verb, "web", "--wait", "--timeout", "20s"]
        waiting = subprocess.Popen(
            [box.program("poolctl"), "--runtime-dir", poold.runtime, *begun],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        poold.wait_event(6050, "web", method=method)
        before = poold.workers("web")
        processes.kill(engine)
        out, err = waiting.communicate(timeout=20)
        assert waiting.returncode == 0, (verb, out, err)
        assert out.count("web: ") == 1 and "the engine was replaced" in err, (out, err)
        if verb == "stop":
            assert poold.state("web") == "stopped"
        else:
            assert poold.state("web") == "started"
        if verb == "recycle":
            assert out.startswith("web: 1 replaced in "), out
            assert poold.worker("web")["pid"] != before[0]["pid"]


@claim()
def a_start_during_a_stop_wins(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--linger", "400", ready="notify")})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    with poold.control() as control:
        stop = control.send("pool.stop", pool="web", wait=True)
        wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")
        poold.ctl("start", "web", "--wait")
        try:
            control.reply(stop)
            raise AssertionError("the stop did not fail")
        except Refused as refused:
            assert refused.code == 1, refused
    assert poold.worker("web")["pid"] != old


@claim()
def a_subscriber_resumes_where_it_ended(box):
    poold = one_pool(box)
    last = poold.last_seq()
    poold.ctl("recycle", "web", "--wait")
    end = poold.last_seq()
    with Control(os.path.join(poold.runtime, "control")) as control:
        control.call("events.subscribe", after=last)
        numbers = [control.next_event()["seq"] for _ in range(end - last)]
    assert numbers == list(range(last + 1, end + 1)), numbers


@claim()
def status_tells_how_long_the_loop_was_held(box):
    poold = one_pool(box)
    before = poold.supervisor()["loop"]
    assert before["spawns"]["count"] == 1, before
    poold.ctl("recycle", "web", "--wait")
    after = poold.supervisor()["loop"]
    assert after["spawns"]["count"] == 2, after
    for kind in ("turns", "callbacks", "spawns"):
        for clock in ("held", "cpu"):
            told = after[kind][clock]
            assert sum(count for _, count in told["steps"]) == after[kind]["count"], after[kind]
            limits = [limit for limit, _ in told["steps"]]
            assert limits == sorted(set(limits)), limits
            assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["p999_ms"] <= told["max_ms"], told
    assert after["callbacks"]["count"] > after["turns"]["count"] > before["turns"]["count"]
    assert "loop" not in poold.call("pool.list")["supervisor"]
