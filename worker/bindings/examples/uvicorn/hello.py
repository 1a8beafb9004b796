"""hello.py - an ASGI application whose uvicorn is pinged, drained by message, and counts.

Beside it belong poolworker.py, and patience.py of etc/examples/uvicorn, which says why."""

import os

import patience  # noqa: F401 - lets uvicorn be replaced without a lost request
import poolworker


async def hello(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"worker={os.environ.get('POOLD_WORKER', '-')} pid={os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


application = poolworker.ASGI(hello)
