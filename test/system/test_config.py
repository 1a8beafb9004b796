"""test_config.py - a bad configuration is refused whole, with every error, before anything starts."""

import array
import fcntl
import json
import mmap
import os
import resource
import socket
import subprocess

from harness import IS_ROOT, Skip, claim

CONFIG_ERROR = 78
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def refuse(box, text, *expected):
    """poold must end with 78 and say each of the expected words; so must --check. Returns it."""
    poold = box.poold_raw(text)
    poold.wait_end(10, CONFIG_ERROR)
    said = poold.log()
    for word in expected:
        assert word in said, f"{word!r} is not in:\n{said}"
    poold.census()
    done = subprocess.run([box.program("poold"), "--check", "--config", poold.config],
                          capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == CONFIG_ERROR, done
    return said


@claim()
def every_error_is_told_at_once_with_its_place(box):
    said = refuse(box, """{
 "pools": {
  "web": { "comand": ["/bin/true"] },
  "api": { "command": ["/bin/true"], "workers": { "min": 0 } },
  "job": { "command": ["/bin/true"], "health": { "startup_timeout": 30 } },
  "mail": { "command": ["/bin/true"], "listen": ["localhost:80"], "stop_signal": "TREM" }
 }
}
""", '"comand"', 'did you mean "command"', "startup_timeout", "localhost:80", "TREM", ":3:", ":4:",
                  ":5:", ":6:")
    assert said.count("\n") >= 5, said


@claim()
def half_a_file_is_refused(box):
    whole = '{ "pools": { "web": { "command": ["/bin/true"] } } }'
    for length in (0, 1, 10, 30, len(whole) - 1):
        refuse(box, whole[:length], "json")


@claim()
def unknown_and_double_keys_are_errors(box):
    refuse(box, '{ "pools": {}, "pool": {} }', '"pool"')
    refuse(box, '{ "pools": { "a": { "command": ["/bin/true"] }, "a": { "command": ["/bin/true"] } } }',
           "/pools/a: the key is there already")


@claim(limit=60)
def what_is_no_file_is_refused_without_waiting(box):
    path = box.path("r.json")
    os.mkfifo(path)
    refuse(box, None, "FIFO")
    os.unlink(path)
    os.mkdir(path)
    refuse(box, None, "directory")
    os.rmdir(path)
    os.symlink("/dev/zero", path)
    refuse(box, None, "device")
    os.unlink(path)
    refuse(box, None, "No such file")
    os.symlink("r.json", path)
    refuse(box, None, "symbolic links")


@claim()
def a_huge_file_is_refused_unread(box):
    path = box.path("r.json")
    with open(path, "wb") as file:
        file.truncate(10 << 30)
    refuse(box, None, "bytes")


@claim()
def a_file_that_others_may_write_is_refused(box):
    path = box.write("r.json", '{ "pools": {} }', mode=0o666)
    refuse(box, None, "may write the file")
    if IS_ROOT:
        os.chmod(path, 0o644)
        os.chown(path, 65534, 65534)
        refuse(box, None, "belongs to user 65534")


@claim(root=True)
def an_unknown_user_is_a_configuration_error(box):
    refuse(box, '{ "pools": { "web": { "command": ["/bin/true"], "identity": '
                '{ "user": "no-such-user-here" } } } }', "no-such-user-here")


@claim(root=True)
def an_engine_user_that_was_named_must_exist(box):
    poold = box.poold_raw('{ "pools": {} }', options=("--engine-user", "no-such-user-here"))
    poold.wait_end(10, CONFIG_ERROR)
    assert 'there is no user "no-such-user-here"' in poold.log(), poold.log()
    poold.census()


@claim(root=True)
def as_root_each_pool_must_name_its_user(box):
    refuse(box, '{ "pools": { "web": { "command": ["/bin/true"] } } }', '"identity": {"user": ...} is missing')


@claim()
def a_program_that_is_in_no_path_is_a_configuration_error(box):
    refuse(box, box.config({"api": {"command": ["no-such-program-here"]}}), "no-such-program-here",
           "PATH")


@claim()
def a_good_file_passes_the_check_and_starts_nothing(box):
    path = box.write("good.json", '{ "pools": {} }')
    done = subprocess.run([box.program("poold"), "--check", "--config", path,
                           "--runtime-dir", box.path("r")],
                          capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, done
    assert not os.path.exists(box.path("r"))


@claim()
def an_error_is_told_once_and_is_no_warning(box):
    path = box.write("bad.json", "[]")
    done = subprocess.run([box.program("poold"), "--check", "--config", path], capture_output=True,
                          text=True, timeout=10, check=False)
    assert done.returncode == CONFIG_ERROR, done
    assert (done.stdout + done.stderr).count(f"{path}:1:1: ") == 1, done


@claim()
def the_manual_s_pool_of_stock_workers_is_valid(box):
    if not os.path.exists(box.program("poolworker")):
        raise Skip("poolworker was not built: libmicrohttpd is not installed")
    with open(os.path.join(TOP, "man/poolworker.1"), encoding="utf-8") as page:
        example = page.read().partition("\n{\"pools\"")[2].partition("\n.Ed")[0]
    pools = json.loads('{"pools"' + example)
    pools["pools"]["www"] |= {"listen": [box.address()], "identity": {},
                              "environment": {"PATH": os.path.dirname(box.program("poold"))}}
    if IS_ROOT:
        pools["pools"]["www"]["identity"] = {"user": "root"}
    path = box.write("manual.json", json.dumps(pools))
    done = subprocess.run([box.program("poold"), "--check", "--config", path], capture_output=True,
                          text=True, timeout=10, check=False)
    assert done.returncode == 0, done


@claim()
def a_check_needs_nothing_of_a_poold_that_runs(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    done = subprocess.run([*poold.arguments, "--check"], capture_output=True, text=True, timeout=10,
                          check=False)
    assert done.returncode == 0 and ": 1 pool, " in done.stdout, done
    assert poold.state("web") == "started"
    poold.stop()


@claim()
def both_checks_warn_of_the_same(box):
    pools = {f"p{n}": box.pool("--ready", "0", ready="notify", preset="uvicorn", listen=box.address(),
                               queue_length=65535) for n in range(2)}
    pools["q"] = {**box.pool(listen=box.address()), "command": ["timeout", "9", "/bin/true"]}
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.write_config(box.config(pools))
    done = subprocess.run([*poold.arguments, "--check"], capture_output=True, text=True, timeout=10,
                          check=False)
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warnings) >= 4 and any("timeout runs the server" in line for line in warnings), done
    said = poold.ctl("config", "check")
    assert [line for line in said.splitlines() if line.startswith("warning: ")] == warnings, said
    for verb in ("diff", "apply"):
        assert "timeout runs the server" not in poold.ctl("config", verb)
    assert not poold.call("config.diff")["changed"], "warnings are no part of what is in force"
    poold.stop()


@claim()
def a_check_reads_standard_input_by_its_path(box):
    with open(box.write("good.json", '{ "pools": {} }'), encoding="utf-8") as file:
        done = subprocess.run([box.program("poold"), "--check", "--config", "/dev/stdin"], stdin=file,
                              capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0 and "valid" in done.stdout, done


@claim()
def a_command_line_that_says_too_much_is_refused(box):
    poold = box.poold_raw('{ "pools": {} }', options=("word",))
    poold.wait_end(10, 2)
    assert "what is 'word'? There are only options" in poold.log(), poold.log()
    poold = box.poold_raw('{ "pools": {} }', name="l", logs=["stderr"] * 9)
    poold.wait_end(10, 2)
    assert "usage: poold" in poold.log(), poold.log()
    poold = box.poold_raw('{ "pools": {} }', name="o", options=("--load",))
    poold.wait_end(10, 2)
    assert "unrecognized option '--load'" in poold.log(), poold.log()


def reload(box, poold):
    """What `poold-engine --reload` gives while that poold runs: the exit status, and the files."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for entry in os.scandir(f"/proc/{poold.pid}/fd"):  # as the keeper does: what is in force
        if "memfd:poold-config" in os.readlink(entry.path):
            with open(entry.path, "rb") as config:
                socket.send_fds(ours, [(2).to_bytes(4, "little")], [config.fileno()])
    done = subprocess.run(["/bin/sh", "-c", f'exec "$@" 3<&{its.fileno()}', "sh",
                           box.program("poold-engine"), "--reload", *poold.arguments],
                          pass_fds=[its.fileno()], capture_output=True, text=True, timeout=10,
                          check=False)
    its.close()
    files = []
    while True:
        which, ancillary, _, _ = ours.recvmsg(16, socket.CMSG_SPACE(4))
        if not which:
            break
        files.append((int.from_bytes(which, "little"), array.array("i", ancillary[0][2])[0]))
    ours.close()
    return done.returncode, done.stderr, files


@claim()
def a_load_while_poold_runs_gives_the_new_file_alone(box):
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    entries = sorted(os.listdir(poold.runtime))
    inode = os.stat(os.path.join(poold.runtime, "control")).st_ino
    for pool, error in (({"command": ["/bin/true"]}, b""), ({"comand": []}, b"comand")):
        new = json.dumps({"pools": {"fresh": {**box.pool("--ready", "0"), **pool}}})
        poold.write_config(new)
        status, said, files = reload(box, poold)
        assert status == 0 and said == "", (status, said)
        (which, fd), = files
        assert which == 2 and fcntl.fcntl(fd, fcntl.F_GET_SEALS) == seals, (which, fd)
        with mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as record:
            assert error in record[:] and (error or b"fresh" in record[:]), record[:]
        os.close(fd)
    assert sorted(os.listdir(poold.runtime)) == entries
    assert os.stat(os.path.join(poold.runtime, "control")).st_ino == inode
    assert poold.state("web") == "started"
    poold.stop()


@claim()
def poold_without_pools_runs_and_stops(box):
    poold = box.poold({})
    assert poold.call("pool.list")["pools"] == []
    poold.ctl("status")
    poold.stop()


@claim()
def a_runtime_path_above_60_bytes_is_refused(box):
    box.write("r.json", '{ "pools": {} }')
    poold = box.poold_raw(None, name="r" * 60)
    poold.wait_end(10, 2)
    assert "longer than 60 bytes" in poold.log(), poold.log()


@claim()
def two_pools_with_one_address_are_a_configuration_error(box):
    pools = {"a": box.pool(listen="127.0.0.1:9"), "b": box.pool(listen="127.0.0.1:9")}
    refuse(box, box.config(pools), "127.0.0.1:9")


@claim()
def an_included_file_is_read_as_carefully_as_the_main_one(box):
    main = '{\n "include": ["more.d/*.json"] }'
    os.mkdir(box.path("more.d"))
    path = box.path("more.d/a.json")

    def put(text, mode=0o644):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    os.mkfifo(path)
    refuse(box, main, "r.json:2:14: /include/0: ", "more.d/a.json: it is a FIFO")
    os.unlink(path)
    os.mkdir(path)
    refuse(box, main, "it is a directory")
    os.rmdir(path)
    os.symlink("a.json", path)
    refuse(box, main, "symbolic links")
    os.unlink(path)
    with open(path, "wb") as file:
        file.truncate(10 << 30)
    refuse(box, main, "at most 4194304 are read")
    put("{}", 0o666)
    refuse(box, main, "may write the file")
    put('{ "pools": {} }\n}')
    refuse(box, main, "more.d/a.json:2:1: end of file expected")
    os.chmod(path, 0o644)
    put("{}")
    refuse(box, '{ "include": ["*.json"] }', "is this very file")


@claim()
def pools_of_included_files_run_with_what_they_inherit(box):
    os.mkdir(box.path("more.d"))
    pools = box.config({"a": box.pool()})["pools"]
    with open(box.path("more.d/a.json"), "w", encoding="utf-8") as file:
        json.dump({"pools": pools, "defaults": {"health": {"shutdown_timeout": "5s"}}}, file)
    poold = box.poold_raw('{ "include": ["more.d/*.json"], "defaults": { "workers": { "min": 2 } } }')
    poold.wait_answering().wait_all_started()
    assert len(poold.workers("a")) == 2, poold.workers("a")
    poold.stop()
