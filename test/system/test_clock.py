"""test_clock.py - clock times are right in every zone, and a schedule runs when they come."""

import datetime
import os
import signal
import subprocess
import time
import zoneinfo

import processes
from harness import Skip, claim
from waiting import wait_until

# Changes at other hours, by half an hour, at midnight, to the other side of the date line, none, and
# zones of the southern half; Casablanca changes for a month in the middle of its summer.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
         "Africa/Casablanca", "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu", "UTC"]
TIMES = [0, 30, 90, 120, 135, 150, 180, 12 * 60, 23 * 60 + 59]
EPOCH = datetime.datetime(1970, 1, 1)
FIRST, LAST = datetime.datetime(2016, 1, 1), datetime.datetime(2026, 1, 1)


def expected(zone, day, minute):
    """By zoneinfo: the first of two, or the first second after a gap, found minute by minute."""
    local = EPOCH + datetime.timedelta(days=day, minutes=minute)
    at = local.replace(tzinfo=zone, fold=0)
    utc = at.astimezone(datetime.timezone.utc)
    if utc.astimezone(zone).replace(tzinfo=None) == local:
        return int(utc.timestamp())
    # It does not exist: the first instant whose clock shows more. A gap is a day long at most.
    probe = int((local - EPOCH).total_seconds()) - 26 * 3600
    while True:
        shown = datetime.datetime.fromtimestamp(probe, zone).replace(tzinfo=None)
        if shown >= local:
            return probe
        gap = (local - shown).total_seconds()
        probe += 60 if gap <= 26 * 3600 + 60 else 3600


@claim(limit=120)
def ten_years_of_clock_times_in_nine_zones_agree_with_another_implementation(box):
    days = range((FIRST - EPOCH).days, (LAST - EPOCH).days)
    compared = 0
    for name in ZONES:
        try:
            zone = zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError:
            raise Skip("no time-zone database is installed") from None
        asked = [(day, minute) for day in days for minute in TIMES]
        done = subprocess.run([box.program("fixture_civil")], text=True, capture_output=True,
                              input="".join(f"{d} {m}\n" for d, m in asked), check=True,
                              env={**os.environ, "TZ": name}, timeout=60)
        got = [int(line) for line in done.stdout.split()]
        assert len(got) == len(asked), (name, len(got))
        for (day, minute), instant in zip(asked, got):
            assert instant == expected(zone, day, minute), (name, day, minute, instant)
        compared += len(got)
    assert compared == len(ZONES) * len(days) * len(TIMES)


# --- a schedule that runs: in a zone of the test's own a minute begins when the test wants it


def zone_in_which_it_is(minute, seconds_from_now):
    """TZ by whose clock the minute (of the day) begins so many seconds from now."""
    at = int(time.time()) + seconds_from_now
    ahead = (minute * 60 - at) % 86400  # of UTC
    if ahead > 12 * 3600:
        ahead -= 86400
    sign, ahead = ("-" if ahead >= 0 else "+"), abs(ahead)
    return f"XYZ{sign}{ahead // 3600}:{ahead // 60 % 60:02}:{ahead % 60:02}"


def scheduled(box, *times, zone, **settings):
    """Two workers that serve; TZ is poold's while it starts."""
    address = box.address()
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    try:
        poold = box.poold({"web": box.pool("--ready", "20", listen=address, ready="notify",
                                           workers={"min": 2},
                                           recycling={"schedule": list(times)}, **settings)})
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
    poold.wait_state("web", "started")
    return poold, address


@claim(limit=60)
def a_schedule_replaces_every_worker_at_its_time_and_no_request_fails(box):
    poold, address = scheduled(box, "12:00", "13:00", zone=zone_in_which_it_is(12 * 60, 12))
    planned = poold.pool("web")["next_recycle"]
    assert planned["cause"] == "schedule" and "T12:00:00" in planned["at"], planned
    assert "all workers are replaced at" in poold.ctl("status", "web")
    running = box.load(address)
    told = poold.wait_event(1076, "web", limit=30)
    assert told["fields"]["time"] == "12:00", told
    wait_until(lambda: len(poold.events(6022, "web", cause="schedule")) == 2, what="both workers")
    running.finish_without_failure()
    assert "T13:00:00" in poold.pool("web")["next_recycle"]["at"]
    # An engine that begins right after it knows that this date has run.
    processes.kill(poold.engine_pid())
    poold.wait_event(6004, limit=20)
    assert len(poold.events(1076, "web")) == 1
    poold.stop()


@claim(limit=60)
def a_time_that_passed_before_poold_ran_is_not_run_late(box):
    poold, _ = scheduled(box, "12:00", zone=zone_in_which_it_is(12 * 60, -10))
    planned = poold.pool("web")["next_recycle"]
    assert "T12:00:00" in planned["at"], planned
    assert not poold.events(1076, "web")
    tomorrow = datetime.datetime.fromisoformat(planned["at"]).timestamp() - time.time()
    assert tomorrow > 3600, planned


@claim(limit=60)
def a_time_that_comes_while_the_engine_is_away_is_run_by_the_next_one(box):
    at = time.time() + 12  # status cannot say: its offset from UTC has no seconds
    poold, _ = scheduled(box, "12:00", zone=zone_in_which_it_is(12 * 60, 12))
    engine = poold.engine_pid()
    processes.kill(engine, signal.SIGSTOP)
    assert time.time() < at - 1, "the machine is too slow for this test"
    try:
        wait_until(lambda: time.time() > at + 2, limit=30, what="the time to pass")
    finally:
        processes.kill(engine)
    poold.wait_event(1076, "web", limit=20)


@claim(limit=60)
def a_changed_schedule_holds_at_once(box):
    poold, _ = scheduled(box, "03:00", zone=zone_in_which_it_is(12 * 60, 600))
    for times, planned in ((["04:00"], "T04:00:00"), (["11:59"], "T11:59:00"), ([], None)):
        poold.write_config(box.config({"web": box.pool(
            "--ready", "20", listen=poold.pool("web")["listen"], ready="notify",
            workers={"min": 2}, recycling={"schedule": times, "time": "0s"})}))
        poold.call("config.apply")
        now = poold.pool("web")["next_recycle"]
        assert (now is None) if planned is None else planned in now["at"], (times, now)
