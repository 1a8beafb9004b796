"""asyncio_server.py - a worker in an asyncio loop: pings are answered by the loop that serves."""

import asyncio
import os
import signal
import socket

import poolworker

CLIENT_LIMIT = 10  # seconds: a slower client would keep a worker that leaves

worker = poolworker.Worker(clean=True)


async def serve(reader, writer):
    try:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CLIENT_LIMIT)
        with worker.request():
            body = (f"pid={os.getpid()} worker={os.environ.get('POOLD_WORKER', '-')} "
                    f"pool={os.environ.get('POOLD_POOL', '-')}\n").encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, OSError):
        pass  # a client that has gone, is too slow, or talks nonsense
    finally:
        writer.close()


async def main():
    listeners = [listener for _name, listener in worker.listeners()]
    if not listeners:  # run by hand
        listeners = [socket.create_server(("127.0.0.1", 8080))]
        listeners[0].setblocking(False)
    worker.on_drain = lambda seconds: None  # serve() stops by itself, and nothing else is to be stopped
    worker.attach()
    worker.serve(serve, listeners)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stopping)
    worker.ready()
    await worker.served()
    worker.detach()


asyncio.run(main())
