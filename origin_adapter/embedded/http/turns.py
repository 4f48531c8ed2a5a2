"""Turns of the event loop: long work and tireless clients give others theirs."""

import gevent


def let_others_go() -> None:
    """Continue once the event loop has looked at all sockets.

    ``gevent.sleep(0)`` does not wait for that: gevent runs up to a thousand deferred
    callbacks before it looks at a socket again. A timer that is due at once fires
    together with the sockets.
    """
    hub = gevent.get_hub()
    due = hub.loop.timer(0)
    try:
        hub.wait(due)
    finally:
        due.close()
