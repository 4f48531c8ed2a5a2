"""Field types: from the text that was written to the value that the edge uses.

Each type takes the text of a document, a variable or a flag. It takes its own Python
value too: code can build settings directly. An error is one sentence, "expected ...".
It repeats the given text only if that cannot be a secret. Used by ``schema`` alone.
"""

import math
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    SerializationInfo,
)

from edge.policy.http.client_address import UNIX
from edge.policy.http.cors import EVERYBODY
from edge.policy.http.forwarding import UNFIT_ON_READS
from edge.protocol.http_grammar import HOP_BY_HOP, PROXY_AUTHENTICATION, TOKEN_CHARS
from edge.settings import addresses, fragments, units
from edge.settings.fragments import told

FOR_PEOPLE = "for people"
"""Context of ``model_dump`` that writes 30.0 as ``30s`` and bytes as ``1MiB``."""

MAX_SECONDS = float(fragments.MAX_SECONDS)
MAX_SIZE = 2**63 - 1
MAX_COUNT = 10_000_000

T = TypeVar("T")

_TOKEN = re.compile(rf"[{TOKEN_CHARS}]{{1,256}}")
_MEDIA_RANGE = re.compile(rf"[{TOKEN_CHARS}]{{1,127}}/[{TOKEN_CHARS}]{{1,127}}")
_NODE_NAME = re.compile(rf"[{TOKEN_CHARS}]{{1,253}}")
_FIELD_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]{1,256}", re.ASCII)
_GLOB = re.compile(
    r"/(?:[!$%&'()*+,\-./0-9:;=@A-Z_a-z~]|\{[A-Za-z_][A-Za-z0-9_.-]*\})*", re.ASCII
)

_TAG_TEMPLATE = re.compile(r"(?:[!#-+\--\[\]-z|~]|\{[A-Za-z_][A-Za-z0-9_.-]*\}){1,128}")

_WRITTEN_HERE = HOP_BY_HOP | PROXY_AUTHENTICATION | {"content-length", "expect", "host"}
"""Fields of the connection or of the message's framing: the edge writes them."""


def _expected(what: str, given: object) -> ValueError:
    """An error that repeats what was given, shortened."""
    if isinstance(given, dict | list):
        given = "a mapping" if isinstance(given, dict) else "a list"
        return ValueError(f"expected {what}; got {given}")
    if given is None:
        return ValueError(f"expected {what}; got nothing")
    shown = repr(str(given))
    return ValueError(f"expected {what}; got {shown[:60]}")


def _read(parse: Callable[[str], T], kind: type[T], given: object, what: str) -> T:
    """``given`` if it is of ``kind`` already, else the value parsed from its text."""
    if isinstance(given, kind) and not isinstance(given, bool):
        return given
    if not isinstance(given, str):
        raise _expected(what, given)
    try:
        return parse(given)
    except ValueError as error:
        raise _expected(str(error).removeprefix("expected "), given) from None


def _written(write: Callable[[Any], str]) -> PlainSerializer:
    def serialize(value: Any, info: SerializationInfo) -> Any:
        return write(value) if info.context == FOR_PEOPLE else value

    return PlainSerializer(serialize)


def _duration(least: float, whole: bool = False) -> BeforeValidator:
    def validate(given: object) -> float:
        number = float(given) if type(given) is int else given
        seconds = _read(units.parse_duration, float, number, units.DURATION_HINT)
        if not math.isfinite(seconds) or seconds > MAX_SECONDS:
            most = units.write_duration(MAX_SECONDS)
            raise _expected(f"a duration of at most {most}", given)
        if seconds < least:
            bound = units.write_duration(least)
            raise _expected(f"a duration of at least {bound}", given)
        if whole and seconds != int(seconds):
            raise _expected("whole seconds (HTTP counts no smaller)", given)
        return seconds

    return BeforeValidator(validate)


_DURATION = _written(units.write_duration)
Duration = Annotated[float, _duration(0), _DURATION, told(fragments.duration(0))]
"""Seconds, zero or more."""
Timeout = Annotated[float, _duration(0.001), _DURATION, told(fragments.duration(0.001))]
"""Seconds, at least a millisecond."""
LifeTime = Annotated[float, _duration(1), _DURATION, told(fragments.duration(1))]
"""Seconds, at least one (clients take shorter SSE connections for broken)."""
MaxAge = Annotated[
    int,
    _duration(0, whole=True),
    AfterValidator(int),
    _DURATION,
    told(fragments.duration(0, whole=True)),
]
"""Whole seconds, as Cache-Control counts."""


def _size(least: int) -> BeforeValidator:
    def validate(given: object) -> int:
        size = _read(units.parse_size, int, given, units.SIZE_HINT)
        if not least <= size <= MAX_SIZE:
            raise _expected(f"a size of at least {units.write_size(least)}", given)
        return size

    return BeforeValidator(validate)


Size = Annotated[
    int,
    _size(units.KiB),
    _written(units.write_size),
    told(fragments.size(units.KiB)),
]
"""Bytes, at least 1 KiB."""
BodySize = Annotated[int, _size(1), _written(units.write_size), told(fragments.size(1))]
"""Bytes, at least one."""


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise ValueError("expected a whole number")
    return int(text)


def _count(given: object) -> int:
    count = _read(_whole, int, given, "a whole number")
    if not 1 <= count <= MAX_COUNT:
        raise _expected(f"a whole number from 1 to {MAX_COUNT}", given)
    return count


Count = Annotated[int, BeforeValidator(_count), told(fragments.COUNT)]
"""A whole number, at least one."""


def flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    if given in ("true", "false"):
        return given == "true"
    raise _expected("true or false", given)


Flag = Annotated[bool, BeforeValidator(flag), told(fragments.FLAG)]


def _rate(given: object) -> units.Rate:
    return _read(units.parse_rate, units.Rate, given, units.RATE_HINT)


def _share(given: object) -> int:
    return _read(units.parse_share, int, given, units.SHARE_HINT)


RateLimit = Annotated[
    units.Rate,
    PlainValidator(_rate),
    PlainSerializer(units.write_rate),
    told(fragments.RATE),
]
Share = Annotated[
    int,
    BeforeValidator(_share),
    _written(units.write_share),
    told(fragments.SHARE),
]
"""One in how many: 0 none, 1 all."""


def listen_address(given: object) -> addresses.ListenAddress:
    return _read(
        addresses.parse_listen, addresses.ListenAddress, given, addresses.LISTEN_HINT
    )


Listen = Annotated[
    addresses.ListenAddress,
    PlainValidator(listen_address),
    PlainSerializer(str),
    told(fragments.LISTEN),
]


def _proxy(text: str) -> str:
    if text == UNIX:
        return text
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"expected {_PROXY_HINT}") from None


_PROXY_HINT = "a network such as 10.0.0.0/8 or fd00::/8, an address, or unix"


def _text(
    parse: Callable[[str], str], what: str, repeat: bool = True
) -> BeforeValidator:
    """Text that ``parse`` accepts; ``repeat`` False keeps it out of the error."""

    def validate(given: object) -> str:
        if not isinstance(given, str):
            raise _expected(what, given)
        try:
            return parse(given)
        except ValueError as error:
            if repeat:
                sentence = str(error).removeprefix("expected ")
                raise _expected(sentence, given) from None
            raise

    return BeforeValidator(validate)


def _folder(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("expected the path of a folder")
    return text


Folder = Annotated[str, _text(_folder, "the path of a folder"), told(fragments.PATH)]
"""As it is written. A relative path starts at the working directory."""


def _file(text: str) -> str:
    if not text or "\0" in text or text.endswith("/"):
        raise ValueError("expected the path of a file")
    return text


FilePath = Annotated[str, _text(_file, "the path of a file"), told(fragments.PATH)]
"""As ``Folder``."""

# Base URLs are not repeated in errors: one may hold a password by mistake.
OriginUrl = Annotated[
    str,
    _text(addresses.parse_origin, addresses.ORIGIN_HINT, repeat=False),
    told(fragments.ORIGIN_URL),
]
BaseUrl = Annotated[
    str,
    _text(addresses.parse_base, addresses.BASE_HINT, repeat=False),
    told(fragments.BASE_URL),
]
CorsOrigin = Annotated[
    str,
    _text(addresses.parse_cors_origin, addresses.CORS_HINT, repeat=False),
    told(fragments.CORS_ORIGIN),
]
HostName = Annotated[
    str,
    _text(addresses.parse_host_name, addresses.NAME_HINT),
    told(fragments.HOST_NAME),
]


def _cors_origins(given: object) -> object:
    """``*`` by itself is the list of it."""
    return [given] if given == EVERYBODY else given


def _everybody_alone(given: tuple[str, ...]) -> tuple[str, ...]:
    if EVERYBODY in given and len(given) > 1:
        raise ValueError('"*" is everybody, and stands alone')
    return given


CorsOrigins = Annotated[
    tuple[CorsOrigin, ...],
    BeforeValidator(_cors_origins),
    AfterValidator(_everybody_alone),
    told(fragments.CORS_ORIGINS),
]
"""``*`` alone, or web origins."""
Authority = Annotated[
    str, _text(addresses.parse_authority, "a host name"), told(fragments.AUTHORITY)
]


TrustedProxy = Annotated[str, _text(_proxy, _PROXY_HINT), told(fragments.PROXY)]
"""A network whose peers are believed; without host bits."""


def matching(
    pattern: re.Pattern[str], what: str, lower: bool = False, repeat: bool = True
) -> BeforeValidator:
    """Text that ``pattern`` matches whole; ``repeat`` as for ``_text``."""

    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {what}")
        return text.lower() if lower else text

    return _text(parse, what, repeat)


_HEADER_HINT = "the name of a header field, such as x-tenant"


def _not_framing(name: str) -> str:
    if name in _WRITTEN_HERE:
        raise ValueError(f"the edge writes {name} itself; it cannot be set here")
    return name


HeaderName = Annotated[
    str,
    matching(_TOKEN, _HEADER_HINT, lower=True),
    AfterValidator(_not_framing),
    told(fragments.HEADER),
]
"""A lower-case field name that is neither framing nor hop-by-hop."""
MediaRange = Annotated[
    str,
    matching(_MEDIA_RANGE, "a media type such as application/*+json", lower=True),
    told(fragments.MEDIA_RANGE),
]
"""A lower-case media type; ``*`` stands for any text of the subtype."""
ParameterName = Annotated[
    str,
    matching(_PARAMETER, "the name of a query parameter, such as token"),
    told(fragments.PARAMETER),
]
NodeName = Annotated[
    str,
    matching(_NODE_NAME, "a name of letters, digits, - . and _, such as pop-1"),
    told(fragments.NODE_NAME),
]
"""A token, which may stand in Via and in Cache-Status; as long as a host's name."""
PathGlob = Annotated[
    str,
    matching(_GLOB, "a path with * and **, such as /v1/stream/**, percent-encoded"),
    told(fragments.GLOB),
]


TagTemplate = Annotated[
    str,
    matching(
        _TAG_TEMPLATE, "a tag, such as room-{room}, without space, comma and quotes"
    ),
    told(fragments.TAG_TEMPLATE),
]


def _secret(pattern: re.Pattern[str], what: str) -> BeforeValidator:
    """Text that is never repeated, whatever is wrong with it."""

    def validate(given: object) -> SecretStr:
        if isinstance(given, SecretStr):
            given = given.get_secret_value()
        if not isinstance(given, str) or not pattern.fullmatch(given):
            raise ValueError(f"expected {what}")
        return SecretStr(given)

    return BeforeValidator(validate)


_STATUS_HINT = "statuses from 400 to 599, such as 503, or 520-530 for several"


def _statuses(given: object) -> frozenset[int]:
    if isinstance(given, frozenset):
        return given
    if not isinstance(given, list | tuple):
        raise _expected(f"a list of {_STATUS_HINT}", given)
    found: set[int] = set()
    for item in given:
        match = re.fullmatch(r"(\d{3})(?:-(\d{3}))?", str(item), re.ASCII)
        first, last = (0, 0) if match is None else (match[1], match[2] or match[1])
        if not 400 <= int(first) <= int(last) <= 599:
            raise _expected(_STATUS_HINT, item)
        found.update(range(int(first), int(last) + 1))
    return frozenset(found)


def _write_statuses(statuses: frozenset[int]) -> list[int | str]:
    """In order; neighbours as one range."""
    written: list[int | str] = []
    for first in sorted(s for s in statuses if s - 1 not in statuses):
        last = next(s for s in range(first, 601) if s + 1 not in statuses)
        written.append(first if first == last else f"{first}-{last}")
    return written


Statuses = Annotated[
    frozenset[int],
    PlainValidator(_statuses),
    PlainSerializer(_write_statuses),
    told(fragments.STATUSES),
]
"""Statuses of errors; in a list, one by one or as ranges."""


Token = Annotated[
    SecretStr,
    _secret(re.compile(r"[!-~]{8,1024}", re.ASCII), "8 to 1024 visible characters"),
    told(fragments.TOKEN),
]
SecretValue = Annotated[
    SecretStr,
    _secret(_FIELD_VALUE, "the value of a header field"),
    told(fragments.FIELD_VALUE),
]


def _distinct_names(given: object) -> object:
    """Refuse header names that differ only in case: YAML takes them for two keys."""
    if isinstance(given, dict):
        names = [str(name).lower() for name in given]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the header field {name} is written twice")
    return given


def _not_built(name: str) -> str:
    if name in UNFIT_ON_READS:
        raise ValueError(f"the edge writes {name} itself; it cannot be set here")
    return name


_OwnName = Annotated[HeaderName, AfterValidator(_not_built)]

SecretHeaders = Annotated[dict[_OwnName, SecretValue], BeforeValidator(_distinct_names)]
"""Header fields of the edge's own, whose values are secrets until they go upstream:
none that is there in any case, for then it would be sent twice."""
