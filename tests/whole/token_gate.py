"""TokenGate: an origin that knows each of its readers by a token of its own.

It lets a HEAD or GET through if its token is valid at that moment, and refuses it with
401 otherwise. A token can be taken back. It remembers which tokens it was shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.whole.signed_gate import Gate, Passage, kept


class _TokenPassage(Passage):
    server: "TokenGate"

    def do_HEAD(self) -> None:
        self._judge("HEAD")

    def do_GET(self) -> None:
        self._judge("live" if "live=" in self.path else "GET")

    def _judge(self, kind: str) -> None:
        name = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        self.server.asked[kind] += 1
        if name in self.server.valid:
            self.server.lenders.append((kind, name))
            self.forward(self.path)
        else:
            self.server.refused.append((kind, name))
            self.answer(401, {"WWW-Authenticate": "Bearer"}, b"no")


class TokenGate(Gate):
    """``valid`` are the tokens that it lets in; ``lenders`` and ``refused`` are those
    by which it was asked, in order, each with the kind of request."""

    passage = _TokenPassage

    def __init__(self, origin: str, valid: set[str]) -> None:
        self.valid = valid
        self.lenders: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        super().__init__(origin)


@contextmanager
def token_gate(origin: str, *valid: str) -> Iterator[TokenGate]:
    """A gate before this origin that lets these tokens in."""
    with kept(TokenGate(origin, set(valid))) as standing:
        yield standing
