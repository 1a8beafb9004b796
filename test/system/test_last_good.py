"""test_last_good.py - a poold that finds a bad file at its start runs what was good last."""

import json
import os
import re
import shutil

import processes
from harness import IS_ROOT, NOBODY, claim
from waiting import wait_until

BAD = '{"pools": {}, "poools": {}, "include": 7}'


def kept(poold):
    return poold.runtime + ".state/last-good"


def wait_kept(poold, before=None):
    """Until a file is kept that is not the one of before; returns which one it is."""

    def is_there():
        if not os.path.exists(kept(poold)) or poold.keeping():
            return None
        status = os.stat(kept(poold))
        now = (status.st_ino, status.st_mtime_ns)
        return now if now != before else None

    return wait_until(is_there, what=f"another {kept(poold)}")


def one(box, **settings):
    return {"web": box.pool("--ready", "0", ready="notify", **settings)}


@claim()
def a_bad_file_at_the_start_runs_the_last_good_one_and_says_so_everywhere(box):
    log, address = box.log_socket(), box.address()
    poold = box.poold(one(box, listen=address))
    poold.wait_state("web", "started")
    wait_kept(poold)
    config = poold.supervisor()["config"]
    assert config["errors"] == 0 and config["last_good"] is None, config
    assert "last good" not in poold.ctl("status")
    poold.stop()
    assert os.stat(kept(poold)).st_mode & 0o7777 == 0o600
    before = wait_kept(poold)

    poold = box.poold_raw(BAD, logs=(log.path, "stderr")).wait_answering()
    poold.wait_state("web", "started")
    box.load(address).finish_without_failure()
    # Standard error has every error, the log the first, status that it is so.
    said = poold.log()
    for text in ('unknown key "poools"', "/include: ", "the configuration has 2 errors; the last good "
                 "one, of 20"):
        assert text in said, f"{text} is not in {said}"
    line, = wait_until(lambda: [l for l in log.read() if "1041 config-invalid" in l], what="1041")
    assert re.search(r'has 2 errors; running with the last good one, of 20\S+; the first: .*"poools"',
                     line), line
    event, = poold.events(1041)
    assert event["fields"]["errors"] == 2 and event["fields"]["last_good"].startswith("20"), event
    config = poold.supervisor()["config"]
    assert config["errors"] == 2 and config["last_good"].startswith("20"), config
    assert "had 2 errors at the start, so the last good configuration is in force" in poold.ctl(
        "status")

    # An engine that follows says it in status, and not again in the log.
    processes.kill(poold.engine_pid())
    poold.wait_event(6003)
    assert poold.supervisor()["config"]["errors"] == 2
    assert len(poold.events(1041)) == 1
    assert wait_kept(poold) == before, "what stood in was stored again"

    # The repaired file makes it normal, and is the last good one from now on.
    pools = one(box, listen=address, health={"shutdown_timeout": "7s"})
    poold.write_config(box.config(pools))
    poold.call("config.apply")
    config = poold.supervisor()["config"]
    assert config["errors"] == 0 and config["last_good"] is None, config
    assert "last good" not in poold.ctl("status")
    wait_kept(poold, before)
    assert not poold.events(6042)
    poold.stop()


@claim()
def what_was_applied_last_is_what_stands_in(box):
    poold = box.poold(one(box))
    first = wait_kept(poold)
    poold.write_config(box.config({"other": box.pool("--ready", "0", ready="notify")}))
    poold.call("config.apply")
    wait_kept(poold, first)
    poold.stop()
    poold = box.poold_raw(BAD).wait_answering()
    poold.wait_state("other", "started")
    assert [pool["name"] for pool in poold.call("pool.list")["pools"]] == ["other"]
    # A file that is still bad changes nothing.
    assert "unknown key" in poold.ctl("config", "apply", status=78)
    assert poold.supervisor()["config"]["errors"] == 2
    assert poold.state("other") == "started"
    poold.stop()


@claim()
def without_a_last_good_one_a_bad_file_is_the_end(box):
    poold = box.poold_raw(BAD)
    poold.wait_end(status=78)
    assert "the configuration has 2 errors; nothing was started" in poold.log()
    assert not os.path.exists(kept(poold))


@claim(needs=("env",))
def a_relative_path_means_the_same_file_from_the_same_directory_only(box):
    for name in "a", "b":
        os.mkdir(box.path(name))
    good = json.dumps(box.config(one(box)))
    for name, text in ("a/p.json", good), ("b/p.json", BAD):
        with open(box.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(name):
        return box.poold_raw(None, prefix=("env", "-C", box.path(name)),
                             options=("--config", "p.json"))

    poold = start("a").wait_answering()
    wait_kept(poold)
    assert poold.supervisor()["config"]["path"] == box.path("a/p.json"), poold.supervisor()
    poold.stop()
    other = start("b")
    other.wait_end(status=78)
    assert f"of {box.path('a/p.json')}" in other.log(), other.log()
    with open(box.path("a/p.json"), "w", encoding="utf-8") as file:
        file.write(BAD)
    poold = start("a").wait_answering()
    assert poold.supervisor()["config"]["errors"] == 2
    poold.stop()


@claim()
def what_is_not_believed_is_said_and_not_used(box):
    poold = box.poold(one(box))
    wait_kept(poold)
    poold.stop()
    os.chmod(kept(poold), 0o666)
    poold = box.poold_raw(BAD)
    poold.wait_end(status=78)
    assert "no last good configuration can be used" in poold.log(), poold.log()
    assert "others can write it (mode 0666)" in poold.log(), poold.log()


@claim()
def what_another_poold_has_kept_is_not_used(box):
    poold = box.poold(one(box))
    wait_kept(poold)
    poold.stop()
    os.mkdir(box.path("second.state"), 0o700)
    shutil.copy2(kept(poold), box.path("second.state/last-good"))
    second = box.poold_raw(BAD, name="second")
    second.wait_end(status=78)
    assert f"is of {poold.config}: give each poold a --state-dir" in second.log(), second.log()


@claim()
def a_state_directory_that_cannot_be_used_is_a_warning_and_nothing_else(box):
    box.write("r.state", "no directory\n")
    poold = box.poold(one(box))
    poold.wait_state("web", "started")
    event = poold.wait_event(6042)
    assert event["severity"] == "warning", event
    wait_until(lambda: f"cannot open the state directory {poold.runtime}.state: Not a directory" in
               poold.log(), what="the reason")
    worker = poold.worker("web")["pid"]
    # Each configuration is tried once, and an engine that follows does not try again.
    poold.write_config(box.config(one(box, health={"shutdown_timeout": "7s"})))
    poold.call("config.apply")
    wait_until(lambda: len(poold.events(6042)) == 2, what="6042 of the second")
    processes.kill(poold.engine_pid())
    poold.wait_event(6004)
    poold.call("config.diff")
    assert len(poold.events(6042)) == 2, poold.events(6042)
    assert poold.worker("web")["pid"] == worker
    poold.stop()


@claim()
def who_is_not_root_keeps_it_too(box):
    uid = NOBODY if IS_ROOT else None
    poold = box.poold(one(box), uid=uid)
    poold.wait_state("web", "started")
    wait_kept(poold)
    if uid is not None:
        assert os.stat(kept(poold)).st_uid == uid
    poold.stop()
    poold = box.poold_raw(BAD, uid=uid).wait_answering()
    poold.wait_state("web", "started")
    assert poold.supervisor()["config"]["errors"] == 2
    poold.stop()
