"""The fields of the link: what a front and a keeper of one node tell each other.

A front asks a keeper over HTTP/1.1, in two fields beside those of the request (W10):

============== ===========================================================
ds-link        route, partition, hops and end of what the front has judged
ds-link-lent   the credential to ask the origin with; it is in no key
============== ===========================================================

A keeper answers with one field ``ds-link`` (W8): its boot, and the word of the row
behind the answer, or the fault for which it has none. All are items with parameters
(RFC 8941 sections 3.1.2 and 3.3). The first member is the id of the node's board, by
which the two know each other: what has another one is not looked at.

Times are monotonic milliseconds: one clock serves all processes of a machine, so an
answer may be given again as it stands.

Whatever begins with ``ds-link`` never leaves the node: public listeners take it off
what clients send, and the pool of the origin off its answers (``is_internal``). Pure:
it reads no clock, and what cannot be read is None.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, unquote

from edge.core.errors import (
    ClientFault,
    EdgeError,
    LendersRefused,
    NotAsked,
    NotHeld,
    OriginFault,
)
from edge.core.lent_refusals import LentRefusals
from edge.core.reasons import Reason
from edge.core.values import (
    NO_END,
    FaultWord,
    Headers,
    LentCredential,
    Lineage,
    LinkTerms,
    Partition,
    PartitionKind,
    Provenance,
    RowWord,
)

FIELD = "ds-link"
LENT = "ds-link-lent"

Lookup = Callable[[str], str | None]
"""A field's value by lower-case name, None when it is absent."""

_PLAIN = "/*{}-._~:,@!$&'()+"
"""What may stand in a quoted string beside letters and digits; the rest is escaped."""


def is_internal(name: str) -> bool:
    """Whether a field of this lower-case name is for the link alone."""
    # Hardly any field begins so: most are done with the first comparison.
    return name.startswith("ds") and name.replace("_", "-").startswith(FIELD)


def without_internal(headers: Headers) -> Headers:
    """The fields that are not for the link alone; the same object if all are."""
    if not any(is_internal(name) for name, _ in headers):
        return headers
    return tuple(field for field in headers if not is_internal(field[0]))


# From a front to a keeper.


def told_terms(board: str, terms: LinkTerms) -> Headers:
    """The fields that tell ``terms``. Those of the partition go beside them, as they
    are."""
    partition = terms.partition
    text = f"{board};r={_quoted(terms.route)};k={partition.kind.value}"
    if partition.digest:
        text += f";d={_quoted(partition.digest)}"
    if partition.headers:
        text += f";f={_quoted(' '.join(name for name, _ in partition.headers))}"
    if terms.hops:
        text += f";h={_quoted(' '.join(terms.hops))}"
    if terms.only_held:
        text += f";held={_quoted(terms.only_held)}"
    text += ";opens" * terms.opens
    if terms.until != NO_END:
        text += f";u={_milliseconds(terms.until)}"
    if terms.lent is None:
        return ((FIELD, text),)
    return ((FIELD, text), (LENT, _told_lent(board, terms.lent)))


def terms_of(board: str, lookup: Lookup) -> LinkTerms | None:
    """The terms that a request brings; None: it brings none that can be believed."""
    told = _parameters(board, lookup(FIELD))
    if told is None:
        return None
    try:
        partition = Partition(
            PartitionKind(told["k"]),
            _text(told.get("d")),
            tuple(
                (name, value)
                for name in _text(told.get("f")).split()
                if (value := lookup(name)) is not None
            ),
        )
        hops = tuple(_text(told.get("h")).split())
        until = _seconds(told["u"]) if "u" in told else NO_END
        lent = _lent_of(board, lookup(LENT))
        only_held, opens = _text(told.get("held")), "opens" in told
        times = until, only_held, opens
        return LinkTerms(_text(told["r"]), partition, lent, hops, *times)
    except (KeyError, ValueError):
        return None


def _told_lent(board: str, lent: LentCredential) -> str:
    packed = json.dumps([lent.headers, lent.parameters], separators=(",", ":"))
    octets = b64encode(packed.encode("utf-8", "surrogatepass")).decode("ascii")
    fresh = _milliseconds(lent.fresh_until)
    text = f"{board};d={_quoted(lent.digest)};u={fresh};v=:{octets}:"
    return text if lent.heard is None else f"{text};n={lent.heard}"


def _lent_of(board: str, field: str | None) -> LentCredential | None:
    """The credential that is lent. Raises KeyError, ValueError."""
    if field is None:
        return None
    told = _parameters(board, field)
    if told is None:
        raise ValueError("it is lent by nobody of this node")
    octets = b64decode(told["v"].strip(":"), validate=True)
    headers, parameters = json.loads(octets.decode("utf-8", "surrogatepass"))
    return LentCredential(
        _text(told["d"]),
        tuple((str(name), str(value)) for name, value in headers),
        tuple(map(str, parameters)),
        _seconds(told["u"]),
        heard=int(told["n"]) if "n" in told else None,
    )


# From a keeper to a front.


class KeeperEnd(NamedTuple):
    """A keeper's end of the link: the id of the node's board, and its own boot."""

    board: str
    boot: int

    def knows(self, lookup: Lookup) -> bool:
        """Whether a request comes from a front of this node."""
        return terms_of(self.board, lookup) is not None

    def tell(self, told: RowWord | FaultWord | None) -> str:
        """The value of the field that an answer carries."""
        return told_answer(self.board, self.boot, told)


class KeeperAnswer(NamedTuple):
    """What a keeper tells with an answer. ``fault``: it is none of the stream's, but an
    error of the keeper's own."""

    provenance: Provenance
    fault: EdgeError | None = None


def told_answer(board: str, boot: int, told: RowWord | FaultWord | None) -> str:
    """The value of the field that a keeper's answer carries."""
    lineage = (None if told is None else told.lineage) or Lineage(boot)
    text = f"{board};boot={lineage.boot}{_lineage(lineage)}"
    if isinstance(told, FaultWord):
        text += ";handed" * (told.lineage is not None)
        text += f";fault={told.reason.value};status={told.status}"
        text += ";unsent" * told.unsent
        text += _refusals(told.refusals)
        if told.retry_after is not None:
            text += f";retry={told.retry_after}"
        return f"{text};detail={_quoted(told.detail)}" if told.detail else text
    if told is None:
        return text
    if told.armed:
        text += ";armed"
    elif told.confirmed_at is not None:
        text += f";confirmed={_milliseconds(told.confirmed_at)}"
    if told.read_at is not None:
        text += f";read={_milliseconds(told.read_at)}"
    return text


def _lineage(lineage: Lineage) -> str:
    row = f";row={lineage.row}" if lineage.row else ""
    number = lineage.incarnation
    return row if number is None else f"{row};inc={number}"


def _refusals(told: LentRefusals | None) -> str:
    if told is None:
        return ""
    text = f";refused={_quoted(' '.join(told.digests))};upto={told.up_to}"
    return f"{text};lost={told.lost}" if told.lost else text


def answer_of(board: str, field: str | None, now: float) -> KeeperAnswer | None:
    """What a keeper told in the field; None: it was no keeper of this node. ``now`` is
    monotonic seconds."""
    told = _parameters(board, field)
    if told is None:
        return None
    try:
        inc = int(told["inc"]) if "inc" in told else None
        lineage = Lineage(int(told["boot"]), inc, int(told.get("row", 0)))
        confirmed = 0.0 if "armed" in told else _ago(told.get("confirmed"), now)
        provenance = Provenance(
            confirmed or 0.0, confirmed, _ago(told.get("read"), now), lineage
        )
        fault = _fault_of(told, lineage) if "fault" in told else None
    except (KeyError, ValueError):
        return None
    return KeeperAnswer(provenance, fault)


def _fault_of(told: dict[str, str], lineage: Lineage) -> EdgeError:
    """The error that a keeper answers with, as it was raised there. Raises KeyError,
    ValueError."""
    status, detail = int(told["status"]), _text(told.get("detail"))
    reason = Reason(told["fault"])
    if reason is Reason.HANDED:
        return NotHeld(detail, lineage if "handed" in told else None)
    if reason is Reason.LENT_REFUSED:
        marks = int(told["upto"]), int(told.get("lost", 0))
        digests = tuple(_text(told["refused"]).split())
        return LendersRefused(LentRefusals(digests, *marks), detail)
    unsent = "unsent" in told
    if 400 <= status < 500 and unsent:
        return ClientFault(detail, reason=reason, status=status)
    # An origin that refuses work for the moment (429) is at fault, too.
    retry_after = int(told["retry"]) if "retry" in told else None
    kind = NotAsked if unsent and status == 503 else OriginFault
    fault = kind(detail, reason=reason, status=status, retry_after=retry_after)
    fault.unsent = unsent
    return fault


# The grammar of both.


def _parameters(board: str, field: str | None) -> dict[str, str] | None:
    """The parameters of an item whose value is the board's id; None for another."""
    if field is None:
        return None
    first, *rest = field.split(";")
    if first != board:
        return None
    pairs = (parameter.partition("=") for parameter in rest)
    return {name: value for name, _, value in pairs}


def _quoted(text: str) -> str:
    return f'"{quote(text, safe=_PLAIN + " ", errors="surrogatepass")}"'


def _text(value: str | None) -> str:
    return "" if value is None else unquote(value.strip('"'), errors="surrogatepass")


def _milliseconds(at: float) -> int:
    return int(at * 1000)


def _seconds(text: str) -> float:
    return int(text) / 1000


def _ago(text: str | None, now: float) -> float | None:
    return None if text is None else max(0.0, now - _seconds(text))
