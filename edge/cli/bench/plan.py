"""What a run is asked to do: values, checked before anything is sent."""

from dataclasses import dataclass

from edge.cli.streams.address import OURS, StreamAddress, address
from edge.cli.streams.exit_faults import Fault, wrong

Fields = tuple[tuple[str, str], ...]

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


def url(option: str, given: str, reserved: frozenset[str] = OURS) -> StreamAddress:
    """The address that ``given`` names. Raises Fault (WRONG) that names the option."""
    try:
        return address(given, reserved)
    except Fault as fault:
        raise wrong(option, str(fault).removeprefix("URL: ")) from None
