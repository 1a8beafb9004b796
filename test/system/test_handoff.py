"""test_handoff.py - what a worker is born with: sockets, environment, identity, and nothing else."""

import errno
import grp
import os
import pwd
import resource

from harness import IS_ROOT, NOBODY, claim
from waiting import wait_until


def dump(box, listen, **settings):
    """Runs fixture_dump as a worker; returns its sections as lists of lines, and poold."""
    path = box.open_path("dump")
    pool = {"command": [box.program("fixture_dump"), path, "an argument", ""], "ready": "notify",
            **settings}
    if listen:
        pool["listen"] = listen
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started")
    sections, section = {}, None
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("[") and line.endswith("]"):
                section = sections.setdefault(line[1:-1], [])
            else:
                section.append(line)
    return poold, sections


def pairs(lines, separator="="):
    return dict((part.strip() for part in line.split(separator, 1)) for line in lines
                if separator in line)


def descriptors(sections):
    """{number: (target, {flag: value})}"""
    found = {}
    for line in sections["descriptors"]:
        number, target, *flags = line.split()
        found[int(number)] = (target, pairs(flags))
    return found


@claim()
def listen_fds_gives_sockets_from_3_and_says_so(box):
    first, second = box.address(), box.unix()
    poold, sections = dump(box, [first, second])
    environment = pairs(sections["environment"])
    pid = str(poold.worker("web")["pid"])
    assert environment["LISTEN_FDS"] == "2" and environment["LISTEN_PID"] == pid, environment
    assert environment["LISTEN_FDNAMES"] == "web:web", environment
    held = descriptors(sections)
    for number in (3, 4):
        target, flags = held[number]
        assert target.startswith("socket:"), held
        assert flags["listening"] == "1" and flags["nonblock"] == "1", held
        assert flags["cloexec"] == "0", held


@claim()
def nothing_else_is_inherited(box):
    _, sections = dump(box, [box.address()])
    held = descriptors(sections)
    assert sorted(held) == [0, 1, 2, 3], held
    assert held[0][0] == "/dev/null", held
    assert held[1][0].startswith("pipe:") and held[1][0] == held[2][0], held
    assert held[1][1]["mode"] == str(os.O_RDWR), "the pipe must never lose its last reader"


@claim()
def the_environment_is_clean_and_complete(box):
    os.environ.update(LISTEN_FDS="7", LISTEN_PID="1", NOTIFY_SOCKET="/nowhere", WATCHDOG_USEC="1",
                      POOLD_POOL="forged", SECRET="of the supervisor", LD_PRELOAD="")
    poold, sections = dump(box, [], environment={"COLOUR": "green", "HOME": "/elsewhere"})
    environment = pairs(sections["environment"])
    user = pwd.getpwuid(NOBODY if IS_ROOT else os.getuid())
    socket = environment.pop("NOTIFY_SOCKET")
    assert socket.startswith(poold.runtime + "/w/") and len(os.path.basename(socket)) == 32, socket
    environment.pop("TZ", None)
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/elsewhere", "USER": user.pw_name, "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell, "LANG": "C.UTF-8", "COLOUR": "green",
        "POOLD_POOL": "web", "POOLD_WORKER": "0.1", "POOLD_PROTOCOL": "1",
    }, environment
    assert sections["arguments"][2:] == ["an argument", ""], sections["arguments"]


@claim()
def handoff_fd_gives_sockets_and_says_nothing(box):
    _, sections = dump(box, [box.address()], handoff="fd")
    environment = pairs(sections["environment"])
    assert not [key for key in environment if key.startswith("LISTEN_")], environment
    held = descriptors(sections)
    assert sorted(held) == [0, 1, 2, 3] and held[3][1]["listening"] == "1", held


@claim()
def handoff_none_gives_no_socket(box):
    _, sections = dump(box, [], handoff="none")
    assert sorted(descriptors(sections)) == [0, 1, 2], sections["descriptors"]
    environment = pairs(sections["environment"])
    assert not [key for key in environment if key.startswith("LISTEN_")], environment


def variables(sections, *prefixes):
    """Those of the environment that begin so."""
    return {key: value for key, value in pairs(sections["environment"]).items()
            if key.startswith(prefixes)}


HANDOFF_VARIABLES = ("LISTEN_", "NGINX", "FPM_")


@claim()
def handoff_stdin_gives_the_socket_as_0_and_blocking(box):
    _, sections = dump(box, [box.address()], handoff="stdin")
    held = descriptors(sections)
    assert sorted(held) == [0, 1, 2], held
    assert held[0][1]["listening"] == "1" and held[0][1]["nonblock"] == "0", held
    assert not variables(sections, *HANDOFF_VARIABLES), sections["environment"]


@claim()
def handoff_nginx_names_the_numbers(box):
    _, sections = dump(box, [box.address(), box.unix()], handoff="nginx")
    held = descriptors(sections)
    assert sorted(held) == [0, 1, 2, 3, 4], held
    assert all(held[n][1]["listening"] == "1" and held[n][1]["nonblock"] == "1" for n in (3, 4))
    assert variables(sections, *HANDOFF_VARIABLES) == {"NGINX": "3;4;"}, sections["environment"]


@claim()
def handoff_fpm_names_the_addresses_and_blocks(box):
    tcp, unix = box.address(), box.unix()
    _, sections = dump(box, [tcp, unix], handoff="fpm")
    held = descriptors(sections)
    assert sorted(held) == [0, 1, 2, 3, 4], held
    assert all(held[n][1]["listening"] == "1" and held[n][1]["nonblock"] == "0" for n in (3, 4))
    assert variables(sections, *HANDOFF_VARIABLES) == {
        "FPM_SOCKETS": f"{tcp}=3,{unix[5:]}=4"}, sections["environment"]


@claim()
def what_a_worker_with_null_output_says_is_no_event(box):
    pool = {"command": [box.program("fixture_talk"), "lines", "20"], "ready": "notify"}
    poold = box.poold({"silent": {**pool, "output": "null"}, "loud": pool})
    poold.wait_state("silent", "started")
    poold.wait_state("loud", "started")
    wait_until(lambda: poold.worker("loud")["last_line"] == "line 19", what="the last line")
    assert not poold.worker("silent")["last_line"], poold.worker("silent")


@claim()
def umask_and_limits_are_those_of_the_pool(box):
    _, sections = dump(box, [], umask="0027",
                       limits={"nofile": 321, "core": "1MiB", "nice": 5, "oom_score_adjust": 234})
    assert pairs(sections["process"])["umask"] == "0027", sections["process"]
    assert pairs(sections["process"])["nice"] == "5", sections["process"]
    assert sections["oom_score_adj"] == ["234"], sections["oom_score_adj"]
    limits = {line[:25].strip(): line[25:].split()[:2] for line in sections["limits"]}
    assert limits["Max open files"] == ["321", "321"], limits
    assert limits["Max core file size"] == ["1048576", "1048576"], limits


@claim(root=True)
def the_priority_may_rise_before_the_user_is_taken(box):
    _, sections = dump(box, [], limits={"nice": -4})
    assert pairs(sections["process"])["nice"] == "-4", sections["process"]


@claim(root=True)
def groups_are_those_that_the_pool_names(box):
    _, sections = dump(box, [], identity={"user": "daemon", "groups": ["games", "mail"]})
    status = pairs(sections["status"], ":")
    expected = sorted(grp.getgrnam(name).gr_gid for name in ("games", "mail"))
    assert [int(group) for group in status["Groups"].split()] == expected, status["Groups"]


@claim()
def new_privileges_are_forbidden_unless_the_pool_allows_them(box):
    identity = {"user": pwd.getpwuid(NOBODY).pw_name} if IS_ROOT else {}
    _, sections = dump(box, [], identity={**identity, "no_new_privileges": False})
    assert pairs(sections["status"], ":")["NoNewPrivs"] == "0"


@claim(root=True)
def a_worker_of_root_s_poold_keeps_no_privilege(box):
    _, sections = dump(box, [box.address()])
    status = pairs(sections["status"], ":")
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[key], 16) == 0, f"{key} {status[key]}"
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == [str(NOBODY)] * 4
    gid = pwd.getpwuid(NOBODY).pw_gid
    assert status["Gid"].split() == [str(gid)] * 4
    assert status["Groups"].split() in ([], [str(gid)]), status["Groups"]


@claim(root=True)
def a_group_of_its_own_is_taken(box):
    _, sections = dump(box, [], identity={"user": "daemon", "group": "games"})
    status = pairs(sections["status"], ":")
    assert status["Uid"].split()[0] == str(pwd.getpwnam("daemon").pw_uid)
    assert status["Gid"].split() == [str(grp.getgrnam("games").gr_gid)] * 4, status["Gid"]


@claim()
def signals_session_and_place_are_fresh(box):
    place = box.path("place")
    os.mkdir(place)
    poold, sections = dump(box, [], directory=place)
    status = pairs(sections["status"], ":")
    for key in ("SigBlk", "SigIgn"):
        assert int(status[key], 16) == 0, f"{key} {status[key]}"
    process = pairs(sections["process"])
    assert process["pid"] == process["pgid"] == process["sid"], process
    assert process["umask"] == "0022" and process["directory"] == place, process
    assert process["ppid"] == str(poold.pid), process


@claim()
def limits_are_those_that_poold_was_started_with(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (777, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    _, sections = dump(box, [])
    line = next(line for line in sections["limits"] if line.startswith("Max open files"))
    assert line.split()[3] == "777", line


@claim()
def the_notify_socket_is_the_worker_s_own_and_goes_with_it(box):
    poold, sections = dump(box, [])
    path = pairs(sections["environment"])["NOTIFY_SOCKET"]
    status = os.stat(path)
    assert status.st_mode & 0o777 == 0o600, oct(status.st_mode)
    assert status.st_uid == (NOBODY if IS_ROOT else os.getuid())
    poold.ctl("stop", "web", "--wait")
    wait_until(lambda: not os.path.exists(path), what="the socket to be gone")


@claim()
def a_worker_can_log_while_nobody_reads(box):
    # More than a pipe holds: what poold does not take must not hold the worker up for ever.
    poold = box.poold({"web": {"command": [box.program("fixture_talk"), "lines", "20000"],
                               "ready": "notify"}})
    poold.wait_state("web", "started")
    wait_until(lambda: poold.worker("web")["last_line"] == "line 19999", 15, "the last line")
