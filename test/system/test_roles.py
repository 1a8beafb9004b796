"""test_roles.py - who may do what over the control socket, with real users and their groups."""

import contextlib
import grp
import json
import os
import pwd
import signal
import subprocess

import processes
from control import Control, Refused
from harness import IS_ROOT, NOBODY, claim
from waiting import wait_until

# Users and groups that every Debian has. None runs anything here.
ADMIN, OPERATOR, VIEWER, STRANGER = "bin", "games", "daemon", "sys"
OTHERS = ["man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup"]
ROLES = {"admin": [ADMIN], "operator": [OPERATOR], "viewer": [VIEWER]}
RANKS = ["viewer", "operator", "admin"]


@contextlib.contextmanager
def acting_as(user, *groups):
    """What connects in here is that user, with these supplementary groups and no others."""
    entry, before = pwd.getpwnam(user), os.getgroups()
    os.setgroups([grp.getgrnam(group).gr_gid for group in groups])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def connect(poold, user, *groups):
    path = poold.control_path()
    with acting_as(user, *groups):
        return Control(path)


def serving(box):
    return {"web": box.pool("--ready", "0", ready="notify")}


def config(box, control, pools=None):
    return {**box.config(pools or serving(box)), "control": control}


def start(box, control, **options):
    poold = box.poold_raw(config(box, control), **options).wait_answering()
    poold.wait_state("web", "started")
    return poold


def apply(poold, control):
    poold.write_config(config(poold.box, control))
    return poold.call("config.apply")


def refusal(control, method, **params):
    """The error of a call that must fail."""
    try:
        result = control.call(method, **params)
    except Refused as refused:
        return refused
    raise AssertionError(f"{method} was answered with {result}")


def mode(poold):
    return os.stat(poold.control_path()).st_mode & 0o777


@claim(root=True)
def each_method_needs_the_role_of_the_table(box):
    poold = start(box, ROLES)
    methods = poold.call("server.version")["methods"]
    assert {method["role"] for method in methods} == set(RANKS), methods
    for role, user in (("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN)):
        with connect(poold, user) as control:
            assert control.call("server.version")["role"] == role
            for method in methods:
                # Whoever may call it is told of the parameter; nobody changes anything.
                code = refusal(control, method["name"], nonsense=1).code
                allowed = RANKS.index(role) >= RANKS.index(method["role"])
                assert code == (-32602 if allowed else 77), (user, method, code)
    assert poold.call("server.version")["role"] == "admin", "root needs no name"
    with connect(poold, OPERATOR) as control:
        assert control.call("pool.stop", pool="web", wait=True)["state"] == "stopped"
    event = poold.events(6050, "web", method="pool.stop")[0]
    assert event["fields"]["user"] == OPERATOR, event
    assert f"pool.stop by user {OPERATOR} (uid {pwd.getpwnam(OPERATOR).pw_uid}, pid " in event["text"]


@claim(root=True)
def a_viewer_that_stops_a_pool_is_refused_and_told_how_to_get_the_role(box):
    poold = start(box, ROLES)
    with connect(poold, VIEWER) as control:
        refused = refusal(control, "pool.stop", pool="web")
        assert refused.code == 77 and refused.data["method"] == "pool.stop", refused
        assert (refused.data["needs"], refused.data["role"]) == ("operator", "viewer"), refused.data
        assert refused.data["user"] == VIEWER, refused.data
        assert refused.data["uid"] == pwd.getpwnam(VIEWER).pw_uid, refused.data
        for part in (f'"{VIEWER}"', "control.operator", poold.config, "config apply"):
            assert part in refused.data["how"], refused.data
        assert control.call("pool.get", pool="web")["state"] == "started"
    event = poold.wait_event(6050, method="pool.stop", result="denied")
    assert event["fields"]["user"] == VIEWER and "needs the role operator" in event["text"], event
    done = subprocess.run(
        [box.program("poolctl"), "--runtime-dir", poold.runtime, "stop", "web"],
        capture_output=True, text=True, timeout=20, check=False, user=VIEWER, group=VIEWER,
        extra_groups=[])
    assert done.returncode == 77, done
    assert "pool.stop needs the role operator, yours is viewer" in done.stderr, done
    assert f'hint: an admin names "{VIEWER}", or one of its groups' in done.stderr, done


@claim(root=True)
def a_stranger_gets_one_line_and_is_closed(box):
    poold = start(box, ROLES)
    with connect(poold, STRANGER) as control:
        error = control.read_message()["error"]
        assert error["code"] == 77, error
        assert (error["data"]["needs"], error["data"]["role"]) == ("viewer", "none"), error
        assert error["data"]["user"] == STRANGER and STRANGER in error["message"], error
        assert control.read_line() is None
    event = poold.wait_event(6050, method="connect", result="denied")
    assert event["fields"]["user"] == STRANGER, event
    done = subprocess.run(
        [box.program("poolctl"), "--runtime-dir", poold.runtime, "status"],
        capture_output=True, text=True, timeout=20, check=False, user=STRANGER, group=STRANGER,
        extra_groups=[])
    assert done.returncode == 77 and "has no role here" in done.stderr, done
    assert "hint: an admin names" in done.stderr, done


@claim(root=True)
def a_role_comes_by_the_own_group_and_by_supplementary_ones(box):
    poold = start(box, {"operator": ["@" + OPERATOR], "viewer": [STRANGER]})
    with connect(poold, STRANGER) as control:
        assert control.call("server.version")["role"] == "viewer"
    with connect(poold, STRANGER, "tty", OPERATOR, "audio") as control:
        assert control.call("server.version")["role"] == "operator", "the highest of several"
    with connect(poold, OPERATOR) as control:
        assert control.call("server.version")["role"] == "operator", "its own group"
    with connect(poold, VIEWER, "tty", "audio") as control:
        assert control.read_message()["error"]["code"] == 77
    many = [entry.gr_name for entry in grp.getgrall() if entry.gr_name != OPERATOR]
    assert len(many) > 30, many
    with connect(poold, VIEWER, *many, *many, *many, OPERATOR) as control:
        assert control.call("server.version")["role"] == "operator", "more than fit at once"


@claim(root=True)
def the_mode_of_the_socket_follows_the_roles(box):
    poold = start(box, {"admin": ["root"]})
    assert mode(poold) == 0o600
    inode = os.stat(poold.control_path()).st_ino
    apply(poold, {"viewer": [VIEWER]})
    assert mode(poold) == 0o666
    apply(poold, {"admin": ["root"], "viewer": ["@root"]})
    assert mode(poold) == 0o666, "a group is others"
    apply(poold, {})
    assert mode(poold) == 0o600 and os.stat(poold.control_path()).st_ino == inode
    assert os.stat(poold.runtime).st_mode & 0o777 == 0o711


@claim(root=True)
def a_33rd_connection_of_a_user_is_refused_and_a_full_house_still_serves_admins(box):
    poold = start(box, {"viewer": OTHERS + [VIEWER], "admin": [ADMIN]})
    with contextlib.ExitStack() as stack:
        for user in OTHERS:
            for _ in range(31):
                stack.enter_context(connect(poold, user)).call("server.version")
        first = stack.enter_context(connect(poold, VIEWER)).read_message()["error"]
        assert first["code"] == 69 and "248 clients are connected" in first["message"], first
        for _ in range(7):
            stack.enter_context(connect(poold, ADMIN)).call("server.version")
        assert poold.supervisor()["clients"]["connected"] == 256
        last = stack.enter_context(connect(poold, ADMIN))
        assert last.call("server.version")["role"] == "admin"
        full = stack.enter_context(poold.control()).read_message()["error"]
        assert full["code"] == 69 and "256" in full["message"], full
    wait_until(lambda: poold.supervisor()["clients"]["connected"] == 1, what="all to be gone")
    with contextlib.ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(connect(poold, VIEWER)).call("server.version")
        more = stack.enter_context(connect(poold, VIEWER)).read_message()["error"]
        assert more["code"] == 69 and "32" in more["message"], more
        stack.enter_context(connect(poold, OTHERS[0])).call("server.version")


@claim(root=True)
def roles_change_at_once_for_those_who_are_connected(box):
    poold = start(box, ROLES)
    with contextlib.ExitStack() as stack:
        def open_as(user):
            return stack.enter_context(connect(poold, user))

        follower, other, waiter, idle, rises = (
            open_as(VIEWER), open_as(OPERATOR), open_as(OPERATOR), open_as(VIEWER), open_as(ADMIN))
        follower.call("events.subscribe")
        other.call("events.subscribe")
        # An operator is a viewer now, the viewer nobody, and the admin an operator.
        plan = apply(poold, {"operator": [ADMIN], "viewer": ["@" + OPERATOR]})
        assert [key["key"] for key in plan["keys"]] == [
            "control.admin", "control.operator", "control.viewer"], plan
        assert (plan["keys"][2]["from"], plan["keys"][2]["to"]) == (
            [VIEWER], ["@" + OPERATOR]), plan
        assert plan["keys"][2]["takes_effect"] == "at once" and not plan["pools"], plan
        last = None
        while (message := follower.read_message()) is not None:
            last = message
        assert last["error"]["code"] == 77 and last["error"]["data"]["role"] == "none", last
        assert refusal(idle, "server.version").code == 77
        assert idle.read_line() is None
        assert refusal(waiter, "pool.stop", pool="web").data["role"] == "viewer"
        assert waiter.call("pool.get", pool="web")["state"] == "started"
        assert refusal(rises, "config.check").data["role"] == "operator"
        assert rises.call("pool.stop", pool="web", wait=True)["state"] == "stopped"
        while other.next_event()["name"] != "pool-stopped":
            pass
        apply(poold, ROLES)
        assert rises.call("config.check")["pool_count"] == 1
        assert waiter.call("pool.start", pool="web", wait=True)["state"] == "started"


@claim(root=True)
def a_follower_whose_role_is_taken_away_ends_with_77(box):
    poold = start(box, ROLES)
    following = box.start(
        box.program("poolctl"), "--runtime-dir", poold.runtime, "events", "--follow",
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=VIEWER, group=VIEWER,
        extra_groups=[])
    wait_until(lambda: poold.supervisor()["clients"]["subscribed"] == 1, what="a follower")
    apply(poold, {})
    _, said = following.communicate(timeout=20)
    assert following.returncode == 77 and "was taken away" in said, said


@claim(root=True)
def a_new_engine_and_the_last_good_configuration_keep_the_roles(box):
    poold = start(box, ROLES)
    processes.kill(poold.engine_pid())
    poold.wait_event(6003)
    with connect(poold, VIEWER) as control:
        assert control.call("server.version")["role"] == "viewer"
    wait_until(lambda: os.path.exists(poold.runtime + ".state/last-good") and not poold.keeping(),
               what="the configuration to be stored")
    poold.stop()
    again = box.poold_raw('{"control": {"viewer": ["daemo"]}}', name="r").wait_answering()
    assert again.supervisor()["config"]["errors"] == 1
    with connect(again, OPERATOR) as control:
        assert control.call("server.version")["role"] == "operator"
    with connect(again, STRANGER) as control:
        assert control.read_message()["error"]["code"] == 77
    assert mode(again) == 0o666


@claim(root=True)
def garbage_of_a_viewer_harms_nobody(box):
    poold = start(box, ROLES)
    engine = poold.engine_pid()
    for data in (os.urandom(70000), b"\0" * 100 + b"\n", b'{"jsonrpc":"2.0","id":1}\n' * 50,
                 b"[" * 60000 + b"\n", b'{"method":"pool.stop","params":{"pool":"web"}}\n'):
        with connect(poold, VIEWER) as control:
            with contextlib.suppress(ConnectionError):
                control.send_bytes(data)
                assert "error" in control.read_message()
    assert poold.engine_pid() == engine and poold.state("web") == "started"


@claim(root=True)
def the_own_user_of_an_unprivileged_poold_gives_roles_to_others(box):
    path = box.open_path("c")
    poold = box.poold_raw(
        {"pools": serving(box), "control": {"socket": path, "operator": [VIEWER]}}, uid=NOBODY)
    poold.wait_answering().wait_state("web", "started")
    assert os.stat(path).st_uid == NOBODY and mode(poold) == 0o666
    with connect(poold, VIEWER) as control:
        assert control.call("pool.stop", pool="web", wait=True)["state"] == "stopped"
        assert refusal(control, "config.apply").data["needs"] == "admin"
    with connect(poold, pwd.getpwuid(NOBODY).pw_name) as control:
        assert control.call("server.version")["role"] == "admin"
    with connect(poold, STRANGER) as control:
        assert control.read_message()["error"]["code"] == 77


@claim()
def another_path_is_bound_before_the_old_one_goes_and_nobody_is_cut_off(box):
    poold = start(box, {})
    default, other = os.path.join(poold.runtime, "control"), box.path("c")
    before = poold.descriptors()
    with poold.control() as stays:
        stays.call("events.subscribe")
        plan = apply(poold, {"socket": other})
        assert plan["keys"] == [{"key": "control.socket", "from": default, "to": other,
                                 "takes_effect": "by binding the socket"}], plan
        assert not os.path.lexists(default) and poold.control_path() == other
        assert stays.call("pool.get", pool="web")["state"] == "started", "who was there stays"
        poold.ctl("recycle", "web", "--wait")
        while stays.next_event()["name"] != "recycle-done":
            pass
    done = subprocess.run([box.program("poolctl"), "--socket", other, "status"], timeout=20,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "web" in done.stdout, done
    processes.kill(poold.engine_pid())
    poold.wait_event(6003)
    assert poold.control_path() == other and mode(poold) == 0o600
    apply(poold, {})
    assert poold.control_path() == default and not os.path.lexists(other)
    poold.ctl("status")
    poold.wait_descriptors(before)
    apply(poold, {"socket": other})
    poold.stop()


@claim()
def a_path_that_cannot_be_bound_refuses_the_whole_change(box):
    poold = start(box, {})
    worker, before = poold.worker("web")["pid"], poold.descriptors()
    taken = box.write("file", "mine")
    with Control(poold.control_path()) as stays:
        for path, why in ((box.path("no/such/c"), "No such file or directory"),
                          (taken, "Address already in use"), (box.directory, "Address already in use"),
                          (os.path.join(poold.runtime, "lock"), "Address already in use")):
            poold.write_config({**box.config({"web": box.pool("--ready", "1", ready="notify")}),
                                "control": {"socket": path, "viewer": ["root"]}})
            poold.listeners.remove(path)
            refused = refusal(stays, "config.apply")
            assert refused.code == 1 and path in refused.message and why in refused.message, refused
            assert "control socket" in refused.message, refused
            assert poold.control_path() == os.path.join(poold.runtime, "control")
    poold.wait_event(1041)
    with open(taken, encoding="utf-8") as file:
        assert file.read() == "mine"
    assert poold.worker("web")["pid"] == worker and mode(poold) == 0o600
    poold.wait_descriptors(before)


@claim()
def a_socket_at_which_workers_accept_never_becomes_the_control_socket(box):
    path, other = box.unix("p"), box.unix("q")
    worker = box.pool("--ready", "0", listen=path, ready="notify")
    poold = box.poold({"web": worker})
    poold.wait_state("web", "started")
    poold.write_config({**box.config({"web": {**worker, "listen": [other]}}),
                        "control": {"socket": path[5:]}})
    with poold.control() as control:
        refused = refusal(control, "config.apply")
    assert refused.code == 1 and "control socket" in refused.message, refused
    assert poold.pool("web")["listen"] == [path], poold.pool("web")
    box.load(path).finish_without_failure()


@claim()
def a_poold_that_was_killed_leaves_its_place_to_the_next_one(box):
    path = box.path("c")
    poold = start(box, {"socket": path})
    os.kill(poold.engine_pid(), signal.SIGSTOP)  # it goes on listening, but not for long
    poold.send_signal(signal.SIGKILL)
    poold.wait_end(status=-signal.SIGKILL)
    assert os.path.exists(path)
    left = processes.descendants(os.getpid())
    again = box.poold_raw(config(box, {"socket": path}))
    # Until then it may be the old one that has the path, and it answers nobody.
    wait_until(lambda: f" pid={again.pid} pools=1" in again.log(), what="the next one to run")
    assert again.control_path() == path
    again.wait_answering().wait_state("web", "started")
    for pid in left:
        processes.kill(pid)
        os.waitpid(pid, 0)
    again.stop()


def check(box, text, status):
    path = box.write("check.json", text if isinstance(text, str) else json.dumps(text))
    done = subprocess.run([box.program("poold"), "--check", "--config", path], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == status, done
    return done.stdout + done.stderr


@claim()
def names_that_nobody_has_are_errors_with_their_place_and_the_nearest_name(box):
    said = check(box, '{\n  "control": {\n    "viewer": ["root", "rooot"],\n'
                      '    "admin": ["@roott", 7, "@"]\n  }\n}\n', 78)
    for part in ('check.json:3:24: /control/viewer/1: there is no user "rooot"; did you mean "root"?',
                 'check.json:4:15: /control/admin/0: there is no group "roott"; did you mean "root"?',
                 "check.json:4:25: /control/admin/1: found the number 7, but the name of a user",
                 "check.json:4:28: /control/admin/2: found the string \"@\", but the name of a user"):
        assert part in said, said


@claim()
def a_socket_that_a_pool_listens_on_is_refused(box):
    path = box.path("c")
    said = check(box, {**box.config({"web": box.pool(listen=f"unix:{path}")}),
                       "control": {"socket": path}}, 78)
    assert f'/control/socket: the control socket cannot be "{path}", where the pool "web"' in said


@claim()
def a_check_warns_of_roles_that_surprise(box):
    closed = box.path("closed")
    os.mkdir(closed, 0o700)
    control = {"socket": closed + "/c", "viewer": ["@root"]}
    said = check(box, config(box, control), 0)
    assert f"warning: control.socket: {closed} has mode 0700, so not everybody" in said, said
    assert "is viewer by" not in said, said
    said = check(box, config(box, {"socket": closed + "/c", "viewer": ["root"]}), 0)
    assert "control.socket" not in said, said
    if IS_ROOT:
        nobody = pwd.getpwuid(NOBODY).pw_name
        said = check(box, config(box, {"operator": [nobody]}), 0)
        assert f'pool "web": its user "{nobody}" is operator by control.operator' in said, said
        done = subprocess.run([box.program("poold"), "--check", "--config", box.path("check.json"),
                               "--engine-user", nobody], capture_output=True, text=True, timeout=20,
                              check=True)
        assert f'control.operator: the engine runs as user "{nobody}"' in done.stdout, done
