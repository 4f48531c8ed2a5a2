"""Messages that describe themselves, so that any range of a log can be checked.

A message tells which stream, incarnation, writer and number it is, and how long it is;
what follows is made from that name alone. So a log is a list of names, a body is either
a run of whole messages or torn, and where an answer belongs is told by its bytes,
whatever its offsets say. Pure.
"""

import enum
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32


class Kind(enum.Enum):
    """The content types of streams."""

    TEXT = "text/plain"
    BINARY = "application/octet-stream"
    JSON = "application/json"


class Name(NamedTuple):
    """What a message says of itself. ``size`` counts characters, in BINARY bytes."""

    stream: int
    incarnation: int
    writer: int
    number: int
    size: int


class Torn(Exception):
    """A body that is no run of whole messages, and where it ceases to be one."""


MAX_SIZE = 6_000

_SPAN = 32 * 1024
_HEAD = re.compile(rb"<(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9}):(\d{1,9}):")
# Spaces at the beginning of lines, colons, several bytes to a character, quotes: what
# event streams, JSON and codings have to bring over.
_ALPHABET = 'abcdefgh ij\n \n :"\\data: {}[],\té漢\U0001f600'
_DICE = random.Random("the same bytes in every run")
_LETTERS = "".join(_DICE.choices(_ALPHABET, k=_SPAN))
_OCTETS = _DICE.randbytes(_SPAN).decode("latin-1")


@lru_cache(maxsize=4096)
def encode(kind: Kind, name: Name) -> bytes:
    """The message as it lies in a log; in JSON one value."""
    head = "<{}.{}.{}.{}:{}:".format(*name)
    pool = _OCTETS if kind is Kind.BINARY else _LETTERS
    begin = crc32(head.encode()) % (_SPAN - MAX_SIZE)
    text = f"{head}{pool[begin : begin + name.size]}>"
    if kind is Kind.JSON:
        return json.dumps({"m": text}, ensure_ascii=bool(name.number % 2)).encode()
    return text.encode("latin-1" if kind is Kind.BINARY else "utf-8")


def append_body(kind: Kind, names: Sequence[Name]) -> bytes:
    """The body of one append; JSON values as an array, which a server takes apart."""
    if kind is Kind.JSON:
        return b"[" + b", ".join(encode(kind, name) for name in names) + b"]"
    return b"".join(encode(kind, name) for name in names)


def without_spaces(text: bytes) -> bytes:
    """What arrives of a text if its server adds no space to a line of an event that
    begins with one: the client takes it for the space behind the colon."""
    return b"\n".join(line.removeprefix(b" ") for line in text.split(b"\n"))


def parse(
    kind: Kind, body: bytes, arrived: Callable[[bytes], bytes] = bytes
) -> tuple[Name, ...]:
    """The messages of a body, every byte compared. Raises Torn. ``arrived`` is what
    becomes of a message on its way."""
    if kind is Kind.JSON:
        return tuple(_values(body)) if body else ()
    names, at = list[Name](), 0
    while at < len(body):
        name = _name_at(body, at)
        whole = arrived(encode(kind, name))
        if body[at : at + len(whole)] != whole:
            raise Torn(f"at byte {at} of {len(body)} stands no whole {name}")
        names.append(name)
        at += len(whole)
    return tuple(names)


def _values(body: bytes) -> Iterator[Name]:
    try:
        values = json.loads(body)
    except ValueError as error:
        raise Torn(f"no JSON: {error}") from error
    if not isinstance(values, list):
        raise Torn("a JSON body is an array")
    for place, value in enumerate(values):
        text = value.get("m") if isinstance(value, dict) else None
        name = _name_at(str(text).encode("utf-8", "surrogatepass"), 0)
        if value != json.loads(encode(Kind.JSON, name)):
            raise Torn(f"value {place} is not {name}")
        yield name


def _name_at(body: bytes, at: int) -> Name:
    found = _HEAD.match(body, at)
    if found is None:
        raise Torn(f"at byte {at} of {len(body)} begins no message: {body[at:][:40]!r}")
    name = Name(*map(int, found.groups()))
    if name.size > MAX_SIZE:
        raise Torn(f"at byte {at} of {len(body)}: {name} is larger than any message")
    return name
