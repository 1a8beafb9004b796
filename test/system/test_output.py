"""test_output.py - what workers write, into files: whole, once, and to where the name is now."""

import collections
import fcntl
import gzip
import os
import random
import signal
import stat
import subprocess
import sys
import termios

import processes
from harness import IS_ROOT, Skip, claim
from waiting import wait_until


def shell(script, **settings):
    """A pool whose workers run a script; it stays until it is told to leave, unless it exits."""
    return {"command": ["/bin/sh", "-c", script], **settings}


STAYS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


def printing(box, lines, path, workers=1, pause="", chunk=1000, **settings):
    """Each worker prints numbered lines in chunks, then waits; `path` takes them."""
    chunks = lines // chunk
    script = (f"i=0; while [ $i -lt {chunks} ]; do "
              f"seq -f \"$POOLD_WORKER %.0f.\" $((i * {chunk})) $((i * {chunk} + {chunk} - 1)); "
              f"i=$((i + 1)); {pause} done; echo \"$POOLD_WORKER end\"; {STAYS}")
    return shell(script, output=path, workers={"min": workers}, **settings)


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return file.read()


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def count_of(path, line):
    return read(path).count(line) if os.path.exists(path) else 0


def numbers(paths):
    """The numbers that each worker's lines in these files have, in order; every line is whole."""
    found = collections.defaultdict(list)
    for path in paths:
        data = read(path)
        assert data.endswith(b"\n") or not data, (path, data[-80:])
        for line in data.split(b"\n")[:-1]:
            worker, number = line.split(b" ")
            assert number == b"end" or number.endswith(b"."), (path, line)
            found[worker].append(number)
    return found


def assert_each_line_once(paths, lines, workers):
    found = numbers(paths)
    assert len(found) == workers, found.keys()
    wanted = [b"%d." % i for i in range(lines)] + [b"end"]
    for worker, seen in found.items():
        assert seen == wanted, (worker, len(seen), len(wanted))


def says_end(poold, worker):
    """Whether the one worker of web is that one and has printed all."""
    return poold.worker("web")["last_line"] == f"{worker} end"


def files_open(pid, path):
    """How many descriptors of the process are that path."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}") == path
        except FileNotFoundError:  # closed since
            pass
    return count


def in_pipe(pid):
    """How many bytes of the worker's output nobody has read."""
    pipe = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)
    finally:
        os.close(pipe)


# --- bytes


def random_lines(seed, tag):
    """Lines of every sort: binary, empty, and far longer than what is read at a time."""
    rnd = random.Random(seed)
    lines = [tag + rnd.randbytes(rnd.choice([0, 1, 30, 200, 5000])).replace(b"\n", b"") for _ in
             range(600)]
    lines += [tag + rnd.randbytes(300000).replace(b"\n", b"\0") for _ in range(3)]
    rnd.shuffle(lines)
    return lines


@claim(limit=60)
def the_lines_of_several_workers_arrive_whole_in_their_order_byte_by_byte(box):
    sent = {}
    for slot in range(4):
        sent[slot] = random_lines(slot, b"%d:" % slot)
        with open(box.path(f"in.{slot}"), "wb") as file:
            file.write(b"\n".join(sent[slot]))  # the last line has no newline
    path = box.path("out")
    poold = box.poold({"web": shell(f"cat {box.path('in')}.${{POOLD_WORKER%%.*}}; {STAYS}", output=path,
                                    workers={"min": 4})})
    whole = sum(len(line) + 1 for lines in sent.values() for line in lines[:-1])
    wait_until(lambda: size(path) >= whole, 30, "all lines that have ended")
    poold.stop()
    got = read(path).split(b"\n")
    assert got.pop() == b"", "what a worker leaves without a newline gets one at its end"
    for slot, lines in sent.items():
        assert [line for line in got if line.startswith(b"%d:" % slot)] == lines, slot
    assert len(got) == sum(map(len, sent.values()))


@claim(limit=60)
def one_worker_s_bytes_are_the_file_s_bytes(box):
    path, sent = box.path("out"), box.path("in")
    data = random.Random(7).randbytes(3 << 20) + b"x" * (5 << 20) + b"\n\n\nlast\n"
    with open(sent, "wb") as file:
        file.write(data)
    poold = box.poold({"web": shell(f"cat {sent}; {STAYS}", output=path)})
    wait_until(lambda: size(path) >= len(data), 30, "all bytes")
    assert read(path) == data
    assert poold.worker("web")["last_line"] == "last"
    assert not poold.events(6061) and not poold.events(6062)


@claim()
def a_file_is_appended_to_and_made_for_its_owner_and_group_only(box):
    old, new = box.path("old"), box.path("new")
    with open(old, "w", encoding="ascii") as file:
        file.write("what was there\n")
    os.chmod(old, 0o604)
    poold = box.poold({"a": shell(f"echo a; {STAYS}", output=old),
                       "b": shell(f"echo b >&2; {STAYS}", output=new)})
    wait_until(lambda: read(old) == b"what was there\na\n", what="a line")
    wait_until(lambda: os.path.exists(new) and read(new) == b"b\n", what="a line")
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o604, "it stays as it was"
    assert stat.S_IMODE(os.stat(new).st_mode) == 0o640 and os.stat(new).st_uid == os.geteuid()
    assert not poold.events(6060)


@claim()
def pools_that_name_one_file_share_one_descriptor_and_the_keeper_has_none(box):
    path = box.path("out")
    poold = box.poold({name: shell(f"echo {name}; {STAYS}", output=path) for name in "abc"})
    wait_until(lambda: sorted(read(path).split()) == [b"a", b"b", b"c"] if size(path) else False,
               what="three lines")
    assert files_open(poold.engine_pid(), path) == 1
    assert files_open(poold.pid, path) == 0


@claim()
def the_last_line_of_a_worker_that_dies_is_told_and_written(box):
    path = box.path("out")
    poold = box.poold({"web": shell("echo first; echo; printf 'no database\\n\\nhow sad'; exit 3",
                                    output=path, failure={"max_failures": 1})})
    died = poold.wait_event(1009, "web")
    assert died["fields"]["last_line"] == "how sad", died
    wait_until(lambda: read(path) == b"first\n\nno database\n\nhow sad\n", what="its words")


@claim()
def what_a_worker_writes_while_it_leaves_is_written_before_poold_ends(box):
    path = box.path("out")
    script = "trap 'seq 1 20000; printf bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    poold = box.poold({"web": shell(script, output=path)})
    wait_until(lambda: size(path) > 0, what="the first line")
    poold.stop()
    assert read(path) == b"up\n" + b"".join(b"%d\n" % i for i in range(1, 20001)) + b"bye\n"


@claim()
def without_root_files_are_the_user_s(box):
    if not IS_ROOT:
        raise Skip("the other tests are run by a user already")
    path = box.open_path("out")
    poold = box.poold({"web": {**shell(f"echo me; {STAYS}", output=path)}}, uid=65534)
    wait_until(lambda: size(path) > 0, what="a line")
    assert os.stat(path).st_uid == 65534
    poold.stop()


# --- changes


@claim()
def a_change_of_output_counts_at_once_and_replaces_nobody(box):
    first, second, go = box.path("first"), box.path("second"), box.open_path("go")
    os.mkdir(go)
    script = f"trap 'exit 0' TERM; while :; do for f in {go}/*; do " \
             "[ -e $f ] && echo ${f##*/} && rm -f $f; done; sleep 0.02; done"

    def say(word):
        with open(os.path.join(go, word), "w", encoding="ascii"):
            pass

    os.chmod(go, 0o777)
    poold = box.poold({"web": shell(script, output=first)})
    before = poold.descriptors()
    pid = poold.worker("web")["pid"]
    say("one")
    wait_until(lambda: read(first) == b"one\n", what="a line in the first file")

    def change(output):
        poold.write_config(box.config({"web": shell(script, output=output)}))
        plan = poold.ctl("config", "apply")
        assert "(at once)" in plan and "1 changed (0 by recycling)" in plan, plan

    change(second)
    say("two")
    wait_until(lambda: size(second) and read(second) == b"two\n", what="a line in the second file")
    wait_until(lambda: files_open(poold.engine_pid(), first) == 0, what="the first to be closed")
    change("null")
    say("three")
    wait_until(lambda: not os.listdir(go) and in_pipe(pid) == 0, what="a word that nobody hears")
    change("events")
    say("four")
    wait_until(lambda: "four" in poold.log(), what="a line as an event")
    change(first)
    say("five")
    wait_until(lambda: read(first) == b"one\nfive\n", what="a line in the first file again")
    assert "three" not in poold.log() and read(second) == b"two\n"
    assert poold.worker("web")["pid"] == pid
    poold.wait_descriptors(before)


@claim()
def the_last_words_of_a_pool_that_was_taken_out_are_written_and_its_file_is_closed(box):
    path = box.path("out")
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    other = shell(STAYS)
    poold = box.poold({"web": shell(script, output=path), "other": other})
    wait_until(lambda: size(path) > 0, what="the first line")
    poold.write_config(box.config({"other": other}))
    poold.ctl("config", "apply")
    wait_until(lambda: read(path) == b"up\nbye\n", what="the last line")
    wait_until(lambda: files_open(poold.engine_pid(), path) == 0, what="the file to be closed")


# --- rotation


def rotate(poold, path, number):
    """As logrotate does; returns the old file once nobody writes there."""
    old = f"{path}.{number}"
    os.rename(path, old)
    seen = len(poold.events(6050, signal=signal.SIGUSR1))
    poold.send_signal(signal.SIGUSR1)
    wait_until(lambda: len(poold.events(6050, signal=signal.SIGUSR1)) > seen, what="the event")
    wait_until(lambda: files_open(poold.engine_pid(), old) == 0, what="the old file to be closed")
    return old


@claim(limit=90)
def a_rotation_under_load_loses_and_doubles_and_splits_no_line(box):
    path, lines, workers = box.path("out"), 100000, 3
    poold = box.poold({"web": printing(box, lines, path, workers, pause="sleep 0.01;")})
    wait_until(lambda: size(path) > 0, what="the first line")
    files = []
    while count_of(path, b" end\n") + sum(count_of(f, b" end\n") for f in files) < workers:
        files.append(rotate(poold, path, len(files)))
        wait_until(lambda: size(path) > 0 or b" end\n" in read(files[-1]), what="another line")
    assert len(files) > 2, files
    event = poold.events(6050, signal=signal.SIGUSR1)[-1]
    assert event["fields"]["files"] == 1, event
    poold.stop()
    assert_each_line_once(files + [path], lines, workers)


@claim(limit=60, root=True, needs=("logrotate",))
def logrotate_with_the_drop_in_rotates_and_loses_nothing(box):
    path, lines = box.path("out.log"), 30000
    poold = box.poold({"web": printing(box, lines, path, 2, pause="sleep 0.01;")})
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../etc/logrotate-poold"), encoding="utf-8") as file:
        text = file.read()
    pid_file = box.path("pid")
    with open(pid_file, "w", encoding="ascii") as file:
        file.write(str(poold.pid))
    text = text.replace("/var/log/poold/*.log", path)
    assert path in text and "/run/poold" in text
    conf = box.write("logrotate.conf", text.replace("/run/poold", poold.runtime), mode=0o644)
    for number in range(3):
        wait_until(lambda: size(path) > 0, what="a line")
        done = subprocess.run(["logrotate", "--force", "--state", box.path("state"), conf],
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: len(poold.events(6050, signal=signal.SIGUSR1)) > number,
                   what="the event")
    files = [path + end for end in (".3.gz", ".2.gz", ".1")]
    wait_until(lambda: sum(count_of(f, b" end\n") for f in [*files, path]) == 2, 30, "the end")
    poold.stop()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert_each_line_once([*files, path], lines, 2)


@claim()
def a_signal_while_no_engine_runs_is_not_lost(box):
    path = box.path("out")
    poold = box.poold({"web": printing(box, 1 << 30, path, pause="sleep 0.02;", chunk=10)})
    wait_until(lambda: size(path) > 0, what="the first line")
    processes.kill(poold.engine_pid())
    os.rename(path, path + ".1")
    poold.send_signal(signal.SIGUSR1)
    wait_until(lambda: size(path) > 0, what="a line in the new file")
    wait_until(lambda: files_open(poold.engine_pid(), path) == 1, what="the new file to be open")
    assert files_open(poold.engine_pid(), path + ".1") == 0


@claim()
def a_file_that_cannot_be_opened_again_goes_on_in_the_old_one(box):
    path, victim = box.path("out"), box.path("victim")
    with open(victim, "w", encoding="ascii") as file:
        file.write("not yours\n")
    poold = box.poold({"web": printing(box, 1 << 30, path, pause="sleep 0.02;", chunk=10)})
    wait_until(lambda: size(path) > 0, what="the first line")
    for number, make in enumerate([lambda: os.symlink(victim, path), lambda: os.link(victim, path),
                                   lambda: os.mkfifo(path), lambda: os.mkdir(path)]):
        old = f"{path}.{number}"
        os.rename(path, old)
        make()
        seen = len(poold.events(6062))
        poold.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(poold.events(6062)) > seen, what="an event 6062")
        event = poold.events(6062)[-1]
        assert event["fields"]["path"] == path, event
        before = size(old)
        wait_until(lambda: size(old) > before, what="another line in the old file")
        if os.path.isdir(path):
            os.rmdir(path)
        else:
            os.unlink(path)
        os.rename(old, path)
    assert read(victim) == b"not yours\n"
    assert not poold.events(6061) and not poold.events(6063)


# --- what may not be


@claim()
def a_file_that_cannot_take_output_is_refused_when_the_file_is_loaded(box):
    plain, link, hard = box.path("plain"), box.path("link"), box.path("hard")
    os.symlink(box.directory, link)
    with open(plain, "w", encoding="ascii"):
        os.link(plain, hard)
    os.mkfifo(box.path("fifo"))
    for output, why in [("logs/x", "the absolute path of a file"),
                        (box.path("no/x"), "is not there: make it"),
                        (f"{link}/x", f'write "{box.directory}/x"'),
                        (link, "is a symbolic link"), (box.path("fifo"), "is no regular file"),
                        ("/dev/null", "is no regular file"), (box.directory, "is no regular file"),
                        (hard, "more than one name"), ("/" + "x" * 4095, "is too long"),
                        ("/" + "x" * 300, "File name too long"), (f"{plain}/x", "Not a directory"),
                        (f"{box.directory}/../x", "write it without")]:
        poold = box.poold_raw(box.config({"web": shell(STAYS, output=output)}),
                              options=["--check"])
        poold.wait_end(status=78)
        assert "/pools/web/output" in poold.log() and why in poold.log(), (output, poold.log())
        os.unlink(poold.log_path)


@claim(root=True)
def a_directory_that_the_workers_may_write_is_warned_of_and_leads_nowhere(box):
    folder, secret = box.path("logs"), box.path("secret")
    for path in (folder, secret):
        os.mkdir(path)
    os.chown(folder, 65534, 65534)
    path = os.path.join(folder, "out")
    poold = box.poold({"web": printing(box, 1 << 30, path, pause="sleep 0.02;", chunk=10)})
    wait_until(lambda: size(path) > 0, what="the first line")
    done = subprocess.run([*poold.arguments, "--check"], capture_output=True, text=True, timeout=10,
                          check=False)
    assert f'may write {folder}, where its output is' in done.stdout, done
    os.rename(folder, folder + ".old")
    os.symlink(secret, folder)
    poold.send_signal(signal.SIGUSR1)
    assert "symbolic link" in poold.wait_event(6062)["text"]
    assert not os.listdir(secret)


# --- an engine that dies, a disk that is full


@claim(limit=90)
def an_engine_that_is_killed_under_load_doubles_no_line(box):
    path, lines, workers = box.path("out"), 60000, 3
    poold = box.poold({"web": printing(box, lines, path, workers, pause="sleep 0.01;")})
    for _ in range(5):
        before = size(path)
        wait_until(lambda: size(path) > before + 1000 or count_of(path, b" end\n") == workers,
                   what="more lines")
        processes.kill(poold.engine_pid())
        poold.wait_answering()
    wait_until(lambda: count_of(path, b" end\n") == workers, 40, "the end")
    poold.stop()
    seen, broken = set(), 0
    for line in read(path).split(b"\n")[:-1]:
        parts = line.split(b" ")
        is_whole = len(parts) == 2 and (parts[1].endswith(b".") or parts[1] == b"end")
        broken += not is_whole
        assert not is_whole or line not in seen, f"doubled: {line}"
        seen.add(line)
    assert broken <= 5 * 2 * workers, "where the engine was killed a line may be cut, no other"
    assert len(seen) > 1000, f"only {len(seen)} of {lines * workers} lines"


IN_TMPFS = 'mount -t tmpfs -o size=200k,mode=755 none "$0" && exec "$@"'


@claim(limit=60, root=True, needs=("unshare",))
def a_full_disk_is_told_once_costs_no_worker_and_is_written_again(box):
    folder = box.path("small")
    os.mkdir(folder)
    prefix = ["unshare", "-m", "sh", "-c", IN_TMPFS, folder]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no tmpfs can be mounted here")
    address, path = box.address(), os.path.join(folder, "out")
    config = box.config({"web": printing(box, 60000, path, pause="sleep 0.01;"),
                         "http": box.pool(listen=address)})
    poold = box.poold_raw(config, prefix=prefix)
    # The loader sees the directory as poold does, and so do we.
    poold.wait_answering()
    inside = f"/proc/{poold.pid}/root{path}"
    failed = poold.wait_event(6062)
    assert failed["fields"]["errno"] == 28 and failed["fields"]["path"] == path, failed
    running = box.load(address)
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    wait_until(lambda: says_end(poold, "0.1"), 30, "a worker that a full disk does not stop")
    os.rename(inside, inside + ".1")
    poold.send_signal(signal.SIGUSR1)
    poold.wait_event(6050, signal=signal.SIGUSR1)
    with open(inside + ".1", "rb") as file:
        written = file.read()
    os.unlink(inside + ".1")
    restored = poold.wait_event(6063)
    running.finish_without_failure()
    assert restored["fields"]["lines"] > 0, restored
    assert len(poold.events(6062)) == 1, "one event for one full disk"
    assert poold.worker("web")["pid"] == pid

    # What was kept follows what was written, but for the line that the end of the disk has cut.
    def complete():
        lines = (written[:written.rindex(b"\n") + 1] + read(inside)).split(b"\n")[:-1]
        return lines if len(lines) + restored["fields"]["lines"] == 60001 else None

    lines = wait_until(complete, what="all lines to be written or counted")
    assert lines == [b"0.1 %d." % i for i in range(len(lines))]
    # The successor fills it again; neither it nor the end of poold waits for the disk.
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: says_end(poold, "0.2"), 30, "the successor's end")
    assert len(poold.events(6062)) == 2
    poold.stop()
    assert "are lost: poold ends" in poold.log()


def frozen(poold):
    """The threads of its engine that write, once they are there."""
    engine = poold.engine_pid()
    wait_until(lambda: len(os.listdir(f"/proc/{engine}/task")) > 1, what="threads of the engine")
    return processes.Frozen(engine)


@claim(limit=60, root=True)
def a_disk_that_hangs_holds_up_no_worker_no_recycle_and_no_stop(box):
    path = box.path("out")
    poold = box.poold({"web": printing(box, 30000, path, pause="sleep 0.01;")})
    wait_until(lambda: size(path) > 0, what="the first line")
    try:
        hung = frozen(poold).__enter__()
    except PermissionError as error:
        raise Skip(f"nobody may be traced here: {error}") from None
    failed = poold.wait_event(6062)
    assert "has not answered for a second" in failed["text"], failed
    wait_until(lambda: says_end(poold, "0.1"), 30, "a worker that goes on")
    poold.ctl("recycle", "web", "--wait")
    hung.__exit__()
    restored = poold.wait_event(6063)
    assert restored["fields"]["lines"] > 0 and len(poold.events(6062)) == 1, restored
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: count_of(path, b"0.3 end\n") == 1, 30, "lines of the third worker")
    engine = poold.engine_pid()
    with frozen(poold):
        poold.ctl("recycle", "web", "--wait")
        poold.send_signal(signal.SIGTERM)
        poold.wait_end()  # without the engine, which nobody can end as long as its threads wait
        assert processes.stat(engine)
    os.waitpid(engine, 0)
    poold.census()
    assert "are lost: poold ends" in poold.log()
