"""Writing: the part of a fast connection that takes plain writes.

The body of a write is waited for on the event loop (U27). The head, and what has come
of the body, stay in what the connection has read: as long as nothing has gone upstream
a write can still be handed over, unsent, to a greenlet, which then finds it as it came.
That happens where too many bodies are held already, and where the right to write
was revoked meanwhile (B13). A body that does not come, or ends early, is refused here.

Behind the body nothing is read until the write is answered: what its client has sent
ahead waits, and that it has left is not noticed. Nobody else would know what became of
the write.
"""

from collections.abc import Callable
from functools import partial

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.front.fast.context import FastContext
from edge.front.fast.plain_requests import Later, PlainWrite, RequestLine
from edge.front.fast.request_memo import MAX_REMEMBERED_BYTES
from edge.front.fast.sink import FastSink
from edge.front.fast.stages import Stage
from edge.front.fast.write_exchange import WriteExchange
from edge.front.transport import Transport
from edge.policy.http.client_address import Caller, Peer


class Writing:
    """What ``FastConnection`` is made of for writes; the rest of it is named here."""

    __slots__ = ("_held", "_sink", "_waits", "_write", "_written")

    peer: Peer
    stage: Stage
    send: Callable[..., bool]
    complete: Callable[..., None]
    resume: Callable[[], None]
    judge_again: Callable[[bytes], None]
    _context: FastContext
    _transport: Transport
    _broken: Callable[[Exception], None]
    _gone: Callable[[], None]
    _judge_again: Callable[[], None]
    _move: Callable[[Stage], None]
    _read_on: Callable[[], None]
    _serve_whole: Callable[[], None]
    _until: Callable[[float], None]
    _watch: Callable[[], None]

    # What was read, and the sink of the request under way.
    _held: bytes
    _sink: FastSink | None
    # For another turn of the event loop, in which its request can be judged.
    _waits: bool
    # What it wrote last, and the write whose body is coming.
    _written: PlainWrite | None
    _write: WriteExchange | None

    def _serve_other(
        self,
        asked: Later | RequestLine | None,
        held: bytes,
        end: int,
        client: Callable[[bytes], Caller],
    ) -> None:
        """Begin a request that is no plain read, or cannot be judged yet. Its head ends
        with the empty line at ``end`` of ``held``."""
        judged: PlainWrite | Later | None = None
        if isinstance(asked, RequestLine):
            raw = held[held.find(b"\r\n") + 2 : end + 2]
            writes, last = self._context.plain_writes, self._written
            judged = writes.of(asked, raw, last, self.peer, partial(client, raw))
        elif asked is not None:
            judged = asked
        if isinstance(judged, PlainWrite):
            self._take_write(judged, end + 4)
        elif judged is None:
            self._serve_whole()
        else:
            self._waits = True
            judged.call(self._judge_again)

    def _take_write(self, plain: PlainWrite, body_at: int) -> None:
        """The head of a plain write has come, and perhaps its body, which begins at
        ``body_at`` of what is held."""
        context, block = self._context, plain.block
        short = len(block.raw) + len(plain.line.target) <= MAX_REMEMBERED_BYTES
        self._written = plain if short else None
        write = WriteExchange(context, self, plain, context.monotonic(), body_at)
        if not context.hold_body(write.size):
            self._serve_whole()
        elif len(self._held) >= write.ends_at:
            self._send_write(write)
        else:
            self._write = write
            self._move(Stage.RECEIVING)
            self._until(context.limits.body_timeout)
            self._read_on()

    def _body_came(self, data: bytes) -> None:
        """More of a body has come, or the end of what its client sends."""
        assert self._write is not None
        self._held += data
        if not data:
            detail = "The body ended before its announced end."
            self._refuse_body(ClientBodyCut(detail))
        elif len(self._held) < self._write.ends_at:
            self._until(self._context.limits.body_timeout)
        else:
            self._send_write(self._end_waiting())

    def _read_no_more(self) -> None:
        """Reading has failed. A body that was coming has ended, and its write is told
        of as one that ended early, though most likely nobody hears its answer."""
        if self._write is None:
            self._gone()
            return
        try:
            self._body_came(b"")
        except Exception as error:
            self._broken(error)

    def _body_is_late(self) -> None:
        detail = "The body stopped arriving."
        fault = ClientFault(detail, reason=Reason.BODY_TIMEOUT, status=408)
        self._refuse_body(fault)

    def _refuse_body(self, fault: ClientFault) -> None:
        write = self._end_waiting()
        self._move(Stage.WRITING)
        self._sink = write.sink
        write.refuse(fault)

    def _end_waiting(self) -> WriteExchange:
        """Its body is waited for no longer."""
        write, self._write = self._write, None
        assert write is not None
        return write

    def _send_write(self, write: WriteExchange) -> None:
        held = self._held
        if not write.may_begin:
            write.let_go()
            self._serve_whole()
            return
        if self._context.is_link and self._transport.peek() == b"":
            # Nobody would hear what became of it, and it may be long ago that the front
            # has told its client so (W3).
            self._write = write
            self._gone()
            return
        self._held = held[write.ends_at :]
        self._move(Stage.WRITING)
        self._sink = write.sink
        write.send(held[write.body_at : write.ends_at])

    def answering(self) -> None:
        """See ``write_exchange.WriteConnection``."""
        self._move(Stage.PARKED)
        self._watch()
