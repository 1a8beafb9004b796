"""patience.py - keeps uvicorn from closing connections that it owes an answer.

Told to leave, uvicorn 0.17 closes every connection whose request it has not read yet, even one that
it accepted a moment ago: under load a recycle costs a request now and then. Imported by the
application, this gives the request of such a connection five seconds to come."""

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_LIMIT_S = 5.0

close_at_once = H11Protocol.shutdown


def shutdown(protocol):
    if protocol.cycle is not None:
        close_at_once(protocol)
    else:
        protocol.loop.call_later(REQUEST_LIMIT_S, close_if_silent, protocol)


def close_if_silent(protocol):
    if protocol.cycle is None and not protocol.transport.is_closing():
        protocol.transport.close()


H11Protocol.shutdown = shutdown
