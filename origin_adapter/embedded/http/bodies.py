"""Bodies: the whole of a request's body, or a refusal; never a part of it.

A writer that dies in the middle, or whose chunks are cut short, has appended nothing:
pywsgi's reader raises when fewer bytes come than were announced. A body counts from its
first byte until its request is answered. The sum of all bodies is bounded; a request
beyond it gets a 503.
"""

import falcon
import gevent

from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request

PIECE = 65536
_CLOSE = (("Connection", "close"),)
_COME_AGAIN = (*_CLOSE, ("Retry-After", "1"))
_TAKEN = "ds.taken"


class RequestBodies:
    """The bodies of all requests under way. ``taken`` is their size in bytes."""

    def __init__(self, most: int, timeout: float) -> None:
        self.most = most
        self.timeout = timeout
        self.taken = 0

    def read(self, req: falcon.Request, limit: int) -> bytes:
        """The body of a request, at most ``limit`` bytes.

        The time-out is for each piece of 64 KiB, so it is also a minimum speed.
        Raises Refused: body-too-large, body-cut, body-timeout, busy.
        """
        announced = req.content_length
        if announced is not None and announced > limit:
            raise _too_large(limit)
        pieces: list[bytes] = []
        left = limit
        while piece := _piece(req, min(PIECE, left + 1), self.timeout):
            left -= len(piece)
            if left < 0:
                raise _too_large(limit)
            self._take(req, len(piece))
            pieces.append(piece)
            if limit - left == announced:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self, req: falcon.Request) -> None:
        """The request is answered: its body no longer counts."""
        self.taken -= req.env.pop(_TAKEN, 0)

    def _take(self, req: falcon.Request, size: int) -> None:
        if self.taken + size > self.most:
            raise Refused(503, RefusalReason.BUSY, "too much is under way", _COME_AGAIN)
        self.taken += size
        req.env[_TAKEN] = req.env.get(_TAKEN, 0) + size


def _piece(req: falcon.Request, size: int, timeout: float) -> bytes:
    slow = Refused(408, RefusalReason.BODY_TIMEOUT, "the body is too slow", _CLOSE)
    try:
        with gevent.Timeout(timeout, slow):
            piece: bytes = req.env["wsgi.input"].read(size)
            return piece
    except OSError:
        cut = bad_request(
            RefusalReason.BODY_CUT, "the body ended early; nothing was appended"
        )
        cut.headers = _CLOSE
        raise cut from None


def _too_large(limit: int) -> Refused:
    return Refused(413, RefusalReason.BODY_TOO_LARGE, f"at most {limit} bytes", _CLOSE)
