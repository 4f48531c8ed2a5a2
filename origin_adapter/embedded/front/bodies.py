"""Bodies: the whole of a request's body, or a refusal; never a part of it.

A writer that dies in the middle, or whose chunks are cut short, has appended
nothing: pywsgi's reader raises when fewer bytes come than were announced.
"""

import falcon
import gevent

from origin_adapter.embedded.rules.refusals import Refused, Why, bad_request

PIECE = 65536
_CLOSE = (("Connection", "close"),)


def read(req: falcon.Request, limit: int, timeout: float) -> bytes:
    """The body. Raises Refused: body-too-large, body-cut, body-timeout.

    ``timeout`` is for each piece of 64 KiB, so it is a least speed too.
    """
    announced = req.content_length
    if announced is not None and announced > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    left = limit
    while piece := _piece(req, min(PIECE, left + 1), timeout):
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _piece(req: falcon.Request, size: int, timeout: float) -> bytes:
    slow = Refused(408, Why.BODY_TIMEOUT, "the body is too slow", _CLOSE)
    try:
        with gevent.Timeout(timeout, slow):
            piece: bytes = req.env["wsgi.input"].read(size)
            return piece
    except OSError:
        cut = bad_request(Why.BODY_CUT, "the body ended early; nothing was appended")
        cut.headers = _CLOSE
        raise cut from None


def _too_large(limit: int) -> Refused:
    return Refused(413, Why.BODY_TOO_LARGE, f"at most {limit} bytes", _CLOSE)
