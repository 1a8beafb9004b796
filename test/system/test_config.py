"""test_config.py - a bad configuration is refused whole, with every error, before anything starts."""

import os
import subprocess

from harness import IS_ROOT, claim

CONFIG_ERROR = 78


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
