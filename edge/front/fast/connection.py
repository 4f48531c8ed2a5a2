"""FastConnection: one client's connection as data on the event loop.

A socket, a watcher, what was read ahead, the sink of the request under way.
``edge.front.fast.stages`` has the table of its stages. Requests are served in
order, one at a time; one that is not plain is handed to a greenlet that serves
it the whole way (``edge.front.http1.connection``) and gives the connection back.

Every callback is guarded here: an exception ends this connection and is
counted, and nothing else hears of it. Nothing blocks or switches greenlets.
"""

import socket
from collections.abc import Callable
from typing import Any

from edge.core.errors import ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.front import problems
from edge.front.fast import write_buffer
from edge.front.fast.context import FastContext
from edge.front.fast.handoff import Handoff
from edge.front.fast.request_memo import HeaderBlock, PlainRead
from edge.front.fast.sink import SocketSink
from edge.front.fast.stages import Stage, check
from edge.front.fast.transport import Transport

READ = 64 * 1024
"""Bytes taken from the socket at once, and kept ahead at most."""

AT_ONCE = 32
"""Requests of one client that are answered before others get their turn."""

_HEAD_END = b"\r\n\r\n"
_IDLE = Stage.IDLE
_PARKED = Stage.PARKED
_READ_IN = frozenset({Stage.IDLE, Stage.READING, Stage.PARKED})
_MAY_BEGIN = frozenset({Stage.IDLE, Stage.READING})


class FastConnection(Transport):
    """One accepted socket. ``ended`` is called once, when it is closed."""

    __slots__ = (
        "_block",
        "_closing",
        "_ended",
        "_handoff",
        "_held",
        "_listener",
        "_looping",
        "_sink",
    )

    def __init__(
        self,
        context: FastContext,
        sock: Any,
        listener: Any,
        ended: Callable[["FastConnection"], None],
    ) -> None:
        super().__init__(context, sock)
        self._listener = listener
        self._ended = ended
        self._held = b""
        self._block: HeaderBlock | None = None
        self._sink: SocketSink | None = None
        self._handoff: Handoff | None = None
        self._looping = False
        self._closing = False

    def __repr__(self) -> str:
        return f"<FastConnection {self.stage.value} {len(self._held)} ahead>"

    @property
    def idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self.stage is _IDLE and not self._held

    def dismiss(self) -> None:
        """Have an idle connection end. What was sent before is still answered."""
        try:
            self._sock.shutdown(socket.SHUT_RD)
        except OSError:
            self._gone()

    def cut(self) -> None:
        """End now, whatever is under way."""
        if self._handoff is not None:
            self._handoff.cut()
        else:
            self._gone()

    def refuse(self, error: EdgeError) -> None:
        """Answer ``error`` without reading a request, and close."""
        self._give(lambda hand: hand.refuse(error))

    def expire(self) -> None:
        """The deadline has passed (see ``TimerWheel``)."""
        try:
            if self.stage is _PARKED:
                # The hub has its own clock for that.
                self._until(self._context.limits.idle_timeout)
                return
            if self.stage is not Stage.READING:
                self._gone()
                return
            detail = "The request's head did not come in time."
            self.refuse(ClientFault(detail, reason=Reason.BAD_HEAD, status=408))
        except Exception as error:
            self._broken(error)

    # Reading.

    def _readable(self) -> None:
        """The watcher's callback. Most of what comes is one whole known head."""
        try:
            data = self._sock.recv(READ)
            if self.stage is _IDLE and not self._held:
                plain = self._context.heads.get(data)
                if plain is not None:
                    self._answer(plain)
                    return
            self._received(data)
        except BlockingIOError:
            return
        except OSError:
            self._gone()
        except Exception as error:
            self._broken(error)

    def _received(self, data: bytes) -> None:
        if not data:
            # Whether idle or parked: half a connection is none (E46).
            self._gone()
            return
        self._held += data
        if self.stage in _MAY_BEGIN:
            self._serve_held()
        if len(self._held) >= READ and self.stage in _READ_IN:
            self._watcher.stop()

    def _resume(self) -> None:
        """Serve what was read while the last answer was under way."""
        try:
            self._serve_held()
            self.resume()
        except OSError:
            self._gone()
        except Exception as error:
            self._broken(error)

    def _serve_held(self) -> None:
        """Serve what was read, one request after another, as far as it goes; of
        many, some in each turn of the loop."""
        self._looping = True
        try:
            for _ in range(AT_ONCE):
                if not (self._held and self.stage in _MAY_BEGIN):
                    return
                if not self._serve_next():
                    return
            self._context.in_next_turn(self._resume)
        finally:
            self._looping = False

    def _serve_next(self) -> bool:
        """Begin the next request; whether there may be another one."""
        held = self._held
        end = held.find(_HEAD_END)
        if end < 0:
            self._await_more(held)
            return False
        plain = None
        if len(held) > end + 4:
            # Several in one go; one alone was looked up when it came.
            plain = self._context.heads.get(held[: end + 4])
        if plain is None:
            block, plain = self._context.request_memo.head(held, end, self._block)
            self._block = block or self._block
        if plain is None:
            self._give(lambda hand: hand.serve(held))
            return False
        self._held = held[end + 4 :]
        self._answer(plain)
        return True

    def _await_more(self, held: bytes) -> None:
        """Wait for the rest of a head, unless it cannot become a plain one."""
        if not self._context.request_memo.may_be_plain(held):
            self._give(lambda hand: hand.serve(held))
        elif self.stage is _IDLE:
            self.stage = check(self.stage, Stage.READING)
            self._until(self._context.limits.head_timeout)

    # Answering.

    def _answer(self, plain: PlainRead) -> None:
        context = self._context
        now = context.monotonic()
        # A peek is counted as an answer: none that could not be used.
        may = not plain.close and not context.server_context.draining
        ready = context.peek(plain.read, now) if may else None
        if ready is None:
            self._ask(plain, now)
            return
        encoded = context.ready(ready, plain.line.route, now)
        self.stage = _IDLE
        self.due_at = now + context.limits.idle_timeout
        request_id = plain.request_id or context.next_id()
        head = encoded.before + request_id + encoded.after
        body = encoded.body
        sent = write_buffer.send(self._sock, head, body)
        if context.logs or sent != len(head) + len(body):
            self._sink = SocketSink(context, self, plain, now)
            self._sink.served(encoded, request_id)
            self._keep(head, body, sent)
            self.complete(False)

    def _ask(self, plain: PlainRead, now: float) -> None:
        self._sink = sink = SocketSink(self._context, self, plain, now)
        self.stage = check(self.stage, _PARKED)
        try:
            sink.pending = self._context.read_service.ask(plain.read, sink, now)
        except Exception as error:
            # What the hub or the sink let through: told as Falcon's way does.
            self._context.report(error, sink.request_id)
            sink.abort(problems.INTERNAL)

    # Carrier, for the sink; ``send`` is Transport's.

    def _drained(self) -> None:
        self.stage = check(self.stage, _PARKED)
        sink = self._sink
        assert sink is not None
        if sink.ended:
            self._finished()
            return
        if len(self._held) < READ:
            self._watch()
        if sink.pending is not None:
            sink.pending.drained()

    def complete(self, close: bool, pause_reads: bool = False) -> None:
        """See Carrier. What is still to be sent when it is held is not held."""
        self._closing = close
        if self._unsent is None and not self._lost:
            self._finished(pause_reads)

    def resume(self) -> None:
        """See Carrier. What happened to the connection meanwhile comes first."""
        if self.stage in _READ_IN and len(self._held) < READ:
            self._watch()

    def _finished(self, pause_reads: bool = False) -> None:
        """The answer is out: the next request, or the end."""
        sink, self._sink = self._sink, None
        assert sink is not None
        sink.over()
        if self._closing:
            self._close_gently()
            return
        self.stage = _IDLE
        self.due_at = self._context.monotonic() + self._context.limits.idle_timeout
        if pause_reads:
            self._watcher.stop()
        elif len(self._held) < READ:
            self._watch()
        if self._held and not self._looping:
            self._context.soon(self._resume)

    # The end.

    def _close_gently(self) -> None:
        """Close; not so that what the client still sends resets the answer away."""
        if self._held or self._has_unread():
            self._give(lambda hand: hand.linger())
        else:
            self._close()

    def _broken(self, error: Exception) -> None:
        self._context.report(error)
        self._gone()

    def _gone(self) -> None:
        """The client left, or must. Whoever works for it hears of it."""
        if self.stage is Stage.CLOSED or self._handoff is not None:
            return
        sink, self._sink = self._sink, None
        self._close()
        if sink is not None:
            sink.client_left()

    def _close(self) -> None:
        self._drop_outgoing()
        self._watcher.stop()
        self._watcher.close()
        self._sock.close()
        self._over()

    def _over(self) -> None:
        self.stage = check(self.stage, Stage.CLOSED)
        self._context.wheel.drop(self)
        self._ended(self)

    # Handing over.

    def _give(self, act: Callable[[Handoff], None]) -> None:
        """Let a greenlet do something with the socket; ``_taken_back`` ends it."""
        self.stage = check(self.stage, Stage.HANDED)
        self._held = b""
        self._watcher.stop()
        self._context.wheel.drop(self)
        self._handoff = Handoff(
            self._context, self._sock, self._listener, self._taken_back
        )
        act(self._handoff)

    def _taken_back(self, sock: Any, held: bytes) -> None:
        """The greenlet has ended; ``sock`` None: with the connection."""
        self._handoff = None
        self._sock = sock
        if sock is None:
            self._watcher.close()
            self._over()
            return
        self.stage = check(self.stage, Stage.IDLE)
        self._until(self._context.limits.idle_timeout)
        self._watcher.start(self._readable)
        self._held = held
        self._resume()
