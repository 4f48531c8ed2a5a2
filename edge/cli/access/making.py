"""Makes the credentials of ``sign`` and ``token``. Called by ``app``.

``sign`` makes a link for sharing (``edge.access.signed``). ``token`` makes a JSON Web
Token to try an edge out with; real ones come from an issuer. It is judged as an edge
would judge it before it is printed. Secrets come from a file, either one of their own
or that of the settings, and never from the command line, which other users of the
machine can see. Standard output carries the link or the token alone.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import jwt
import typer

from edge.access import signed
from edge.access.challenges import Failure
from edge.access.credentials import names_of
from edge.access.keys import HMAC, KeyFault, KeySet, secret_of
from edge.access.path_grants import MAX_GLOBS, is_glob
from edge.access.tokens import verify
from edge.cli import console
from edge.cli.options import FAILED, WRONG, settings_or_exit
from edge.core.errors import ClientFault
from edge.policy.http import request_target
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import JwtWay, Secret, SignedWay
from edge.settings.units import parse_duration

TRIAL_WAY = JwtWay(
    keys=(),
    algorithms=("HS256",),
    read="streams.read",
    write="streams.write",
    manage="streams.manage",
)
"""How a token is made where no settings say it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token is to say. ``lifetime`` and ``claims`` are as they were typed."""

    subject: str
    lifetime: str
    read: Sequence[str] = ()
    write: Sequence[str] = ()
    manage: Sequence[str] = ()
    claims: Sequence[str] = ()
    issuer: str | None = None
    audience: str | None = None


def link(
    url: str, key: str, lifetime: str, secret_file: Path | None, config: Path | None
) -> str:
    """The URL, signed. Exits if it cannot be."""
    if secret_file is not None:
        way = SignedWay(((key, _secret(secret_file)),))
    else:
        way = way_of_links(_routes(config), url)
    end = int(time.time() + _seconds(lifetime))
    try:
        return signed.sign(url, way, key, end)
    except ValueError as error:
        _end(str(error))
    except ClientFault as fault:
        _end(fault.detail)


def token(
    wanted: Wanted,
    secret_file: Path | None,
    config: Path | None,
    route: str | None,
) -> str:
    """The token. Exits if there can be none."""
    if secret_file is not None:
        keys = (Secret(_secret(secret_file)),)
        way = replace(
            TRIAL_WAY, keys=keys, issuer=wanted.issuer, audience=wanted.audience
        )
    else:
        way = way_of_tokens(_routes(config), route)
    now = time.time()
    return make_token(way, _said(wanted, way, now), now)


def _said(wanted: Wanted, way: JwtWay, now: float) -> dict[str, Any]:
    """The claims of the token. What names no claim of its own cannot be granted."""
    said: dict[str, Any] = dict(map(_pair, wanted.claims))
    for name, text in (
        ("iss", wanted.issuer or way.issuer),
        ("aud", wanted.audience or way.audience),
    ):
        if text is not None:
            said[name] = text
    for claim, globs in (
        (way.read, wanted.read),
        (way.write, wanted.write),
        (way.manage, wanted.manage),
    ):
        if globs:
            said[_claim(claim)] = _globs(globs)
    said["sub"] = wanted.subject
    said["iat"] = int(now)
    said["exp"] = int(now + _seconds(wanted.lifetime))
    return said


def make_token(way: JwtWay, said: dict[str, Any], now: float) -> str:
    """A token that this way believes. Exits with 1 if it would not."""
    secret = next((key for key in way.keys if isinstance(key, Secret)), None)
    if secret is None:
        _end("the route has no secret: only its issuer can make tokens")
    try:
        keys = KeySet.of_secret(secret.octets, secret.kid)
    except KeyFault as fault:
        _end(str(fault))
    fits = [a for a in way.algorithms if a in HMAC and keys.fitting([a]).keys]
    if not fits:
        _end(f"the secret fits none of the algorithms: {', '.join(way.algorithms)}")
    header = {"kid": secret.kid, "typ": way.typ}
    given = {name: text for name, text in header.items() if text is not None}
    made = jwt.encode(said, secret.octets, fits[0], given)
    judged = verify(made, way, keys, now)
    if isinstance(judged, Failure):
        _end(f"an edge would not take it: {judged.words}")
    return made


# -- the way ------------------------------------------------------------------


def _routes(config: Path | None) -> tuple[Route, ...]:
    if config is None:
        _end("give --secret-file, or settings with --config", WRONG)
    return settings_or_exit(config, []).route_table


def way_of_links(routes: Sequence[Route], url: str) -> SignedWay:
    """The way of the route on which the URL lies. Exits with 1 if there is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        _end(str(error))
    route = find_route(routes, parts.path)
    ways = () if route is None else route.ways
    way = next((way for way in ways if isinstance(way, SignedWay)), None)
    if way is None:
        _end("no route takes signed URLs for this path")
    named = names_of(ways).parameters - way.parameters
    given = (p.name for p in request_target.parameters(parts.query))
    if not named.isdisjoint(given):
        # An edge strips it before it looks at the signature.
        _end("the URL carries a credential of another kind: leave it out")
    return way


def way_of_tokens(routes: Iterable[Route], match: str | None) -> JwtWay:
    """The way of this route; of the only one with a secret, if none is named."""
    ways = {
        way
        for route in routes
        if match in (None, route.match)
        for way in route.ways
        if isinstance(way, JwtWay) and any(isinstance(key, Secret) for key in way.keys)
    }
    if len(ways) > 1:
        _end("several routes take tokens: name one with --route", WRONG)
    if not ways:
        _end("no route takes tokens that are made with a secret")
    return ways.pop()


# -- what is given ------------------------------------------------------------


def _secret(file: Path) -> bytes:
    """The secret in a file. Exits with 1 if it cannot be read, or is no secret."""
    try:
        octets = secret_of(file.read_bytes())
        KeySet.of_secret(octets)
    except OSError as error:
        _end(f"{file}: {error.strerror}")
    except KeyFault as fault:
        _end(f"{file}: {fault}")
    return octets


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        _end(f"--expires: {error}", WRONG)
    if seconds < 1:
        _end("--expires: expected at least 1s", WRONG)
    return seconds


def _claim(name: str | None) -> str:
    if name is None:
        _end("the route names no claim for this right")
    return name


def _globs(globs: Sequence[str]) -> list[str]:
    wrong = next((glob for glob in globs if not is_glob(glob)), None)
    if wrong is not None:
        _end(f"{wrong}: expected a path such as /v1/stream/rooms/*, or /**", WRONG)
    if len(globs) > MAX_GLOBS:
        _end(f"a token may hold {MAX_GLOBS} paths", WRONG)
    return list(globs)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        _end(f"--claim {text}: expected NAME=VALUE", WRONG)
    return name, value


def _end(message: str, code: int = FAILED) -> NoReturn:
    console.error(message)
    raise typer.Exit(code)
