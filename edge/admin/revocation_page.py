"""``POST /access/revoke``: takes a token, or all tokens of a subject, out of use (A10).

The order is a JSON object with one of ``subject``, ``jti`` and ``token``. A subject and
an id belong to an issuer, which ``issuer`` may name; without it all issuers are meant.
This module reads the order and tells what came of it; ``edge.access.revoker`` executes
it. A token is never logged and never repeated.
"""

from typing import Any

from edge.access.revocations import MAX_TEXT, RevokedBy
from edge.access.revoker import Revoked, Revoker
from edge.access.tokens import MAX_BYTES
from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, json_page
from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import Answer

PATH = "/access/revoke"


class RevocationPage:
    """The page of one worker. Without a revoker there is none."""

    def __init__(self, revoker: Revoker | None) -> None:
        self._revoker = revoker

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        if self._revoker is None:
            return ()
        rule = TokenRule.NO_PAGE
        return (AdminRoute(PATH, self._revoke, ("POST",), rule, takes_json=True),)

    def _revoke(self, request: AdminRequest) -> Answer:
        assert self._revoker is not None
        by, text, issuer = _order(request.document)
        if by is RevokedBy.TOKEN:
            return _told(by, None, None, self._revoker.revoke_token(text))
        return _told(by, text, issuer, self._revoker.revoke(by, text, issuer))


def _order(document: object) -> tuple[RevokedBy, str, str | None]:
    """What to revoke: by what, its text, and the issuer. Raises ClientFault."""
    if not isinstance(document, dict):
        raise _bad('Say what, as in {"subject": "alice"}.')
    named = [by for by in RevokedBy if by.value in document]
    if len(named) != 1:
        raise _bad("Say exactly one of subject, jti and token.")
    [by] = named
    allowed = {by.value} if by is RevokedBy.TOKEN else {by.value, "issuer"}
    odd = sorted(document.keys() - allowed)
    if odd:
        raise _bad(f"Beside {by.value} only these are known: {_known(allowed - {by})}.")
    most = MAX_BYTES if by is RevokedBy.TOKEN else MAX_TEXT
    text = _text(document, by.value, most)
    issuer = _text(document, "issuer", MAX_TEXT) if "issuer" in document else None
    return by, text, issuer


def _text(document: dict[str, Any], name: str, most: int) -> str:
    value = document[name]
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise _bad(f"{name} is a string of 1 to {most} characters.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _bad(f"{name} is no text.")
    if name == RevokedBy.TOKEN and value.split() != [value]:
        raise _bad("token has no spaces: leave out its scheme.")
    return value


def _known(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _bad(detail: str) -> ClientFault:
    return ClientFault(detail, reason=Reason.BAD_ORDER)


def _told(
    by: RevokedBy, text: str | None, issuer: str | None, revoked: Revoked
) -> Answer:
    return json_page(
        {
            "revoked": by.value,
            by.value: text,
            "issuer": issuer,
            "grants_ended": revoked.ended,
            "kept_until": int(revoked.until),
            "in_file": revoked.kept,
        }
    )
