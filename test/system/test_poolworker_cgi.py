"""test_poolworker_cgi.py - CGI programs: many at once, bounded, none holds the worker or outlives it."""

import os
import re
import signal

import processes
from harness import claim
from http_worker import ByHand, Client, ask, pool, worker_of
from waiting import wait_until

PROGRAMS = {
    "hello": 'printf "Content-Type: text/plain\\n\\nhello"',
    "env": 'printf "Content-Type: text/plain\\r\\n\\r\\n"; env; pwd; echo "arguments=$#"',
    "cat": 'printf "Content-Type: text/plain\\n\\n"; exec cat',
    "twice": 'printf "Content-Type: text/plain\\n\\n"; tee /dev/fd/3 3>&1',
    "blind": 'exec 0<&-; printf "Content-Type: text/plain\\n\\nblind"',
    "status": 'printf "Status: 418 Teapot\\nContent-Type: text/plain\\nX-Own: 1\\n'
              'Connection: keep\\nTransfer-Encoding: odd\\n\\nshort"',
    "away": 'printf "Location: http://elsewhere/x\\n\\n"',
    "inside": 'printf "Location: /cgi-bin/env/more?from=inside\\n\\n"',
    "loop": 'printf "Location: /cgi-bin/loop\\n\\n"',
    "out": 'printf "Location: /../../etc/passwd\\n\\n"',
    "mute": "exit 3",
    "nph": 'printf "HTTP/1.1 200 OK\\nContent-Type: text/plain\\n\\nx"',
    "typeless": 'printf "X: 1\\n\\nx"',
    "goeson": 'printf "X: 1\\n\\n"; trap "" PIPE; exec sleep 60',
    "closes": 'printf "Content-Type: text/plain\\n\\nclosed"; exec >&-; sleep 60',
    "length": 'printf "Content-Type: text/plain\\nContent-Length: 3\\n\\nabcdef"',
    "large": 'printf "Content-Type: text/plain\\n\\n"; exec head -c 3000000 /dev/zero',
    "endless": 'printf "Content-Type: text/plain\\n\\n"; exec cat /dev/zero',
    "nohead": "exec cat /dev/zero",
    "sleep": 'echo $$ >"$DIRECTORY/pid.new"; mv "$DIRECTORY/pid.new" "$DIRECTORY/pid"; sleep 60 & wait',
    "started": 'printf "Content-Type: text/plain\\n\\nfirst"; echo $$ >"$DIRECTORY/pid.new"; '
               'mv "$DIRECTORY/pid.new" "$DIRECTORY/pid"; sleep 60 & wait',
    "leaves": 'sleep 60 >/dev/null 2>&1 & printf "Content-Type: text/plain\\n\\nleft %d" $!',
    "slow": 'sleep 0.3; printf "Content-Type: text/plain\\nContent-Length: 9\\n\\npid=%5d" "$PPID"',
}


def programs(box):
    """A folder with all of them; $DIRECTORY in them is where they may write."""
    folder = box.path("cgi")
    os.makedirs(os.path.join(folder, "deeper"), exist_ok=True)
    for name, text in PROGRAMS.items():
        text = text.replace("$DIRECTORY", box.open)
        box.write(os.path.join("cgi", name), f"#!/bin/sh\n{text}\n", mode=0o755)
    box.write("cgi/deeper/hello", '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\ndeeper"\n', 0o755)
    box.write("cgi/data", "not to be executed")
    return folder


def worker(box, *arguments):
    return ByHand(box, "--cgi", programs(box), *arguments)


def variables(answer):
    assert answer.status == 200, answer
    return dict(line.split("=", 1) for line in answer.body.decode().splitlines() if "=" in line)


@claim()
def a_program_answers_and_the_connection_is_kept(box):
    client = Client(worker(box).address)
    for _ in range(3):
        answer = client.ask("/cgi-bin/hello")
        assert answer.status == 200 and answer.body == b"hello", answer
        assert answer.headers["content-type"] == "text/plain"
    assert client.ask("/cgi-bin/deeper/hello").body == b"deeper"
    assert client.ask("/cgi-bin/length", method="HEAD").headers["content-length"] == "3"
    assert client.ask("/cgi-bin/hello").body == b"hello"
    assert client.ask("/cgi-bin/hello", method="HEAD").status == 200
    assert client.is_closed() and not client.rest, "nothing follows the head"


@claim()
def a_program_gets_the_variables_of_the_standard_and_no_others(box):
    os.environ["SECRET_OF_THE_WORKER"] = "x"
    server = worker(box)
    body = b"abc"
    seen = variables(ask(server.address, "/cgi-bin/env/extra/path%20x?a=b&c", method="POST",
                         body=body, headers=["Content-Type: text/odd", "X-One: 1", "X-One: 2",
                                             "Cookie: a=1", "Cookie: b=2", "Proxy: http://evil",
                                             "X_Two: hidden", "Authorization: Basic x"]))
    port = server.address.split(":")[1]
    for name, value in (
            ("GATEWAY_INTERFACE", "CGI/1.1"), ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "POST"), ("SCRIPT_NAME", "/cgi-bin/env"),
            ("PATH_INFO", "/extra/path x"), ("QUERY_STRING", "a=b&c"), ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", "text/odd"), ("REMOTE_ADDR", "127.0.0.1"), ("SERVER_PORT", port),
            ("SERVER_NAME", "test"), ("HTTP_X_ONE", "1, 2"), ("HTTP_COOKIE", "a=1; b=2"),
            ("REQUEST_URI", "/cgi-bin/env/extra/path%20x?a=b&c"), ("arguments", "0")):
        assert seen.get(name) == value, f"{name}: {seen.get(name)!r}, not {value!r}"
    for name in ("HTTP_PROXY", "HTTP_X_TWO", "HTTP_AUTHORIZATION", "SECRET_OF_THE_WORKER",
                 "NOTIFY_SOCKET", "LISTEN_FDS", "HTTP_CONTENT_TYPE"):
        assert name not in seen, name
    assert ask(server.address, "/cgi-bin/env").body.decode().count("CONTENT_LENGTH") == 0


@claim()
def a_body_goes_through_a_program_whatever_its_size(box):
    client = Client(worker(box).address, timeout=20)
    for size in (1, 65536, 3_000_000):
        body = os.urandom(size)
        answer = client.ask("/cgi-bin/cat", method="POST", body=body)
        assert answer.status == 200 and answer.body == body, f"{size}: {len(answer.body)}"
    body = os.urandom(1_000_000)
    assert len(client.ask("/cgi-bin/twice", method="POST", body=body).body) == 2_000_000
    assert client.ask("/cgi-bin/blind", method="POST", body=os.urandom(500_000)).body == b"blind"
    chunked = b"POST /cgi-bin/cat HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(chunked + b"3\r\nabc\r\n0\r\n\r\n")
    assert client.read().status == 411
    assert len(client.ask("/cgi-bin/large").body) == 3_000_000


@claim()
def a_program_says_status_headers_and_where_to_go(box):
    client = Client(worker(box).address)
    answer = client.ask("/cgi-bin/status")
    assert answer.status == 418 and answer.headers["x-own"] == "1" and answer.body == b"short"
    assert answer.headers.get("connection") != "keep"
    answer = client.ask("/cgi-bin/away")
    assert answer.status == 302 and answer.headers["location"] == "http://elsewhere/x"
    seen = variables(client.ask("/cgi-bin/inside", method="POST", body=b"x"))
    assert seen["REQUEST_METHOD"] == "GET" and seen["PATH_INFO"] == "/more", seen
    assert seen["QUERY_STRING"] == "from=inside" and "CONTENT_LENGTH" not in seen, seen
    assert client.ask("/cgi-bin/loop").status == 500
    assert client.ask("/cgi-bin/out").status == 500
    assert client.ask("/cgi-bin/length").body == b"abc"


@claim()
def an_answer_that_is_none_is_502_and_said_in_the_log(box):
    server = worker(box)
    client = Client(server.address)
    for name in ("mute", "nph", "typeless", "nohead"):
        assert client.ask(f"/cgi-bin/{name}").status == 502, name
    assert client.ask("/cgi-bin/hello").body == b"hello"

    def remarks():
        with open(server.log_path, encoding="utf-8") as log:
            return [line for line in log if "answer is refused" in line]

    assert "before its head was complete" in wait_until(lambda: len(remarks()) == 4 and remarks(),
                                                        what="four remarks")[0]


@claim()
def only_programs_of_the_folder_are_executed(box):
    server = worker(box)
    os.symlink("/bin/true", os.path.join(box.path("cgi"), "link"))
    for path, status in (("/cgi-bin/nothing", 404), ("/cgi-bin/data", 403), ("/cgi-bin/", 403),
                         ("/cgi-bin", 403), ("/cgi-bin/deeper/", 403), ("/cgi-bin/link", 404),
                         ("/cgi-bin/../cgi/hello", 404), ("/cgi-bin/deeper", 403),
                         ("/cgi-bin//hello", 200)):
        assert ask(server.address, path).status == status, path


@claim()
def many_run_at_once_none_holds_the_loop_and_more_than_allowed_are_refused(box):
    server = worker(box, "--cgi-programs", "6")
    clients = [Client(server.address) for _ in range(6)]
    for client in clients:
        client.send("GET /cgi-bin/sleep HTTP/1.1\r\nHost: t\r\n\r\n")
    wait_until(lambda: running(server) == 6, what="six programs")
    answer = ask(server.address, "/cgi-bin/hello")
    assert answer.status == 503 and answer.headers["retry-after"] == "1", answer
    assert worker_of(ask(server.address, "/page")) == server.pid
    for client in clients:
        client.close()
    wait_until(lambda: ask(server.address, "/cgi-bin/hello").status == 200, what="places again")


def running(server):
    """How many children it has."""
    return sum(1 for _, _, parent in processes.descendants(server.pid).values()
               if parent == server.pid)


@claim()
def a_client_that_leaves_takes_its_program_and_the_group_with_it(box):
    server = worker(box)
    for name in ("sleep", "started"):
        client = Client(server.address)
        client.send(f"GET /cgi-bin/{name} HTTP/1.1\r\nHost: t\r\n\r\n")
        pid = box.read_pid(box.open_path("pid"))
        wait_until(lambda: len(processes.descendants(server.pid)) == 2, what="the program's child")
        client.close()
        wait_until(lambda: not processes.descendants(server.pid), what="both to be gone")
        assert not processes.is_alive(pid)
        os.unlink(box.open_path("pid"))


@claim()
def what_a_program_leaves_in_its_group_goes_with_it(box):
    server = worker(box)
    answer = ask(server.address, "/cgi-bin/leaves")
    left = int(answer.body.split()[1])
    wait_until(lambda: not processes.is_alive(left), what="what it left to be gone")


@claim()
def an_answer_that_nobody_takes_does_not_fill_the_worker(box):
    server = worker(box, "--cgi-output", "1TiB", "--cgi-timeout", "1h")
    ask(server.address, "/cgi-bin/hello")
    before = memory_kib(server)
    clients = [Client(server.address) for _ in range(4)]
    for client in clients:
        client.send("GET /cgi-bin/endless HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.stream.recv(1000)
    seen = []

    def stands_still():
        seen.append(bytes_read(server))
        return len(seen) > 1 and seen[-1] == seen[-2]

    wait_until(stands_still, pause=0.3, what="the programs to stand still")
    assert memory_kib(server) - before < 16 * 1024, (before, memory_kib(server))


def memory_kib(server):
    return int(processes.status(server.pid)["VmRSS"].split()[0])


def bytes_read(server):
    """Of its programs, above all."""
    return processes.read(server.pid, "io").splitlines()[0]


@claim()
def a_program_over_its_time_is_504_and_killed_with_its_group(box):
    server = worker(box, "--cgi-timeout", "300ms")
    answer = ask(server.address, "/cgi-bin/sleep")
    assert answer.status == 504, answer
    wait_until(lambda: not processes.descendants(server.pid), what="both to be gone")
    # One that has begun to answer can only be cut off.
    client = Client(server.address)
    client.send("GET /cgi-bin/started HTTP/1.1\r\nHost: t\r\n\r\n")
    try:
        answer = client.read()
        raise AssertionError(f"the answer looks complete: {answer}")
    except AssertionError as short:
        assert "ends" in str(short), short
    wait_until(lambda: not processes.descendants(server.pid), what="an end")


@claim()
def a_program_over_its_time_is_killed_also_when_its_client_takes_nothing(box):
    server = worker(box, "--cgi-timeout", "500ms", "--cgi-output", "1TiB")
    client = Client(server.address)
    client.send("GET /cgi-bin/endless HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.stream.recv(1000)
    wait_until(lambda: not processes.descendants(server.pid), what="its end")


@claim()
def a_program_whose_answer_is_refused_is_killed(box):
    server = worker(box, "--cgi-timeout", "1h")
    assert ask(server.address, "/cgi-bin/goeson").status == 502
    wait_until(lambda: not processes.descendants(server.pid), what="its end")


@claim()
def a_program_that_has_answered_may_go_on_to_its_limit(box):
    server = worker(box, "--cgi-timeout", "5s")
    assert ask(server.address, "/cgi-bin/closes").body == b"closed"
    assert processes.descendants(server.pid), "it works on"
    wait_until(lambda: not processes.descendants(server.pid), what="its limit")


@claim()
def a_program_over_its_output_is_killed(box):
    server = worker(box, "--cgi-output", "1MiB")
    try:
        answer = ask(server.address, "/cgi-bin/endless")
        raise AssertionError(f"the answer looks complete: {answer.status}")
    except AssertionError as short:
        assert "ends" in str(short), short
    wait_until(lambda: not processes.descendants(server.pid), what="its end")
    assert ask(server.address, "/cgi-bin/hello").body == b"hello"


@claim()
def a_drain_waits_for_programs_and_its_limit_kills_them(box):
    server = worker(box)
    client = Client(server.address)
    client.send("GET /cgi-bin/slow HTTP/1.1\r\nHost: t\r\n\r\n")
    wait_until(lambda: running(server) == 1, what="the program")
    server.process.send_signal(signal.SIGTERM)
    answer = client.read()
    assert answer.status == 200 and answer.headers["connection"] == "close", answer
    assert server.wait_end() == 0
    server = ByHand(box, "--cgi", box.path("cgi"), "--drain-limit", "300ms")
    client = Client(server.address)
    client.send("GET /cgi-bin/sleep HTTP/1.1\r\nHost: t\r\n\r\n")
    pid = box.read_pid(box.open_path("pid"))
    assert server.stop() == 0
    wait_until(lambda: not processes.is_alive(pid), what="the program's end")


@claim()
def a_worker_that_is_killed_leaves_no_program(box):
    server = worker(box)
    client = Client(server.address)
    client.send("GET /cgi-bin/sleep HTTP/1.1\r\nHost: t\r\n\r\n")
    pid = box.read_pid(box.open_path("pid"))
    server.process.kill()
    server.wait_end()
    wait_until(lambda: not processes.is_alive(pid), what="the program's end")
    processes.kill_descendants()


@claim()
def a_slow_body_does_not_hold_others_up(box):
    server = worker(box)
    client = Client(server.address)
    client.send("POST /cgi-bin/cat HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
    for _ in range(5):
        assert ask(server.address, "/cgi-bin/hello").body == b"hello"
    client.send("def")
    assert client.read().body == b"abcdef"


@claim(limit=120)
def recycles_lose_no_program_of_300_ms_in_flight(box):
    address = box.address()
    poold = box.poold({"web": pool(box, "--cgi", programs(box), listen=address)})
    poold.wait_state("web", "started")
    loads = [box.load(address, clients=6, least=30, keep=keep, path="/cgi-bin/slow")
             for keep in (True, False)]
    for _ in range(50):
        poold.ctl("recycle", "web", "--wait")
    for running_load in loads:
        running_load.finish_without_failure()
    assert len(poold.events(6022, "web")) == 50
    assert not poold.events(1009) and not poold.events(1013)
    assert all(re.fullmatch(r"0\.\d+", e["worker"]) for e in poold.events(6022, "web"))
    poold.stop()


