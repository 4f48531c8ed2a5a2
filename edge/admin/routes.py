"""AdminRoute: one page of the admin address, contributed by the part that knows it.

A part describes its pages as values: the path, the methods, whether the token guards
it, and a handler. ``edge.admin.app`` routes requests to them and does all the rest.
After caddy's AdminRouter. This module knows no web framework.
"""

import enum
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import Answer, Headers

READ = ("GET", "HEAD")


class TokenRule(enum.Enum):
    """Which requests need the bearer token.

    OPEN: none. IF_SET: all, once an operator has set a token. MUST_BE_SET: all, and
    without a token the page is not served. MUST_BE_SET is for pages that change
    something: a web page in a browser on the same machine could send such a request.
    NO_PAGE: as IF_SET, and without a token no request that a web page could have sent
    is taken. Such a request has no Origin, and a body that no form can send.
    OWN_PAGE: as IF_SET, and without a token no request that a web page of another
    address has sent, as far as the browser says so. For what holds something while it
    is read.
    """

    OPEN = "open"
    IF_SET = "if-set"
    MUST_BE_SET = "must-be-set"
    NO_PAGE = "no-page"
    OWN_PAGE = "own-page"


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """What a handler gets of a request: its query parameters, decoded, the JSON
    document in its body where the page takes one, and ``Accept`` as it came."""

    parameters: tuple[tuple[str, str], ...] = ()
    document: object = None
    accept: str = ""

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, None without one. ClientFault if it comes twice."""
        values = [value for key, value in self.parameters if key == name]
        if len(values) > 1:
            detail = f"{name} is there more than once."
            raise ClientFault(detail, reason=Reason.DUPLICATE_PARAMETER)
        return values[0] if values else None


class AdminStream(NamedTuple):
    """An answer, status 200, whose body comes in pieces. ``pieces`` is closed when the
    client has gone."""

    headers: Headers
    pieces: Iterator[bytes]


Handler = Callable[[AdminRequest], Answer | AdminStream]
"""Answers an authorized request. Raises EdgeError; never blocks for long."""


@dataclass(frozen=True, slots=True)
class AdminRoute:
    """One page. A request's path must equal ``path``. ``takes_json``: its requests
    carry a JSON document, and nothing else."""

    path: str
    handler: Handler
    methods: tuple[str, ...] = READ
    token: TokenRule = TokenRule.IF_SET
    takes_json: bool = False


def page(content_type: str, body: bytes) -> Answer:
    """A page that no cache stores."""
    headers = (("Content-Type", content_type), ("Cache-Control", "no-store"))
    return Answer(200, headers, body)


def text_page(text: str) -> Answer:
    """A page of plain text."""
    return page("text/plain; charset=utf-8", text.encode())


def json_page(document: object) -> Answer:
    """A JSON document, indented for people."""
    return page("application/json", json.dumps(document, indent=1).encode() + b"\n")
