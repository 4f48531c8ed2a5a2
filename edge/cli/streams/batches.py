"""Input cut into appends: lines or JSON values, alone or a few together.

What arrived together may go out together, up to a number and a size. Nothing waits for
more to come. In a JSON stream each line is one message and is checked here: the server
would only say that the whole batch is wrong, and would take ``1,2`` for two messages.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.cli.streams.exit_faults import Exit, Fault
from edge.cli.streams.json_values import MAX_VALUE, JsonValues

MAX_BATCH = 1024 * 1024
"""Bytes above which a batch is not joined by a further item."""


@dataclass(frozen=True, slots=True)
class AppendBatch:
    """The body of one append, and how many items are in it."""

    body: bytes
    items: int


def lines(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines with their ends, in groups that arrived together. Raises Fault."""
    held: list[bytes] = []
    size = number = 0
    for piece in pieces:
        first, *more = _cut(piece)
        held.append(first)
        size += len(first)
        if size > MAX_VALUE:
            raise _too_large(number + 1, "line")
        if not first.endswith(b"\n"):
            continue
        whole = [b"".join(held), *more]
        rest = b"" if whole[-1].endswith(b"\n") else whole.pop()
        held, size, number = [rest], len(rest), number + len(whole)
        yield whole
    if last := b"".join(held):
        yield [last]


def _cut(piece: bytes) -> list[bytes]:
    """``piece``, cut after each line feed. No other byte ends a line here."""
    parts = [part + b"\n" for part in piece.split(b"\n")]
    last = parts.pop()[:-1]
    return [*parts, last] if last else parts


def values(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """JSON values that follow each other, in such groups. Raises Fault."""
    cutter, number = JsonValues(), 0
    try:
        for piece in pieces:
            whole = list(cutter.feed(piece))
            number += len(whole)
            if whole:
                yield whole
    except ValueError:
        raise _too_large(number + 1, "value") from None
    if last := list(cutter.finish()):
        yield last


def _too_large(number: int, what: str) -> Fault:
    return Fault(
        Exit.FAILED,
        f"{what} {number} is larger than {MAX_VALUE // 1024**2} MiB; "
        "append it as one body",
    )


def batches(
    groups: Iterable[list[bytes]], most: int, *, in_json: bool, what: str
) -> Iterator[AppendBatch]:
    """Bodies of up to ``most`` items each.

    Raises Fault at an item that is no JSON, after all that came before it.
    """
    number = 0
    for group in groups:
        fault, taken = None, group
        if in_json:
            taken, fault = _messages(group, number, what)
        number += len(group)
        for some in _shared_out(taken, most):
            yield _joined(some, in_json)
        if fault is not None:
            raise fault


def _messages(
    group: list[bytes], before: int, what: str
) -> tuple[list[bytes], Fault | None]:
    """The messages of a group up to a faulty one. A blank item is no message."""
    taken: list[bytes] = []
    for number, item in enumerate(group, before + 1):
        message = item.strip(b" \t\r\n")
        if message and not _is_json(message):
            return taken, Fault(Exit.FAILED, f"{what} {number} is no JSON")
        if message:
            taken.append(message)
    return taken, None


def _shared_out(items: list[bytes], most: int) -> Iterator[list[bytes]]:
    """Runs of up to ``most`` items, and of MAX_BATCH bytes where that is possible."""
    run: list[bytes] = []
    size = 0
    for item in items:
        if run and (len(run) == most or size + len(item) > MAX_BATCH):
            yield run
            run, size = [], 0
        run.append(item)
        size += len(item)
    if run:
        yield run


def _joined(items: list[bytes], in_json: bool) -> AppendBatch:
    # An array also around a single one: the server takes one level off (9.1.2),
    # and an item that is itself an array stays one message.
    body = b"[" + b",".join(items) + b"]" if in_json else b"".join(items)
    return AppendBatch(body, len(items))


def _is_json(item: bytes) -> bool:
    try:
        json.loads(item, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(word)


def marked_last(items: Iterable[AppendBatch]) -> Iterator[tuple[AppendBatch, bool]]:
    """Each batch, and whether it is the last. It is held until the next one comes."""
    held: AppendBatch | None = None
    for item in items:
        if held is not None:
            yield held, False
        held = item
    if held is not None:
        yield held, True
