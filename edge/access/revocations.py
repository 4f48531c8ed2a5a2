"""Revocations: which tokens are refused before they end, by order of an operator (B13).

An order names a subject, a token's id or a token itself. A subject and an id belong to
an issuer; an order without one is about all issuers. A subject's order refuses the
tokens that were issued up to its second, and those that do not say when they were: who
signs in again is let in again. A token itself stands here by a digest of what its
issuer signed: it is one token, whatever signature is on it.

Orders are kept until every token that they are about has ended by itself. There is a
bound on their number: beyond it an order is refused, and none is ever dropped for
another one.

Pure: times are Unix seconds and are given. It ends no viewer (``leases``), and writes
no file (``revocation_file``). Called by ``revoker``; judges ask ``refuses``.
"""

import enum
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from edge.core.errors import Refusal
from edge.core.reasons import Reason

MAX_REVOCATIONS = 10_000
"""Orders that are kept at the same time."""

MAX_TEXT = 1024
"""Characters of a subject, an id or an issuer in an order."""

MAX_UNTIL = 1e11
"""No order is kept beyond this time, whatever a token says of its end."""


class RevokedBy(enum.StrEnum):
    """What an order names."""

    SUBJECT = "subject"
    JTI = "jti"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Revocation:
    """An order. ``value`` is the subject, the id, or the digest of the token.

    ``at`` is its second. ``until``: when the token says that it ends, if that is known;
    0: it is not.
    """

    by: RevokedBy
    value: str
    at: int
    issuer: str | None = None
    until: float = 0.0

    @property
    def key(self) -> "_Key":
        """Orders with equal keys are one."""
        return self.by, self.value, self.issuer


_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515 section 7.1."""

_Key: TypeAlias = tuple[RevokedBy, str, str | None]


class TokenFacts(NamedTuple):
    """What of a credential an order can name; None for what it does not say.

    ``digests`` are those of each text in it that may be a token (``token_digest``).
    """

    digests: tuple[str, ...] = ()
    subject: str | None = None
    token_id: str | None = None
    issuer: str | None = None
    issued_at: float | None = None


NO_FACTS = TokenFacts()
"""Of what no order can name."""


def token_digest(text: str) -> str:
    """Stands for a token in orders. The last part of a JSON Web Token is its signature,
    and is left out: of an ECDSA signature anybody can make a second one that holds.
    """
    if _COMPACT.fullmatch(text) is not None:
        text = text.rpartition(".")[0]
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Revocations:
    """The orders in force.

    ``keep_for``: seconds after which every token has ended that could have been
    accepted when an order came. ``leeway``: how long one is accepted after its end.
    """

    def __init__(
        self, keep_for: float, leeway: float = 0.0, most: int = MAX_REVOCATIONS
    ) -> None:
        self._keep_for = keep_for
        self._leeway = leeway
        self._most = most
        self._orders: dict[_Key, Revocation] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(tuple(self._orders.values()))

    def add(self, order: Revocation, now: float) -> None:
        """Put an order in force. Raises Refusal (limit-revocations)."""
        if order.key not in self._orders and len(self._orders) >= self._most:
            self.drop_ended(now)
        if order.key not in self._orders and len(self._orders) >= self._most:
            detail = "As many tokens are revoked as can be kept. Change the keys."
            raise Refusal(detail, reason=Reason.LIMIT_REVOCATIONS, retry_after=None)
        self._put(order)

    def merge(self, orders: Iterable[Revocation], now: float) -> bool:
        """Put orders in force that were given elsewhere, above the bound too. Returns
        whether there were any new ones."""
        kept = (order for order in orders if now < self.kept_until(order))
        return any([self._put(order) for order in kept])

    def drop_ended(self, now: float) -> None:
        """Forget the orders whose tokens have all ended."""
        ended = [o.key for o in self._orders.values() if now >= self.kept_until(o)]
        for key in ended:
            del self._orders[key]

    def kept_until(self, order: Revocation) -> float:
        """When all tokens have ended that the order is about."""
        return max(order.at + self._keep_for, order.until + self._leeway)

    def refuses(self, facts: TokenFacts) -> bool:
        """Whether a credential with these facts was revoked."""
        return bool(self._orders) and (
            self.names_token(facts.digests)
            or self._names_id(facts)
            or self.names_subject(facts)
        )

    def names_token(self, digests: Iterable[str]) -> bool:
        """Whether any of these tokens itself was revoked."""
        return any((RevokedBy.TOKEN, one, None) in self._orders for one in digests)

    def names_subject(self, facts: TokenFacts) -> bool:
        """Whether its subject was revoked, and it is no newer than that."""
        orders = self._about(RevokedBy.SUBJECT, facts.subject, facts.issuer)
        issued = facts.issued_at
        return any(issued is None or math.floor(issued) <= order.at for order in orders)

    def _names_id(self, facts: TokenFacts) -> bool:
        return bool(self._about(RevokedBy.JTI, facts.token_id, facts.issuer))

    def _about(
        self, by: RevokedBy, value: str | None, issuer: str | None
    ) -> list[Revocation]:
        """The orders about a value: of its issuer, and of all issuers."""
        if value is None:
            return []
        found = (self._orders.get((by, value, of)) for of in {issuer, None})
        return [order for order in found if order is not None]

    def _put(self, order: Revocation) -> bool:
        """Keep the order; of two about one thing, the later times. Returns whether it
        changes anything."""
        known = self._orders.get(order.key)
        if known is not None:
            at, until = max(known.at, order.at), max(known.until, order.until)
            order = replace(order, at=at, until=until)
        self._orders[order.key] = order
        return order != known
