"""The stream of a run: found or created, and deleted if it was created for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.cli.streams.address import Address
from edge.cli.streams.client import Answer, Ask, Client
from edge.cli.streams.exit_faults import Exit, Fault
from edge.protocol import names

TEXT = "text/plain"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that can be appended to."""

    offset: str
    """Its end, where viewers begin."""
    content_type: str
    created: bool


@contextmanager
def stream(
    address: Address, fields: tuple[tuple[str, str], ...], mode: str, keep: bool
) -> Iterator[Stream]:
    """The stream at ``address`` for as long as the block runs. Raises Fault."""
    client = Client(address, fields)
    try:
        found = _found(client) or _created(client)
        try:
            _judge(found, mode)
            yield found
        finally:
            if found.created and not keep:
                client.once(Ask("DELETE", {}, {})).close()
    finally:
        client.close()


def _found(client: Client) -> Stream | None:
    try:
        answer = client.once(Ask("HEAD", {}, {}))
    except Fault as fault:
        if fault.status == 404:
            return None
        raise
    with answer:
        if answer.flag(names.CLOSED):
            raise Fault(Exit.CONFLICT, "the stream is closed: nothing can be appended")
        return Stream(answer.next_offset, _type(answer), created=False)


def _created(client: Client) -> Stream:
    with client.once(Ask("PUT", {}, {"Content-Type": TEXT})) as answer:
        return Stream(answer.next_offset, TEXT, created=answer.status == 201)


def _type(answer: Answer) -> str:
    return names.media_type(answer.get("Content-Type"))


def _judge(found: Stream, mode: str) -> None:
    """Event streams carry bytes that are no text in base64 (section 5.8)."""
    text = found.content_type == JSON or found.content_type.startswith("text/")
    if mode == "sse" and not text:
        message = f"event streams carry {found.content_type} in base64: take a text"
        raise Fault(Exit.CONFLICT, f"{message} or JSON stream, or --mode long-poll")
