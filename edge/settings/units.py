"""Durations, sizes, rates and shares: text for people, numbers for the edge.

``30s`` is 30.0 seconds, ``64KiB`` is 65,536 bytes, ``4/1s`` is four within a
second, ``sampled 1/100`` is every hundredth. Each kind has two functions. ``parse_``
raises ValueError with one sentence that says what is expected. ``write_`` gives a text
that parses back to the same value. Pure; called by ``fields``.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

DAY = 86_400.0

# Largest first: how a duration is written, and the order inside "1h30m".
_SECONDS = {
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_BYTES = {
    "TiB": 1024**4,
    "GiB": GiB,
    "MiB": MiB,
    "KiB": KiB,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "KB": 10**3,
    "B": 1,
}
_BYTES_BY_NAME = {name.lower(): factor for name, factor in _BYTES.items()}

# Digits are bounded: no text can give an endless or infinite number.
_NUMBER = r"\d{1,19}(?:\.\d{1,340})?"
_PLAIN = re.compile(_NUMBER, re.ASCII)
_PARTS = re.compile(rf"(?:{_NUMBER}(?:ms|[dhms]))+", re.ASCII)
_PART = re.compile(rf"({_NUMBER})(ms|[dhms])", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]*)", re.ASCII)
_RATE = re.compile(r"(\d{1,9}) ?/ ?(.+)", re.ASCII)
_SHARE = re.compile(r"(?:sampled )?1/(\d{1,9})", re.ASCII)

DURATION_HINT = "a duration such as 500ms, 30s, 5m, 1h or 365d"
SIZE_HINT = "a size such as 64KiB, 16MiB or 4GB"
RATE_HINT = "a count within a time, such as 4/1s"
SHARE_HINT = "full, off, or sampled 1/N"


def parse_duration(text: str) -> float:
    """Seconds. A plain number is seconds; parts go from large to small (1h30m)."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return float(text)
    if not _PARTS.fullmatch(text):
        raise ValueError(f"expected {DURATION_HINT}")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if units != [unit for unit in _SECONDS if unit in units]:
        raise ValueError(f"expected {DURATION_HINT}, each unit once, large to small")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))


def write_duration(seconds: float) -> str:
    """The largest unit of which ``seconds`` is a whole number."""
    exact = Decimal(repr(float(seconds)))
    for unit, factor in _SECONDS.items():
        if exact and exact % factor == 0:
            return f"{exact / factor:.0f}{unit}"
    return f"{exact.normalize():f}s" if exact else "0s"


def parse_size(text: str) -> int:
    """Bytes. A plain number is bytes; KiB counts 1024, KB counts 1000."""
    match = _SIZE.fullmatch(text.strip())
    factor = _BYTES_BY_NAME.get(match[2].lower() or "b") if match else None
    if match is None or factor is None:
        raise ValueError(f"expected {SIZE_HINT} (KiB counts 1024, KB counts 1000)")
    size = Decimal(match[1]) * factor
    if size != int(size):
        raise ValueError("expected a whole number of bytes")
    return int(size)


def write_size(size: int) -> str:
    """The largest unit of which ``size`` is a whole number, binary ones first."""
    for unit, factor in _BYTES.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return "0B"


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` events within ``seconds``."""

    count: int
    seconds: float


def parse_rate(text: str) -> Rate:
    """``4/1s``, ``4/s`` or ``100/1m``. Neither part may be zero."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected {RATE_HINT}")
    span = match[2] if match[2][0].isdigit() else f"1{match[2]}"
    try:
        rate = Rate(int(match[1]), parse_duration(span))
    except ValueError:
        raise ValueError(f"expected {RATE_HINT}") from None
    if not rate.count or not rate.seconds:
        raise ValueError(f"expected {RATE_HINT}, both parts above zero")
    return rate


def write_rate(rate: Rate) -> str:
    """``4/1s``."""
    return f"{rate.count}/{write_duration(rate.seconds)}"


def parse_share(text: str) -> int:
    """One in how many: 1 for ``full``, 0 for ``off``, N for ``sampled 1/N``."""
    if text in ("full", "off"):
        return int(text == "full")
    match = _SHARE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ValueError(f"expected {SHARE_HINT}")
    return int(match[1])


def write_share(one_in: int) -> str:
    """``full``, ``off`` or ``sampled 1/N``."""
    return {0: "off", 1: "full"}.get(one_in, f"sampled 1/{one_in}")
