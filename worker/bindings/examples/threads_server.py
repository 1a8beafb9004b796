"""threads_server.py - a worker of threads that block: each accepts a connection and serves it."""

import os
import select
import signal
import socket
import threading

import poolworker

THREADS = 8
CLIENT_LIMIT = 10  # seconds: a slower client would hold a thread for ever

worker = poolworker.Worker(clean=True)
leaving_read, leaving_write = os.pipe()  # readable for ever when the worker is to leave


def serve(connection):
    connection.settimeout(CLIENT_LIMIT)
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(4096)
        if not part or len(request) > 65536:
            return
        request += part
    body = (f"pid={os.getpid()} worker={os.environ.get('POOLD_WORKER', '-')} "
            f"pool={os.environ.get('POOLD_POOL', '-')}\n").encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(body), body))


def serve_on(listeners):
    # Exclusively: of all threads of all workers the kernel wakes one a connection.
    epoll = select.epoll()
    epoll.register(leaving_read, select.EPOLLIN)
    for listener in listeners:
        epoll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    by_descriptor = {listener.fileno(): listener for listener in listeners}
    while not worker.draining:
        for descriptor, _ in epoll.poll(maxevents=1):
            try:
                connection, _ = by_descriptor[descriptor].accept()
            except KeyError:
                return  # it is leaving_read
            except OSError:
                continue  # another thread or worker was quicker
            with connection, worker.request():
                try:
                    serve(connection)
                except OSError:
                    pass  # a client that has gone, or is too slow


def leave(*_):
    worker.stopping()
    os.write(leaving_write, b"x")


def main():
    listeners = [listener for _name, listener in worker.listeners()]
    if not listeners:  # run by hand
        listeners = [socket.create_server(("127.0.0.1", 8080))]
    threads = [threading.Thread(target=serve_on, args=(listeners,)) for _ in range(THREADS)]
    signal.signal(signal.SIGTERM, leave)
    worker.on_drain = leave
    worker.start(threads=THREADS)
    for thread in threads:
        thread.start()
    worker.ready()
    for thread in threads:  # each ends its request first
        thread.join()


main()
