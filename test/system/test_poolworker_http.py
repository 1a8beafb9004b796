"""test_poolworker_http.py - what the stock worker answers: files, ranges, conditions, limits."""

import email.utils
import os
import signal
import subprocess
import time

from harness import claim
from http_worker import ByHand, Client, ask
from waiting import wait_until

TEXT = "".join(f"{n}\n" for n in range(1000))


def site(box, *arguments):
    """A worker with a few files."""
    root = box.path("site")
    os.makedirs(os.path.join(root, "sub"), exist_ok=True)
    os.makedirs(os.path.join(root, "bare"), exist_ok=True)
    os.makedirs(os.path.join(root, ".well-known"), exist_ok=True)
    for name, text in (("index.html", "<p>home"), ("a.txt", TEXT), ("sub/index.htm", "<p>sub"),
                       (".secret.txt", "no"), ("odd.unmapped", "no"), ("NAMES.TXT", "case"),
                       (".well-known/t.txt", "known"), ("blank name.txt", "blank")):
        box.write(os.path.join("site", name), text)
    box.write("outside.txt", "outside")
    os.symlink("../outside.txt", os.path.join(root, "link.txt"))
    os.symlink("a.txt", os.path.join(root, "near.txt"))
    os.symlink("..", os.path.join(root, "up"))
    old = 1_000_000_000
    os.utime(os.path.join(root, "a.txt"), (old, old))
    return ByHand(box, "--root", root, *arguments)


@claim()
def files_are_served_with_type_length_and_validators(box):
    worker = site(box)
    answer = ask(worker.address, "/a.txt")
    assert answer.status == 200 and answer.body.decode() == TEXT
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["last-modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert answer.headers["etag"].startswith('"') and answer.headers["accept-ranges"] == "bytes"
    assert ask(worker.address, "/").body == b"<p>home"
    assert ask(worker.address, "/sub/").body == b"<p>sub"
    assert ask(worker.address, "/NAMES.TXT").body == b"case"
    assert ask(worker.address, "/blank%20name.txt?x=1").body == b"blank"
    assert ask(worker.address, f"http://{worker.address}/a.txt").status == 200
    assert ask(worker.address, "/.well-known/t.txt").body == b"known"


@claim()
def a_head_request_gets_the_head_alone_and_the_connection_goes_on(box):
    worker = site(box)
    client = Client(worker.address)
    answer = client.ask("/a.txt", method="HEAD")
    assert answer.status == 200 and int(answer.headers["content-length"]) == len(TEXT)
    assert client.ask("/a.txt").body.decode() == TEXT


@claim()
def nothing_hidden_unmapped_or_outside_is_served(box):
    worker = site(box)
    for path, status in (
            ("/nothing.txt", 404), ("/.secret.txt", 404), ("/odd.unmapped", 404),
            ("/link.txt", 404), ("/near.txt", 404), ("/up/outside.txt", 404),
            ("/../outside.txt", 404), ("/sub/../../outside.txt", 404),
            ("/%2e%2e/outside.txt", 404), ("/..%2foutside.txt", 404), ("/a%2etxt/", 404),
            ("/sub/%2e%2e/a.txt", 404), ("/bare/", 403), ("/a.txt%00.html", 400),
            ("/%zz", 400), ("/%4", 400), ("/a%0d%0ab", 400), ("noslash", 400)):
        answer = ask(worker.address, path)
        assert answer.status == status, f"{path}: {answer}"
        assert b"outside" not in answer.body
    assert worker.wait_log(cs_uri_stem="/odd.unmapped")["sc-substatus"] == "3"
    assert worker.wait_log(cs_uri_stem="/.secret.txt")["sc-substatus"] == "8"
    assert worker.wait_log(cs_uri_stem="/bare/")["sc-substatus"] == "14"


@claim()
def a_fifo_does_not_hold_the_worker(box):
    worker = site(box)
    os.mkfifo(os.path.join(box.path("site"), "pipe.txt"))
    assert ask(worker.address, "/pipe.txt").status == 404


@claim()
def a_directory_redirects_to_its_slash_and_never_to_another_host(box):
    worker = site(box)
    answer = ask(worker.address, "/sub?x=1")
    assert answer.status == 301 and answer.headers["location"] == "/sub/?x=1", answer
    assert ask(worker.address, "//sub").headers["location"] == "/sub/"
    assert ask(worker.address, "///sub?//evil").headers["location"] == "/sub/?//evil"


@claim()
def ranges_are_answered_with_206_or_416(box):
    worker = site(box)
    size = len(TEXT)

    def part(value, **more):
        return ask(worker.address, "/a.txt", headers=[f"Range: {value}"], **more)

    for value, first, last in (("bytes=0-3", 0, 3), ("bytes=10-", 10, size - 1),
                               ("bytes=-5", size - 5, size - 1), ("bytes=5-99999", 5, size - 1),
                               ("bytes=-99999", 0, size - 1)):
        answer = part(value)
        assert answer.status == 206, answer
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}", answer
        assert answer.body.decode() == TEXT[first:last + 1]
    beyond = part(f"bytes={size}-")
    assert beyond.status == 416 and beyond.headers["content-range"] == f"bytes */{size}"
    for value in ("bytes=0-1,5-6", "bytes=5-1", "lines=0-1", "bytes=", "bytes=a-b"):
        assert part(value).status == 200, value
    assert part("bytes=0-3", method="HEAD").status == 200


@claim()
def conditions_are_judged_in_the_order_of_the_standard(box):
    worker = site(box)
    first = ask(worker.address, "/a.txt")
    etag, date = first.headers["etag"], first.headers["last-modified"]
    earlier = email.utils.formatdate(999_999_999, usegmt=True)
    later = email.utils.formatdate(1_000_000_001, usegmt=True)
    for headers, status in (
            ([f"If-None-Match: {etag}"], 304), (['If-None-Match: "x", ' + etag], 304),
            ([f"If-None-Match: W/{etag}"], 304), (["If-None-Match: *"], 304),
            (['If-None-Match: "x"'], 200), ([f"If-Modified-Since: {date}"], 304),
            ([f"If-Modified-Since: {earlier}"], 200), (["If-Modified-Since: nonsense"], 200),
            (['If-None-Match: "x"', f"If-Modified-Since: {date}"], 200),
            ([f"If-Match: {etag}"], 200), (['If-Match: "x"'], 412),
            ([f"If-Match: W/{etag}"], 412), ([f"If-Unmodified-Since: {earlier}"], 412),
            ([f"If-Unmodified-Since: {later}"], 200),
            (["Range: bytes=0-1", f"If-Range: {etag}"], 206),
            (["Range: bytes=0-1", f"If-Range: {date}"], 206),
            (["Range: bytes=0-1", 'If-Range: "x"'], 200),
            (["Range: bytes=0-1", f"If-Range: {later}"], 200)):
        answer = ask(worker.address, "/a.txt", headers=headers)
        assert answer.status == status, f"{headers}: {answer}"
        if status == 304:
            assert answer.headers["etag"] == etag and answer.body == b""


@claim()
def other_methods_are_refused_with_what_is_allowed(box):
    worker = site(box)
    client = Client(worker.address)
    for method in ("POST", "PUT", "DELETE", "TRACE", "ODD"):
        answer = client.ask("/a.txt", method=method, body=b"some" if method == "PUT" else b"")
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS", answer
    assert client.ask("/a.txt", method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.ask("*", method="OPTIONS").status == 200
    assert client.ask("/a.txt").status == 200, "the connection was kept"


@claim()
def limits_of_target_head_and_body_have_their_own_answers(box):
    worker = site(box, "--body-size", "100kB")
    long_value = "x" * 17000
    assert ask(worker.address, "/" + "x" * 9000).status == 414
    assert ask(worker.address, "/", headers=[f"X: {long_value}"]).status == 431
    assert ask(worker.address, "/", headers=[f"X{n}: {'y' * 300}" for n in range(80)]).status == 431
    body = b"x" * 100_001
    assert ask(worker.address, "/", method="POST", body=body).status == 413
    chunk = b"%x\r\n%s\r\n" % (60_000, b"x" * 60_000)
    client = Client(worker.address)
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 2
                + b"0\r\n\r\n")
    assert client.read().status in (405, 413)
    assert ask(worker.address, "/").status == 200


@claim()
def who_sends_far_too_much_reads_why_and_no_reset(box):
    worker = site(box, "--body-size", "100kB")
    for size in (200_000, 3_000_000, 20_000_000):
        client = Client(worker.address)
        answer = client.ask("/", method="POST", body=b"x" * size)
        assert answer.status == 413, answer
        client.close()


@claim()
def what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(box):
    worker = site(box)
    for lines in (["Content-Length: 3", "Content-Length: 4"], ["Content-Length: 3, 3"],
                  ["Content-Length: +3"], ["Content-Length : 3"],
                  ["Content-Length: 3", "Transfer-Encoding: chunked"],
                  ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: identity"],
                  ["Host: other"], ["Bad Name: x"]):
        client = Client(worker.address)
        answer = client.ask("/", method="POST", headers=lines)
        assert answer.status in (400, 501), f"{lines}: {answer}"
        assert client.is_closed(), lines
        client.close()
    client = Client(worker.address)
    client.send("GET / HTTP/1.1\r\n\r\n")
    assert client.read().status == 400, "no Host"


@claim()
def requests_sent_together_are_answered_in_their_order(box):
    worker = site(box)
    client = Client(worker.address)
    client.send("".join(f"GET /{path} HTTP/1.1\r\nHost: t\r\n\r\n"
                        for path in ("a.txt", "nothing", "sub/")))
    assert [client.read().status for _ in range(3)] == [200, 404, 200]


@claim(needs=["curl"])
def curl_gets_what_it_asks_for(box):
    worker = site(box)

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", *arguments], check=True, capture_output=True,
                              timeout=20).stdout

    url = f"http://{worker.address}"
    assert curl(f"{url}/a.txt").decode() == TEXT
    assert curl("-r", "5-9", f"{url}/a.txt").decode() == TEXT[5:10]
    part = box.path("part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(TEXT[:100])
    curl("-C", "-", "-o", part, f"{url}/a.txt")
    with open(part, encoding="utf-8") as file:
        assert file.read() == TEXT
    assert curl("-L", f"{url}/sub") == b"<p>sub"
    assert b"200 OK" in curl("-I", f"{url}/a.txt")
    code = curl("-o", box.path("got"), "-w", "%{http_code}", "-z", part, f"{url}/a.txt")
    assert code == b"304"


@claim()
def a_slow_head_is_closed_however_often_a_byte_comes(box):
    worker = site(box, "--header-timeout", "400ms")
    client = Client(worker.address, timeout=0.02)
    client.send("GET / HTTP/1.1\r\nX: ")

    def ended():
        try:
            client.send("y")
            return client.stream.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    wait_until(ended, what="the slow client to be closed")


@claim()
def an_idle_connection_is_closed_after_the_idle_time(box):
    worker = site(box, "--idle-timeout", "200ms")
    client = Client(worker.address)
    assert client.ask("/a.txt").status == 200
    assert client.is_closed()


@claim()
def a_request_that_arrives_as_the_idle_time_ends_is_answered(box):
    worker = site(box, "--idle-timeout", "500ms")
    client = Client(worker.address)
    for _ in range(2):
        assert client.ask("/a.txt").status == 200
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.6)  # the idle time: the worker finds both when it goes on
        client.send("GET /a.txt HTTP/1.1\r\nHost: t\r\n\r\n")
        os.kill(worker.pid, signal.SIGCONT)
        answer = client.read()
        assert answer is not None and answer.status == 200, answer
        client.close()
        client = Client(worker.address)


@claim()
def a_body_that_trickles_is_cut(box):
    worker = site(box, "--header-timeout", "300ms")
    client = Client(worker.address, timeout=0.02)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")

    def ended():
        try:
            client.send("y")
            return client.stream.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    wait_until(ended, what="the slow client to be cut")


@claim(limit=60)
def a_client_that_takes_nothing_is_cut(box):
    worker = site(box, "--idle-timeout", "300ms")
    with open(os.path.join(box.path("site"), "big.txt"), "wb") as file:
        file.truncate(64 * 1024 * 1024)
    client = Client(worker.address)
    client.send("GET /big.txt HTTP/1.1\r\nHost: t\r\n\r\n")
    assert worker.wait_log(cs_uri_stem="/big.txt")["sc-status"] == "200"
    assert ask(worker.address).status == 200


@claim()
def a_full_worker_makes_room_by_closing_who_waits_longest(box):
    worker = site(box, "--connections", "20")
    kept = [Client(worker.address) for _ in range(20)]
    for client in kept:
        assert client.ask("/a.txt").status == 200
    for _ in range(5):
        assert ask(worker.address, "/a.txt").status == 200
    assert kept[0].is_closed()


@claim()
def a_worker_full_of_silent_clients_serves_again_before_their_time_is_over(box):
    worker = site(box, "--connections", "20", "--header-timeout", "1h")
    silent = [Client(worker.address) for _ in range(40)]
    silent[0].send("GET ")
    for _ in range(3):
        assert ask(worker.address, "/a.txt").status == 200


@claim()
def the_log_tells_each_request_and_escapes_what_strangers_wrote(box):
    worker = site(box)
    ask(worker.address, "/a.txt?q=1", headers=["User-Agent: two words", "Referer: http://x/"])
    line = worker.wait_log(cs_uri_stem="/a.txt")
    assert line["cs(User-Agent)"] == "two+words" and line["cs-uri-query"] == "q=1", line
    assert line["sc-status"] == "200" and line["sc-bytes"] == str(len(TEXT)), line
    assert line["c-ip"] == "127.0.0.1" and line["x-pool"] == "-", line
    client = Client(worker.address)
    client.send(b"GET /\xff\x1b[1m HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.read().status == 400
    assert worker.wait_log(sc_status="400")["cs-uri-stem"] == "/\\xff\\x1b[1m"


@claim()
def a_reader_that_does_not_read_the_log_stops_nobody(box):
    address = box.address()
    root = site(box)  # for its files
    reader, writer = os.pipe()
    worker = box.start(box.program("poolworker"), "--listen", address, stdout=writer)
    os.close(writer)
    wait_until(lambda: answers(address), what="an answer")
    for _ in range(40):
        client = Client(address)
        for _ in range(50):
            assert client.ask("/" + "long" * 100).status == 200
        client.close()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    with os.fdopen(reader, "rb") as log:
        assert log.read().startswith(b"#Software: poolworker")
    assert root.stop() == 0


def answers(address):
    try:
        return ask(address).status == 200
    except OSError:
        return False
