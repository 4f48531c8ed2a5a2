"""What writes: create, append, close, delete (sections 4.2 and 5.1 to 5.4).

A write is sent again only if twice does no more than once: an append that a producer
has numbered (5.2.1), a create, a close without data, a delete. Anything that the server
refused with 429 is sent again too. A plain append whose answer was lost is never
repeated: it may have been done. The fault says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.cli.streams.batches import AppendBatch, batches, lines, marked_last, values
from edge.cli.streams.client import Body, Client, ServerAnswer, StreamRequest
from edge.cli.streams.exit_faults import Exit, Fault, RequestOutcome
from edge.cli.streams.retry_policy import RetryPolicy
from edge.cli.streams.server_errors import shown
from edge.cli.streams.source import Source
from edge.protocol import names
from edge.protocol.names import is_json

UNKNOWN = "it may have been appended or not (a producer could safely send it again)"


@dataclass(slots=True)
class WriteResult:
    """What was done, for the report."""

    word: str
    next_offset: str | None = None
    closed: bool = False

    def heard(self, answer: ServerAnswer) -> None:
        """Take from an answer where the stream stands."""
        self.next_offset = answer.get(names.NEXT_OFFSET) or self.next_offset
        self.closed = self.closed or answer.flag(names.CLOSED)

    def data(self) -> dict[str, object]:
        """For programs."""
        return {"next_offset": self.next_offset, "closed": self.closed}

    def line(self) -> str:
        """For people."""
        parts = [self.word]
        if self.next_offset is not None:
            parts.append(f"next offset: {shown(self.next_offset)}")
        if self.closed and self.word != "closed":
            parts.append("closed")
        return ", ".join(parts)


@dataclass(slots=True)
class CreateResult(WriteResult):
    """What a create did: ``created`` is False where the stream was there already."""

    created: bool = False
    content_type: str | None = None

    def data(self) -> dict[str, object]:
        """For programs."""
        type_ = {"created": self.created, "content_type": self.content_type}
        return WriteResult.data(self) | type_


@dataclass(slots=True)
class AppendResult(WriteResult):
    """How much was appended; ``items`` are lines or values, None for one body."""

    appends: int = 0
    items: int | None = None
    duplicates: int | None = None
    """Appends that the producer had made before; None without a producer."""
    next_seq: int | None = None

    def data(self) -> dict[str, object]:
        """For programs."""
        counts = {"appends": self.appends, "items": self.items}
        producer = {"duplicates": self.duplicates, "next_seq": self.next_seq}
        return WriteResult.data(self) | counts | producer

    def line(self) -> str:
        """For people."""
        self.word = f"appends: {self.appends}"
        if self.items is not None:
            self.word += f", items: {self.items}"
        if self.next_seq is not None:
            self.word += f" ({self.duplicates} known before, next seq {self.next_seq})"
        return WriteResult.line(self)


@dataclass(slots=True)
class IdempotentProducer:
    """An idempotent producer: its id, its epoch and its next number (5.2.1)."""

    id: str
    epoch: int = 0
    seq: int = 0

    def fields(self) -> dict[str, str]:
        """The header fields of the next append."""
        return {
            names.PRODUCER_ID: self.id,
            names.PRODUCER_EPOCH: str(self.epoch),
            names.PRODUCER_SEQ: str(self.seq),
        }


@dataclass(frozen=True, slots=True)
class AppendOptions:
    """How the input becomes appends. ``cut``: None (one body), lines or values."""

    content_type: str | None = None
    cut: str | None = None
    most: int = 1
    stream_seq: str | None = None
    close: bool = False


def create(
    client: Client,
    policy: RetryPolicy,
    headers: dict[str, str],
    source: Source | None,
    told: CreateResult,
) -> None:
    """PUT, with the source as the first content. Raises Fault."""
    body, replayable = _body(source) if source else (b"", True)
    # Sent again, a fork without an offset would be one of a later tail.
    repeatable = names.FORKED_FROM not in headers
    ask = StreamRequest(
        "PUT", {}, headers, body, repeatable=repeatable, replayable=replayable
    )
    with client.insist(ask, policy) as answer:
        told.heard(answer)
        told.created = answer.status == 201
        told.word = "created" if told.created else "exists already, as asked"
        told.content_type = answer.get("Content-Type")


def close(client: Client, policy: RetryPolicy, told: WriteResult) -> None:
    """Close without data; a stream that is closed already stays so."""
    ask = StreamRequest("POST", {}, {names.CLOSED: names.TRUE}, b"")
    with client.insist(ask, policy) as answer:
        told.heard(answer)
        told.closed, told.word = True, "closed"


def delete(client: Client, policy: RetryPolicy, told: WriteResult) -> None:
    """Delete. A 404 after an answer that was lost means that it was done."""
    try:
        client.insist(StreamRequest("DELETE", {}, {}), policy).close()
    except Fault as fault:
        if fault.status not in (404, 410) or not policy.doubt:
            raise
    told.word = "deleted"


class AppendRun:
    """The appends of one run: ``run`` makes them all, ``told`` counts them."""

    def __init__(
        self,
        client: Client,
        policy: RetryPolicy,
        how: AppendOptions,
        producer: IdempotentProducer | None,
        told: AppendResult,
    ) -> None:
        self._client = client
        self._policy = policy
        self._how = how
        self._producer = producer
        self._told = told
        self._type = how.content_type
        told.items = None if how.cut is None else 0
        if producer is not None:
            told.duplicates, told.next_seq = 0, producer.seq

    def run(self, source: Source) -> None:
        """Append the whole source. Raises Fault."""
        if self._type is None:
            self._type = self._ask_type()
        if self._how.cut is None:
            self._one(source)
        else:
            self._many(source)

    def _ask_type(self) -> str:
        with self._client.insist(StreamRequest("HEAD", {}, {}), self._policy) as answer:
            found = answer.get("Content-Type")
        if found is None:
            text = "the server does not tell the stream's type: give --content-type"
            raise Fault(Exit.FAILED, text)
        return found

    def _one(self, source: Source) -> None:
        body, replayable = _body(source)
        if body == b"" and not self._how.close:
            raise Fault(Exit.FAILED, "there is nothing to append")
        self._send(body, 1 if body else 0, replayable, self._how.close)

    def _many(self, source: Source) -> None:
        last = False
        for batch, last in self._batches(source):
            self._send(batch.body, batch.items, True, last)
        if self._how.close and not last:
            self._send(b"", 0, True, True)

    def _batches(self, source: Source) -> Iterator[tuple[AppendBatch, bool]]:
        how, in_json = self._how, is_json(self._type)
        cut, what = (lines, "line") if how.cut == "lines" else (values, "value")
        groups = cut(source.pieces())
        made = batches(groups, how.most, in_json=in_json, what=what)
        if not how.close:
            return ((batch, False) for batch in made)
        return marked_last(made)

    def _send(self, body: Body, items: int, replayable: bool, closing: bool) -> None:
        ask = StreamRequest(
            "POST",
            {},
            self._headers(body, closing),
            body,
            repeatable=self._producer is not None or (closing and body == b""),
            replayable=replayable,
        )
        try:
            answer = self._client.insist(ask, self._policy)
        except Fault as fault:
            raise _doubt(fault) if not ask.repeatable else fault from None
        with answer:
            self._told.heard(answer)
        self._count(items, answer.status)

    def _count(self, items: int, status: int) -> None:
        told = self._told
        told.appends += items > 0
        if told.items is not None:
            told.items += items
        if self._producer is not None:
            self._producer.seq += 1
            told.next_seq = self._producer.seq
            # Section 5.2.1: with a producer 200 is new, and 204 was there.
            told.duplicates = (told.duplicates or 0) + (status == 204)

    def _headers(self, body: Body, closing: bool) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._type is not None and body != b"":
            headers["Content-Type"] = self._type
        if self._how.stream_seq is not None:
            headers[names.SEQ] = self._how.stream_seq
        if closing:
            headers[names.CLOSED] = names.TRUE
        if self._producer is not None:
            headers |= self._producer.fields()
        return headers


def _body(source: Source) -> tuple[Body, bool]:
    """A small input whole, a larger one streamed; and whether it can be resent."""
    head, all_of_it = source.head()
    if all_of_it:
        source.passed(len(head))
        return head, True
    if source.replayable:
        return (lambda: _again(source)), True
    return (lambda: _on(head, source)), False


def _again(source: Source) -> Iterator[bytes]:
    source.rewind()
    yield from source.pieces()


def _on(head: bytes, source: Source) -> Iterator[bytes]:
    source.passed(len(head))
    yield head
    yield from source.pieces()


def _doubt(fault: Fault) -> Fault:
    """The fault of a plain append, saying that it may have been done."""
    if fault.known is not RequestOutcome.UNKNOWN:
        return fault
    text = f"{fault}; {UNKNOWN}"
    return Fault(fault.exit_code, text, known=fault.known, status=fault.status)
