"""test_notify.py - workers that speak with `poolctl notify`: shells, and languages without datagrams."""

import os
import signal
import socket
import subprocess

from harness import claim
from waiting import wait_until

# A worker that says what it is told to, then waits; a line of standard error for each exit status.
SHELL = '''
for message; do
    {poolctl} notify $message; echo "exit $?" >&2
done
while :; do sleep 1000; done
'''

NODE = '''
const {{ spawnSync }} = require("child_process");
const server = require("http").createServer((request, response) => response.end(`pid=${{process.pid}}`));
server.listen({{ fd: 3 }}, () => {{
    const done = spawnSync({poolctl!r}, ["notify", "READY=1", "STATUS=listening on 3"]);
    console.error(`exit ${{done.status}} ${{done.stderr}}`);
}});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
'''


def shell(box, *messages, **settings):
    script = SHELL.format(poolctl=box.program("poolctl"))
    return {"command": ["/bin/sh", "-c", script, "sh", *messages], "ready": "notify", **settings}


@claim()
def a_shell_worker_is_ready_when_poolctl_says_so_and_tells_its_requests(box):
    poold = box.poold({"sh": shell(box, "READY=1 REQUESTS=1203 ACTIVE=2", "STATUS=serving")})
    poold.wait_state("sh", "started")

    def told():
        worker = poold.worker("sh")
        return worker if worker["status"] == "serving" else None

    worker = wait_until(told, what="the status of the worker")
    assert (worker["requests"], worker["active"]) == (1203, 2), worker
    assert "1203 +2" in poold.ctl("workers"), poold.ctl("workers")
    assert worker["last_line"] == "exit 0", worker
    os.kill(worker["pid"], signal.SIGKILL)
    fields = poold.wait_event(1009, "sh")["fields"]
    assert (fields["requests"], fields["active"]) == (1203, 2), fields
    poold.stop()


@claim()
def who_says_nothing_of_requests_has_none_told(box):
    poold = box.poold({"sh": shell(box, "READY=1")})
    poold.wait_state("sh", "started")
    worker = poold.worker("sh")
    assert worker["requests"] is None and worker["active"] is None, worker
    poold.stop()


@claim()
def a_worker_that_is_killed_in_its_drain_is_told_with_the_requests_it_lost(box):
    pool = shell(box, "READY=1 ACTIVE=3", health={"shutdown_timeout": "300ms"})
    pool["command"][2] = "trap '' TERM\n" + pool["command"][2]
    poold = box.poold({"sh": pool})
    poold.wait_state("sh", "started")
    poold.ctl("recycle", "sh", "--wait")
    assert poold.wait_event(1013, "sh")["fields"]["active"] == 3
    assert poold.wait_event(6022, "sh")["fields"]["lost"] == 3
    poold.stop()


@claim()
def a_worker_that_asks_for_more_time_gets_it_in_its_start(box):
    may = box.open_path("may")
    pool = shell(box, "READY=1", health={"startup_timeout": "500ms"})
    pool["command"][2] = (f"{box.program('poolctl')} notify EXTEND_TIMEOUT_USEC=4000000\n"
                          f"until [ -e {may} ]; do sleep 0.02; done\n" + pool["command"][2])
    poold = box.poold({"sh": pool})
    worker = wait_until(lambda: poold.workers("sh", "starting"), what="the worker")[0]
    wait_until(lambda: (poold.workers("sh") or [worker])[0]["age"] > 1, what="its time-out to pass")
    box.touch("may")
    poold.wait_state("sh", "started")
    assert poold.worker("sh")["id"] == worker["id"]
    assert not poold.events(1012), poold.events(1012)
    poold.stop()


@claim()
def a_worker_that_asks_for_more_time_gets_ten_times_its_time_out_at_most(box):
    pool = shell(box, "READY=1", "EXTEND_TIMEOUT_USEC=9000000000", health={"shutdown_timeout": "100ms"})
    pool["command"][2] = ("trap '" + box.program("poolctl") + " notify EXTEND_TIMEOUT_USEC=9000000000' TERM\n"
                          + pool["command"][2].replace("sleep 1000", "sleep 0.05"))
    poold = box.poold({"sh": pool})
    poold.wait_state("sh", "started")
    # poolctl must have been run before the 100 ms are over: on a slow machine it comes too late.
    poold.ctl("recycle", "sh", "--wait")
    event = poold.wait_event(1013, "sh")
    assert event["fields"]["limit"] in (0.1, 1.0), event
    assert ("and what it asked for" in event["text"]) == (event["fields"]["limit"] == 1.0), event
    poold.stop()


@claim(needs=["node"])
def a_node_worker_is_ready_when_poolctl_says_so(box):
    script = box.write("worker.js", NODE.format(poolctl=box.program("poolctl")))
    address = box.address()
    poold = box.poold({"node": {"command": ["node", script], "listen": [address],
                                "ready": "notify"}})
    poold.wait_state("node", "started", limit=20)
    running = box.load(address)
    poold.ctl("recycle", "node", "--wait")
    running.finish_without_failure()
    assert poold.worker("node")["status"] == "listening on 3"
    poold.stop()


@claim()
def poolctl_notify_tells_what_is_wrong_with_a_message(box):
    def notify(*messages, path=None):
        """Exit status and what is complained about."""
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        if path is not None:
            environment["NOTIFY_SOCKET"] = path
        done = subprocess.run([box.program("poolctl"), "notify", *messages], env=environment,
                              capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stderr

    path = box.path("notify")
    for messages, status, told in [
            ([], 2, "nothing is named"),
            (["READY"], 2, "it is not KEY=VALUE"),
            (["=1"], 2, "it is not KEY=VALUE"),
            (["STATUS=a\nREADY=1"], 2, "more than one line"),
            (["REQUESTS=many"], 2, "a whole number"),
            (["STATUS=" + "x" * 5000], 2, "has 5007 bytes: a message has at most 4096"),
            (["STATUS=" + "x" * 4000, "RECYCLE=" + "y" * 100], 2, "more than the 4096 bytes"),
            (["READY=1"], 69, "has ended")]:
        assert notify(*messages, path=path)[0] == status, messages
        assert told in notify(*messages, path=path)[1], notify(*messages, path=path)
    status, told = notify("READY=1")
    assert status == 69 and "NOTIFY_SOCKET is not set" in told, told
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as poold:
        poold.bind(path)
        status, told = notify("REDY=1", "STATUS=two words", path=path)
        assert status == 0 and 'did you mean "READY"?' in told, told
        assert poold.recv(100) == b"REDY=1\nSTATUS=two words\n"
