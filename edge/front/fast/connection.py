"""FastConnection: one client's connection as data on the event loop.

It has a transport, the bytes read ahead, the sink of the request under way, and the
deadline of the next event. Requests are served in order, one at a time. A request that
is not plain is handed to a greenlet. The greenlet serves it the whole way
(``edge.front.http1.connection``) and gives the connection back. ``Stage`` says where a
connection is, and ``check`` what may follow.

While a plain write is upstream, nothing is read: what the client sends next waits, and
that it left is not noticed until the write is answered (U27).

Every callback is guarded here: an exception ends this connection alone and is counted.
The connection never blocks and never switches greenlets.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from edge.core.errors import ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.core.timer_wheel import Slot
from edge.front import problems
from edge.front.fast.context import FastContext
from edge.front.fast.plain_requests import (
    KnownHead,
    PlainRead,
)
from edge.front.fast.request_memo import HeaderBlock
from edge.front.fast.sink import FastSink, lines_of
from edge.front.fast.stages import BATCH_SIZE, MOVES, READ_SIZE, Stage
from edge.front.fast.varied_head import VariedHead, varied
from edge.front.fast.writing import Writing
from edge.front.http1.connection import Handoff
from edge.front.transport import Transport, WriteBuffer, rest
from edge.policy.http.client_address import Peer

_HEAD_END = b"\r\n\r\n"


_IDLE = Stage.IDLE
_PARKED = Stage.PARKED
_READ_IN = frozenset({Stage.IDLE, Stage.READING, Stage.PARKED})
_ELSEWHERE = frozenset({Stage.PARKED, Stage.WRITING})
_MAY_BEGIN = frozenset({Stage.IDLE, Stage.READING})


def check(before: Stage, after: Stage) -> Stage:
    """``after``; RuntimeError when the table has no such move."""
    allowed = after in MOVES[before] or after is Stage.CLOSED
    if not allowed or before is Stage.CLOSED:
        raise RuntimeError(f"a connection that is {before.value}: {after.value}?")
    return after


def send_at_once(transport: Transport, head: bytes, body: bytes) -> int:
    """How many bytes of both the transport takes now. Raises OSError."""
    try:
        return transport.sendmsg((head, body)) if body else transport.send(head)
    except BlockingIOError:
        return 0


class FastConnection(Writing):
    """Serves one accepted client. ``listener`` is the address that it called; ``held``
    was read already. ``ended`` is called once, when the transport is closed.

    ``due_at`` and ``slot``: see ``TimerWheel``.
    """

    __slots__ = (
        "_block",
        "_closing",
        "_context",
        "_ended",
        "_handoff",
        "_last",
        "_listener",
        "_looping",
        "_lost",
        "_transport",
        "_unsent",
        "_varied",
        "due_at",
        "peer",
        "slot",
        "stage",
    )

    def __init__(
        self,
        context: FastContext,
        transport: Transport,
        peer: Peer,
        listener: Any,
        ended: Callable[["FastConnection"], None],
        held: bytes = b"",
    ) -> None:
        self._context = context
        self._transport = transport
        self.peer = peer
        self._listener = listener
        self._ended = ended
        self._held = held
        self._block: HeaderBlock | None = None
        self._last: KnownHead | None = None
        self._varied: VariedHead | None = None
        self._written = None
        self._write = None
        self._sink = None
        self._unsent: WriteBuffer | None = None
        self._handoff: Handoff | None = None
        self._looping = self._closing = self._lost = False
        self._waits = False
        self.stage = Stage.IDLE
        self.due_at = 0.0
        self.slot: Slot | None = None
        self._until(context.limits.idle_timeout)
        transport.reading.start(self._readable)
        if held:
            context.soon(self._resume)

    def __repr__(self) -> str:
        return f"<FastConnection {self.stage.value} {len(self._held)} ahead>"

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a request of which no byte was read (monotonic
        seconds); None: it does not."""
        if self.stage is not _IDLE or self._held:
            return None
        return self.due_at - self._context.limits.idle_timeout

    def dismiss(self) -> None:
        """Close an idle connection. A request that has come already is answered."""
        # Reads are not shut down: a request that waits would look like it had left.
        if not self._transport.peek():
            self._gone()

    def cut(self) -> None:
        """End now, whatever is under way."""
        if self._handoff is not None:
            self._handoff.cut()
        else:
            self._gone()

    def refuse(self, error: EdgeError) -> None:
        """Answer ``error`` without reading a request, and close."""
        self._hand_over(lambda handoff: handoff.refuse(error))

    def _move(self, after: Stage) -> None:
        self.stage = check(self.stage, after)

    # Time.

    def expire(self) -> None:
        """The deadline has passed (see ``TimerWheel``)."""
        try:
            if self.stage in _ELSEWHERE:
                # The hub and the origin's adapter have their own clocks for that.
                self._until(self._context.limits.idle_timeout)
                return
            if self._write is not None:
                self._body_is_late()
                return
            if self.stage is not Stage.READING:
                self._gone()
                return
            detail = "The request's head did not come in time."
            self.refuse(ClientFault(detail, reason=Reason.BAD_HEAD, status=408))
        except Exception as error:
            self._broken(error)

    def _until(self, seconds: float) -> None:
        """The next event must happen within so many seconds."""
        self._context.wheel.set(self, self._context.monotonic() + seconds)

    # Reading.

    def _readable(self) -> None:
        """The read watch's callback. Most often one whole known head has come."""
        if self.stage is Stage.WRITING:
            # It stays unread, and so does the end.
            self._transport.reading.stop()
            return
        try:
            data = self._transport.recv(READ_SIZE)
            if self.stage is _IDLE and not self._held:
                # Comparing costs less than a look-up: a head with a token is long.
                known = self._last
                if known is None or data != known[0]:
                    if (ours := self._varied) is not None and ours.fits(data):
                        known = data, ours.plain
                    else:
                        known = self._last = self._context.heads.get(data)
                if known is not None:
                    if self._answer(known[1], b"", known[0]):
                        return
                    self._last = self._varied = None
            self._received(data)
        except BlockingIOError:
            return
        except OSError:
            self._read_no_more()
        except Exception as error:
            self._broken(error)

    def _received(self, data: bytes) -> None:
        if self._write is not None:
            self._body_came(data)
            return
        if not data:
            # Idle or parked: a connection closed on one side counts as closed (E46).
            self._gone()
            return
        self._held += data
        if self.stage in _MAY_BEGIN:
            self._serve_held()
        if len(self._held) >= READ_SIZE and self.stage in _READ_IN:
            self._transport.reading.stop()

    def _watch(self) -> None:
        """Watch for bytes, if there is room for them."""
        if len(self._held) < READ_SIZE:
            self._read_on()

    def _read_on(self) -> None:
        reading = self._transport.reading
        if not reading.active:
            reading.start(self._readable)

    def _resume(self) -> None:
        """Serve the requests that were read while the last answer was under way."""
        try:
            self._serve_held()
            self.resume()
        except OSError:
            self._gone()
        except Exception as error:
            self._broken(error)

    def _serve_held(self) -> None:
        """Serve the requests that were read, in order, as far as possible. If there are
        many, some in each iteration of the loop."""
        self._looping = True
        try:
            for _ in range(BATCH_SIZE):
                if self._waits or not (self._held and self.stage in _MAY_BEGIN):
                    return
                if not self._serve_next():
                    return
            self._context.call_next_iteration(self._resume)
        finally:
            self._looping = False

    def _serve_next(self) -> bool:
        """Begin the next request. Returns whether there may be another one."""
        held = self._held
        end = held.find(_HEAD_END)
        if end < 0:
            self._await_more(held)
            return False
        after = held[end + 4 :]
        if after:
            # Several came in one go; a single one was looked up when it came.
            known = self._context.heads.get(held[: end + 4])
            if known is not None and self._answer(known[1], after, known[0]):
                return True
        context = self._context
        client = partial(context.client, self.peer)
        block, plain = context.request_memo.head(held, end, self._block, client)
        self._block = block or self._block
        if isinstance(plain, PlainRead):
            if block is not None and block.before and not after:
                self._varied = varied(held, block, plain)
            if not self._answer(plain, after, lines_of(held, end, block)):
                self._serve_whole()
        else:
            self._serve_other(plain, held, end, client)
        return self.stage in _MAY_BEGIN and not self._waits

    def _judge_again(self) -> None:
        """The turn has come in which the next request can be judged."""
        self._waits = False
        self._resume()

    def _await_more(self, held: bytes) -> None:
        """Wait for the rest of a head, unless it cannot become a plain one."""
        if not self._context.request_memo.may_be_plain(held):
            self._serve_whole()
        elif self.stage is _IDLE:
            self._move(Stage.READING)
            self._until(self._context.limits.head_timeout)

    # Answering.

    def _answer(self, plain: PlainRead, after: bytes, raw: bytes) -> bool:
        """Answer; ``after`` is what was read behind the request, and ``raw`` has its
        fields. Returns False and does nothing when the grant behind it has ended."""
        context = self._context
        now = context.monotonic()
        if now >= plain.until or now >= plain.grant.lease.ends_at:
            return False
        self._held = after
        # A peek is counted as an answer, so do not peek if it could not be used.
        may = not plain.close and not context.server_context.draining
        ready = context.peek(plain.read, now) if may else None
        if ready is None:
            self._ask(plain, now, raw)
            return True
        encoded = context.encoder.ready(ready, plain.line.route, now)
        self.stage = _IDLE
        self.due_at = now + context.limits.idle_timeout
        request_id = plain.request_id or context.next_id()
        head = encoded.before + request_id + plain.by_origin + encoded.after
        body = encoded.body
        sent = send_at_once(self._transport, head, body)
        if context.logs or sent != len(head) + len(body):
            self._sink = FastSink(context, self, plain, now, raw)
            self._sink.served(encoded, request_id)
            self._keep(head, body, sent)
            self.complete(False)
        return True

    def _ask(self, plain: PlainRead, now: float, raw: bytes) -> None:
        self._sink = sink = FastSink(self._context, self, plain, now, raw)
        self._move(_PARKED)
        try:
            sink.pending = self._context.read_service.ask(
                plain.read, sink, now, plain.grant.lease
            )
        except Exception as error:
            # The hub or the sink let it through: report it as Falcon's way does.
            self._context.report(error, sink.request_id)
            sink.abort(problems.INTERNAL)

    # What the sink calls (see ``ResponseWriter``).

    def send(self, head: bytes, body: bytes = b"") -> bool:
        """Send both; False when some of it has to wait for the transport."""
        if self._lost or self.stage is Stage.CLOSED:
            return False
        if self._unsent is not None:
            self._unsent.add(head + body)
            return False
        try:
            sent = send_at_once(self._transport, head, body)
        except OSError:
            # The hub is calling: it is told once this call is over.
            self._lost = True
            self._context.soon(self._gone)
            return False
        if sent == len(head) + len(body):
            return True
        self._keep(head, body, sent)
        return False

    def complete(self, close: bool, pause_reads: bool = False) -> None:
        """The answer is over. Reads are not paused while part of it is unsent."""
        self._closing = close
        if self._unsent is None and not self._lost:
            self._finished(pause_reads)

    def judge_again(self, head: bytes) -> None:
        """Let the whole way serve the request, before what came after it."""
        held, self._sink = head + self._held, None
        self._hand_over(lambda handoff: handoff.serve(held))

    def resume(self) -> None:
        """Read on, unless something else came in between."""
        if self.stage in _READ_IN:
            self._watch()

    def _finished(self, pause_reads: bool = False) -> None:
        """The answer is sent: take the next request, or end."""
        sink, self._sink = self._sink, None
        assert sink is not None
        sink.over()
        if self._closing:
            self._close_gracefully()
            return
        self.stage = _IDLE
        self.due_at = self._context.monotonic() + self._context.limits.idle_timeout
        if pause_reads:
            self._transport.reading.stop()
        else:
            self._watch()
        if self._held and not self._looping:
            self._context.soon(self._resume)

    # What the transport did not take at once.

    def _keep(self, head: bytes, body: bytes, sent: int) -> None:
        """Send the rest when there is room for it; read nothing until then."""
        left = rest([memoryview(head), memoryview(body)], sent)
        if left:
            self._move(Stage.SENDING)
            self._transport.reading.stop()
            self._unsent = WriteBuffer(self._transport, left, self._writable)
            self._until(self._context.limits.send_timeout)

    def _writable(self) -> None:
        """The write watch's callback."""
        try:
            assert self._unsent is not None
            if self._unsent.flush():
                self._drop_unsent()
                self._drained()
            else:
                self._until(self._context.limits.send_timeout)
        except OSError:
            self._gone()
        except Exception as error:
            self._broken(error)

    def _drained(self) -> None:
        self._move(_PARKED)
        sink = self._sink
        assert sink is not None
        if sink.ended:
            self._finished()
            return
        self._watch()
        if sink.pending is not None:
            sink.pending.drained()

    def _drop_unsent(self) -> None:
        if self._unsent is not None:
            self._unsent.close()
            self._unsent = None

    # The end.

    def _close_gracefully(self) -> None:
        """Close. A client that is still sending is read first: a reset would take its
        answer away."""
        if self._held or self._transport.peek():
            self._hand_over(lambda handoff: handoff.linger())
        else:
            self._close()

    def _broken(self, error: Exception) -> None:
        """A defect met this connection."""
        self._context.report(error)
        self._gone()

    def _gone(self) -> None:
        """The client left, or must. The request under way is told."""
        if self.stage is Stage.CLOSED or self._handoff is not None:
            return
        sink, self._sink = self._sink, None
        if self._write is not None:
            sink = self._end_waiting().abandon()
        self._close()
        if sink is not None:
            sink.client_left()

    def _close(self) -> None:
        self._drop_unsent()
        self._transport.close()
        self._over()

    def _over(self) -> None:
        self._move(Stage.CLOSED)
        self._context.wheel.drop(self)
        self._ended(self)

    # Handing over.

    def _serve_whole(self) -> None:
        """Have the next request, and what is read of it, served the whole way."""
        held = self._held
        self._hand_over(lambda handoff: handoff.serve(held))

    def _hand_over(self, act: Callable[[Handoff], None]) -> None:
        """Let a greenlet use the transport; ``_taken_back`` ends that."""
        self._move(Stage.HANDED)
        self._held = b""
        self._transport.reading.stop()
        self._context.wheel.drop(self)
        context, back = self._context.server_context, self._taken_back
        self._handoff = Handoff(
            context, self._transport, self._listener, self.peer, back
        )
        act(self._handoff)

    def _taken_back(self, held: bytes | None) -> None:
        """The greenlet has ended. None: it has closed the transport."""
        self._handoff = None
        if held is None:
            self._over()
            return
        self._move(Stage.IDLE)
        self._until(self._context.limits.idle_timeout)
        self._transport.reading.start(self._readable)
        self._held = held
        self._resume()
