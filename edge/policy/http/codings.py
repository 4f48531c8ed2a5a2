"""Content codings: which ones a client takes, and how bytes are coded (L19).

The edge knows zstd, br and gzip. ``accepted`` reads Accept-Encoding for a
Read; ``compress`` and ``worth`` serve the preparation of answers. Whether an answer may
be compressed at all (never live ones, never in credential partitions) is decided where
answers are prepared.

Source: RFC 9110 sections 8.4 and 12.5.3.
"""

import gzip
import re
from functools import lru_cache

import brotli
import zstandard

from edge.protocol.http_grammar import TOKEN
from edge.protocol.names import media_type

CODINGS = ("zstd", "br", "gzip")
"""The server's own preference, best first."""

MIN_SIZE = 1024
"""Bytes below which coding gains too little to be worth a variant."""

_ZSTD_LEVEL = 3
_BROTLI_QUALITY = 5
_GZIP_LEVEL = 6

_ALIASES = {"x-gzip": "gzip"}
_WEIGHT = re.compile(r"[Qq]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_MAX_CACHED = 256

_COMPRESSIBLE = frozenset(
    {
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/jsonl",
        "application/jwk-set+json",
        "application/ndjson",
        "application/wasm",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "image/svg+xml",
    }
)


def accepted(accept_encoding: str | None) -> tuple[str, ...]:
    """The codings that the client takes, best first, without identity.

    Ordered by weight, then by ``CODINGS``. A weight of 0 refuses; ``*`` stands for the
    codings not named; a coding named twice has its smaller weight. A coding that weighs
    less than an explicit ``identity`` is left out: the client prefers plain bytes.
    Malformed members are ignored. No field at all means identity: a client has to ask
    for coded bytes.
    """
    if not accept_encoding:
        return ()
    if len(accept_encoding) > _MAX_CACHED:
        return _accepted(accept_encoding)
    return _accepted_cached(accept_encoding)


def compress(coding: str, body: bytes) -> bytes:
    """``body`` in a content coding; the same input always gives the same bytes.

    ``coding`` is one of CODINGS, as ``accepted`` returns them. Any other one raises
    ValueError.
    """
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    if coding == "br":
        return bytes(brotli.compress(body, quality=_BROTLI_QUALITY))
    if coding == "gzip":
        return gzip.compress(body, _GZIP_LEVEL, mtime=0)
    raise ValueError(f"no such coding: {coding!r}")


def worth(content_type: str | None, size: int) -> bool:
    """Whether bytes of this type and length are worth coding.

    Text and similar types, from ``MIN_SIZE`` on. Never event streams, whose pieces must
    not wait for a compressor, and never types that are compressed already.
    """
    if size < MIN_SIZE:
        return False
    kind = media_type(content_type)
    if kind.startswith("text/"):
        return kind != "text/event-stream"
    return kind in _COMPRESSIBLE or kind.endswith(("+json", "+xml"))


def _accepted(field: str) -> tuple[str, ...]:
    weights = _weights(field)
    rest = weights.get("*", 0.0)
    floor = weights.get("identity", 0.0)
    known = [(weights.get(coding, rest), coding) for coding in CODINGS]
    takes = [(weight, coding) for weight, coding in known if weight > 0]
    # sorted() is stable, so equal weights keep the order of CODINGS.
    ranked = sorted(takes, key=lambda pair: -pair[0])
    return tuple(coding for weight, coding in ranked if weight >= floor)


_accepted_cached = lru_cache(maxsize=512)(_accepted)


def _weights(field: str) -> dict[str, float]:
    """The weight of each member, by lower-case name; junk left out."""
    weights: dict[str, float] = {}
    for member in field.split(","):
        name, _, parameter = member.partition(";")
        weight = _weight(parameter)
        coding = name.strip(" \t").lower()
        if weight is None or TOKEN.fullmatch(coding) is None:
            continue
        coding = _ALIASES.get(coding, coding)
        weights[coding] = min(weight, weights.get(coding, weight))
    return weights


def _weight(parameter: str) -> float | None:
    """The number of a ``q=`` parameter, 1 without one, None when malformed."""
    text = parameter.strip(" \t")
    if not text:
        return 1.0
    match = _WEIGHT.fullmatch(text)
    return float(match[1]) if match else None
