"""Settings of the ways on which somebody else is asked: ``forward`` and ``origin``.

What would open a route by mistake is refused: an endpoint that anybody on the way can
answer for, and a field that the edge builds itself. ``edge.policy.streams.ways`` says
what each field means. Used by ``access``.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, model_validator

from edge.policy.http import request_target
from edge.policy.streams.ways import ForwardWay, OriginWay
from edge.settings import fragments
from edge.settings.fields import Flag, HeaderName, LifeTime, ParameterName, Timeout
from edge.settings.fragments import told
from edge.settings.section import Section

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this machine itself."""

_URL_HINT = "a URL as in https://app.example/authorize"
_VISIBLE = re.compile(r"[!-~]{1,2048}")

_BUILT = frozenset(
    {
        *("accept", "accept-encoding", "cache-control", "cdn-loop", "forwarded"),
        *("if-match", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "pragma", "range", "via"),
    }
)
"""Fields of an ask that the edge builds, or that would change its answer."""


def is_own(name: str) -> bool:
    """Whether the edge itself writes this field (lower case) when it asks."""
    return name in _BUILT or name.startswith("x-forwarded-")


def _url(given: object) -> str:
    if not isinstance(given, str) or not _VISIBLE.fullmatch(given):
        raise ValueError(f"expected {_URL_HINT}")
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected {_URL_HINT}")
    if parts.username is not None or parts.fragment or not _has_port(parts):
        raise ValueError(f"expected {_URL_HINT}, without user and fragment")
    return given


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is one, or is left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _asked_with(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if is_own(name):
            raise ValueError(f"cannot hold {name}: the edge builds its own")
    if len(set(names)) < len(names):
        raise ValueError("one of them stands twice")
    return names


def _credentials(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name in request_target.PROTOCOL:
            raise ValueError(f"{name} is a parameter of the protocol")
    if len(set(names)) < len(names):
        raise ValueError("one of them stands twice")
    return names


EndpointUrl = Annotated[str, BeforeValidator(_url), told(fragments.ENDPOINT)]
AskedHeaders = Annotated[tuple[HeaderName, ...], AfterValidator(_asked_with)]
CredentialParameters = Annotated[
    tuple[ParameterName, ...], AfterValidator(_credentials)
]

_FORWARD = ForwardWay("")
_ORIGIN = OriginWay()
"""The defaults of both."""


class ForwardSettings(Section):
    """An endpoint of the operator's that is asked who is let in."""

    url: EndpointUrl
    headers: AskedHeaders = _FORWARD.headers
    parameters: CredentialParameters = _FORWARD.parameters
    cache: LifeTime = _FORWARD.cache
    timeout: Timeout = _FORWARD.timeout
    identity_header: HeaderName | None = _FORWARD.identity_header
    allow_insecure: Flag = False

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        for wrong in _wrong_endpoint(self.url, self.allow_insecure):
            raise ValueError(wrong)
        return self

    def to_way(self) -> ForwardWay:
        """The way as ``edge.access`` judges by it."""
        return ForwardWay(
            self.url,
            self.headers,
            self.parameters,
            self.cache,
            self.timeout,
            self.identity_header,
        )


class OriginWaySettings(Section):
    """The origin itself is asked who is let in."""

    trust: LifeTime = _ORIGIN.trust
    headers: AskedHeaders = _ORIGIN.headers
    parameters: CredentialParameters = _ORIGIN.parameters

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not self.headers and not self.parameters:
            raise ValueError("expected headers or parameters: what is a credential?")
        return self

    def to_way(self) -> OriginWay:
        """The way as ``edge.access`` judges by it."""
        return OriginWay(self.trust, self.headers, self.parameters)


def _wrong_endpoint(url: str, allow_insecure: bool) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_insecure:
        yield (
            "url: must be https, or http on this machine: it is sent every credential, "
            "and whoever can change its answers lets himself in. In a network that you "
            "trust, set allow_insecure: true"
        )


def wrong_together(order: tuple[str, ...]) -> Iterable[str]:
    """Why these ways, named in the order in which they are tried, do not fit."""
    if "forward" in order[:-1]:
        yield (
            "forward must be the last way: it judges every request that comes to it, "
            "so none would come to the ways behind it"
        )
