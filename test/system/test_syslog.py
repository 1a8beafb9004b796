"""test_syslog.py - events reach a syslog daemon, and a syslog daemon can hold nobody up."""

import os
import re
import signal
import time

import processes
from harness import claim
from waiting import wait_until

RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" CreatePath="off" RateLimit.Interval="0")
*.* action(type="omfile" file="{file}" asyncWriting="off")
"""


class Rsyslog:
    """A real rsyslogd with a socket and a file of its own."""

    def __init__(self, box):
        self.socket, self.file = box.path("dev-log"), box.path("messages")
        config = box.write("rsyslog.conf", RSYSLOG.format(socket=self.socket, file=self.file))
        self.process = box.start("rsyslogd", "-n", "-f", config, "-i", box.path("rsyslog.pid"))
        wait_until(lambda: os.path.exists(self.socket), what="rsyslogd's socket")

    def lines(self, wanted=""):
        try:
            with open(self.file, encoding="utf-8", errors="replace") as file:
                return [line for line in file.read().splitlines() if wanted in line]
        except FileNotFoundError:
            return []


@claim(needs=["rsyslogd"])
def rsyslogd_writes_the_closing_line_of_a_recycle(box):
    rsyslog = Rsyslog(box)
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=[rsyslog.socket])
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    line = wait_until(lambda: rsyslog.lines("recycle-done"), what="the line in the file")[0]
    assert re.search(r" poold\[\d+\]: 6022 recycle-done web/0\.2: ", line), line
    for key in ("cause=on-demand", "old_pid=", "new_pid=", "start=", "drain=", "total=", "seq="):
        assert key in line, f"{key} is not in {line}"
    poold.stop()
    wait_until(lambda: rsyslog.lines("6002 supervisor-stopped"), what="the last line")


@claim(limit=60, needs=["rsyslogd"])
def a_stalled_rsyslogd_holds_nobody_up_and_the_loss_is_counted(box):
    address = box.address()
    rsyslog = Rsyslog(box)
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")},
                      logs=[rsyslog.socket])
    poold.wait_state("web", "started")
    wait_until(lambda: rsyslog.lines("pool-started"), what="the first lines")
    running = box.load(address)
    processes.kill(rsyslog.process.pid, signal.SIGSTOP)
    with poold.control() as control:
        # Far more than the socket's queue takes.
        for _ in range(600):
            control.call("pool.start", pool="web")
    for _ in range(10):
        began = time.monotonic()
        poold.ctl("recycle", "web", "--wait", "--timeout", "10s")
        assert time.monotonic() - began < 5, "a recycle waited for the log"
    running.finish_without_failure()
    kept = len(poold.events())
    processes.kill(rsyslog.process.pid, signal.SIGCONT)
    event = poold.wait_event(6061)
    dropped = event["fields"]["dropped"]
    assert dropped > 0 and event["fields"]["sink"] == rsyslog.socket, event
    wait_until(lambda: rsyslog.lines("6061 events-dropped"), what="the count in the file")
    # Every event of the ring was either written or counted.
    written = len(rsyslog.lines(" poold["))
    told = len(rsyslog.lines("6061 events-dropped"))
    assert written - told + dropped >= kept, (written, told, dropped, kept)
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: rsyslog.lines("6022 recycle-done web/0.12"), what="lines to come again")


@claim()
def a_missing_log_socket_is_no_reason_not_to_run(box):
    path = box.path("log")
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=[path])
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    log = box.log_socket("log")
    event = poold.wait_event(6061)
    assert event["fields"]["dropped"] > 5, event
    wait_until(lambda: [line for line in log.read() if "6061 events-dropped" in line],
               what="the count on the socket")
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: [line for line in log.read() if "6022 recycle-done" in line],
               what="the next line")
    poold.stop()
    log.close()


@claim()
def a_log_daemon_that_is_started_anew_gets_the_next_line(box):
    log = box.log_socket("log")
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=[log.path])
    poold.wait_state("web", "started")
    wait_until(lambda: [line for line in log.read() if "pool-started" in line], what="a line")
    log.close()
    os.unlink(log.path)
    again = box.log_socket("log")
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: [line for line in again.read() if "6022 recycle-done" in line],
               what="a line at the new socket")
    assert not poold.events(6061), "a restart alone loses nothing"
    again.close()


@claim()
def events_go_to_every_log_that_is_named(box):
    log = box.log_socket("log")
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=["stderr", log.path])
    poold.wait_state("web", "started")
    poold.stop()
    told = "".join(log.read())
    for word in ("supervisor-started", "worker-ready", "pool-started", "worker-exited",
                 "supervisor-stopped"):
        assert word in told and word in poold.log(), word
    # Facility daemon; severity as in the catalogue.
    levels = dict(re.findall(r"^<(\d+)>.*?: \d+ ([\w-]+)", line)[0][::-1] for line in log.lines)
    assert levels["worker-ready"] == str(3 * 8 + 6) and levels["pool-started"] == str(3 * 8 + 5)
    log.close()


@claim()
def a_name_with_control_characters_cannot_forge_a_line(box):
    log = box.log_socket("log")
    forged = "x\n<3>Jan  1 00:00:00 poold[1]: 1002 pool-disabled web: forged"
    poold = box.poold({"web": box.pool("--ready", "0", "--once", box.touch("once"), "--print",
                                       forged, "--exit", "1", ready="notify")}, logs=[log.path])
    poold.wait_event(1009, "web")
    poold.stop()
    for line in log.read():
        assert "\n" not in line and "\x1b" not in line, line
        if re.search(r"^<\d+>\w+ +\d+ [\d:]+ poold\[\d+\]: 1002 ", line):
            raise AssertionError(f"forged: {line}")
    log.close()


@claim(needs=["rsyslogd"])
def rsyslogd_is_told_why_a_configuration_was_refused(box):
    rsyslog = Rsyslog(box)
    poold = box.poold_raw('{ "pools": {}, "pol": 1,\n "pols": {} }', logs=[rsyslog.socket, "stderr"])
    poold.wait_end(10, 78)
    line = wait_until(lambda: rsyslog.lines("config-invalid"), what="the line in the file")[0]
    assert re.search(r" poold\[\d+\]: 1041 config-invalid the configuration is refused", line), line
    for words in ("2 errors; the first: ", '/pol: unknown key "pol"', "errors=2", f"file={poold.config}"):
        assert words in line, f"{words} is not in {line}"
    assert "pols" not in line, line
    # Standard error has every error once, and nothing of the event.
    said = poold.log()
    assert said.count('unknown key "pol"') == 1 and said.count('unknown key "pols"') == 1, said
    assert "config-invalid" not in said and said.count("\n") == 3, said


@claim()
def a_good_configuration_is_no_event_of_a_refusal(box):
    log = box.log_socket("log")
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=[log.path])
    poold.wait_state("web", "started")
    poold.stop()
    told = log.read()
    assert [line for line in told if "6000 supervisor-started" in line], told
    assert not [line for line in told if "1041" in line], told
    log.close()
