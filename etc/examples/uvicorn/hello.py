import os

import patience  # noqa: F401 - lets uvicorn be replaced without a lost request


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"hello, worker={os.environ.get('POOLD_WORKER')} pid={os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
