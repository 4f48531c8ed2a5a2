"""What several options mean together, checked before anything is sent.

Each function returns what the work takes: header fields, a producer, an offset. It
raises Fault (WRONG) for a combination that means nothing.
"""

from edge.cli.streams.address import StreamAddress, offset_of, source_path
from edge.cli.streams.exit_faults import wrong
from edge.protocol import names
from edge.protocol.offsets import BEGIN, NOW


def life(
    ttl: int | None, expires_at: str | None, content_type: str | None, closed: bool
) -> dict[str, str]:
    """Header fields of a create: type, end, and closed at once (section 5.1)."""
    if ttl is not None and expires_at is not None:
        raise wrong("--ttl", "a stream has this or --expires-at")
    given = {
        "Content-Type": _field("--content-type", content_type),
        names.TTL: None if ttl is None else str(ttl),
        names.EXPIRES_AT: _field("--expires-at", expires_at),
        names.CLOSED: names.TRUE if closed else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def fork(
    target: StreamAddress,
    source: str | None,
    offset: str | None,
    sub_offset: int | None,
) -> dict[str, str]:
    """Header fields of a fork (section 4.2); none without a source."""
    if source is None:
        if offset is not None or sub_offset is not None:
            raise wrong("--fork-from", "required with --fork-offset, --fork-sub-offset")
        return {}
    path = _field("--fork-from", source_path(source, target))
    given = {
        names.FORKED_FROM: path,
        names.FORK_OFFSET: offset and offset_of(offset, "--fork-offset"),
        names.FORK_SUB_OFFSET: None if sub_offset is None else str(sub_offset),
    }
    return {name: value for name, value in given.items() if value is not None}


def cut(lines: bool, messages: bool, batch: int, seq: str | None) -> str | None:
    """How the input is cut: ``lines``, ``messages``, or None for one body."""
    if lines and messages:
        raise wrong("--lines", "the input is cut by this or by --messages")
    chosen = "lines" if lines else "messages" if messages else None
    if chosen is None and batch != 1:
        raise wrong("--batch", "needs --lines or --messages")
    if chosen is not None and seq is not None:
        raise wrong("--seq", "names one append; use --producer-id for many")
    _field("--seq", seq)
    return chosen


def producer(
    identity: str | None, epoch: int | None, seq: int | None
) -> tuple[str, int, int] | None:
    """Id, epoch and first number of a producer (section 5.2.1); None without."""
    if identity is None:
        if epoch is not None or seq is not None:
            raise wrong("--producer-id", "required with --epoch and --producer-seq")
        return None
    if not _field("--producer-id", identity):
        raise wrong("--producer-id", "must not be empty")
    return identity, epoch or 0, seq or 0


def begin(offset: str | None, from_start: bool) -> str:
    """Where a tail begins; ``now`` unless told otherwise."""
    if offset is not None and from_start:
        raise wrong("--offset", "a tail begins here or with --from-start")
    if from_start:
        return BEGIN
    return NOW if offset is None else offset_of(offset)


def _field(option: str, value: str | None) -> str | None:
    """``value``, if a header field may have it: visible ASCII and single blanks."""
    if value is not None and not (value.isascii() and value.isprintable()):
        raise wrong(option, "only visible ASCII characters may be sent")
    if value is not None and value != value.strip():
        raise wrong(option, "begins or ends with blanks")
    return value
