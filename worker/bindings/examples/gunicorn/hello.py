"""hello.py - a WSGI application that counts its requests, and tells when it is sick."""

import os

import poolworker


def hello(environ, start_response):
    body = (f"worker={os.environ.get('POOLD_WORKER', '-')} pid={os.getppid()} "
            f"child={os.getpid()}\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def is_sick():
    return os.path.exists(os.environ.get("SICK_FILE", ""))


application = poolworker.WSGI(hello, unhealthy=is_sick)
