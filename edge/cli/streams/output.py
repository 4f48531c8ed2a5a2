"""What ``read`` and ``tail`` print: bytes to standard output, and the offset reached.

They bring bodies of answers and of events, and the offsets after them. This module
prints each byte once (``replay_check``), cuts JSON into lines where that is wanted, and
knows the offset to resume at. It makes no requests.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self

from edge.cli.streams.exit_faults import Exit, Fault, NoReader
from edge.cli.streams.json_values import ArrayMessages, NotOneArray
from edge.cli.streams.replay_check import ReplayCheck, ReplayMismatch
from edge.protocol.names import is_json
from edge.protocol.offsets import NOW, is_position, order


def standard_output() -> BinaryIO:
    """Where the bytes go. Raises Fault when there is no such place."""
    if sys.stdout is None:
        raise Fault(Exit.FAILED, "standard output is closed")
    return sys.stdout.buffer


class Output:
    """Standard output, and the last offset up to which all has gone out."""

    def __init__(
        self,
        stdout: BinaryIO,
        offset: str,
        *,
        json_lines: bool = False,
        at_once: bool = False,
        passed: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.offset = offset
        self.bytes = 0
        self.closed = False
        self.up_to_date = False
        self.content_type: str | None = None
        self._stdout = stdout
        self._json_lines = json_lines
        self._at_once = at_once
        self._passed = passed
        self._once = ReplayCheck()
        self._minted = False
        self._messages: ArrayMessages | None = None

    @property
    def beyond(self) -> int:
        """Bytes that went out after ``offset``: its answer was cut."""
        return self._once.out

    def restart(self) -> None:
        """The server begins anew at ``offset``."""
        self._once.restart()

    @contextmanager
    def body(self) -> Iterator[Callable[[bytes], None]]:
        """One whole body, in pieces given to what this yields."""
        lines = self._json_lines and is_json(self.content_type)
        self._messages = ArrayMessages() if lines else None
        with _judged():
            yield self._piece
            if self._messages is not None:
                self._messages.finish()

    def stand(self, offset: str, *, up_to_date: bool, closed: bool) -> None:
        """All up to ``offset`` has gone out. Raises Fault if it goes back (L2)."""
        if not is_position(offset):
            raise Fault(Exit.FAILED, "the server's next offset is none")
        if self._minted and order(offset) < order(self.offset):
            raise Fault(
                Exit.GONE,
                f"the stream ends at {offset} now, before {self.offset}: "
                "it was created anew, or lost its end",
            )
        # The answer to a sentinel may lead anywhere; so may an extension's word.
        self._minted = True
        if offset != self.offset:
            # A word on the offset itself tells nothing of the bytes behind it.
            with _judged():
                self._once.settle()
        self.offset, self.up_to_date, self.closed = offset, up_to_date, closed

    def _piece(self, piece: bytes) -> None:
        if self._messages is None:
            self._out(piece)
        else:
            # Few large writes rather than many small ones.
            self._out(b"".join(self._messages.feed(piece)))

    def _out(self, piece: bytes) -> None:
        fresh = self._once.fresh(piece)
        with _writable():
            self._stdout.write(fresh)
            if self._at_once:
                self._stdout.flush()
        self.bytes += len(fresh)
        self._passed(len(fresh))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        """Hand over what is buffered, also when cut short. Raises NoReader."""
        if kind is not NoReader:
            with _writable():
                self._stdout.flush()

    # What is printed in the end (``report``).

    def data(self) -> dict[str, object]:
        """For programs."""
        return {
            "next_offset": self.offset,
            "bytes": self.bytes,
            "bytes_beyond": self.beyond,
            "up_to_date": self.up_to_date,
            "closed": self.closed,
            "content_type": self.content_type,
        }

    def line(self) -> str:
        """For people."""
        if self.offset == NOW:
            return "no offset is known yet"
        if self.beyond:
            return f"next offset: {self.offset} ({self.beyond} bytes after it are out)"
        if not self._minted:
            return f"next offset: {self.offset}"
        state = (
            "closed"
            if self.closed
            else "up to date"
            if self.up_to_date
            else "more follows"
        )
        return f"next offset: {self.offset} ({state})"


@contextmanager
def _judged() -> Iterator[None]:
    """Turns bytes that cannot be right into a Fault."""
    try:
        yield
    except ReplayMismatch as error:
        raise Fault(Exit.GONE, str(error)) from None
    except NotOneArray as error:
        raise Fault(Exit.FAILED, str(error)) from None


@contextmanager
def _writable() -> Iterator[None]:
    """Turns errors of writing into NoReader (a closed pipe) or Fault (a full disk)."""
    try:
        yield
    except BrokenPipeError:
        raise NoReader from None
    except OSError as error:
        raise Fault(Exit.FAILED, f"standard output: {error.strerror}") from None
