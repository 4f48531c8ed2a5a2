"""What a run is asked to do: values, checked before anything is sent."""

import re
from dataclasses import dataclass
from pathlib import Path

from edge.cli.streams.address import OURS, StreamAddress, address
from edge.cli.streams.exit_faults import Fault, wrong

Fields = tuple[tuple[str, str], ...]

_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""A bearer token (RFC 6750 section 2.1)."""

MIN_EVENT_SIZE = 18
"""Bytes of an event: those of its mark."""
MAX_EVENT_SIZE = 8 * 1024 * 1024
"""Bytes of one event; twice as much is read at once."""


@dataclass(frozen=True, slots=True)
class FanoutPlan:
    """A crowd, and what is appended for it."""

    address: StreamAddress
    """Where the viewers read."""
    write_to: StreamAddress
    """Where the stream is made and appended to."""
    viewers: int
    events: int
    rate: float
    """Appends a second."""
    mode: str
    size: int
    warmup: float
    patience: float
    fields: Fields
    tokens: tuple[str, ...]
    """Bearer tokens that the viewers take in turn; empty: they have none."""
    keep: bool
    pid: int | None
    metrics: StreamAddress | None


@dataclass(frozen=True, slots=True)
class HitsPlan:
    """Connections that read one URL again and again."""

    address: StreamAddress
    connections: int
    seconds: int
    different_heads: bool
    fields: Fields
    generator: str | None
    """``wrk`` or ``own``; None for the better one that is there."""


def tokens(path: Path) -> tuple[str, ...]:
    """The bearer tokens in a file, one a line. Raises Fault (WRONG)."""
    try:
        found = path.read_text("ascii").split()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise wrong("--tokens", f"{path} cannot be read: {why}") from None
    if not found or not all(_TOKEN68.fullmatch(one) for one in found):
        raise wrong("--tokens", f"{path} has not one bearer token a line")
    return tuple(found)


def url(option: str, given: str, reserved: frozenset[str] = OURS) -> StreamAddress:
    """The address that ``given`` names. Raises Fault (WRONG) that names the option."""
    try:
        return address(given, reserved)
    except Fault as fault:
        raise wrong(option, str(fault).removeprefix("URL: ")) from None
