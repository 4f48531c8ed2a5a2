"""Quantiles of what was measured: nearest rank, nothing between two values. Pure."""

from collections.abc import Iterable, Sequence

STEPS = 12
"""Points of a grid for each power of ten that the share beyond shrinks by."""
DECADES = 5

GRID = (
    0.0,
    *(round(1 - 10 ** (-n / STEPS), 9) for n in range(1, STEPS * DECADES)),
    1.0,
)
"""The shares of a distribution: even steps on an axis that stretches the tail."""

Numbers = Sequence[float]


def quantile(ordered: Numbers, share: float) -> float:
    """The value that ``share`` of all do not exceed; ``ordered`` holds one at least."""
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(0, min(rank, len(ordered)) - 1)]


def summary(values: Iterable[float], *shares: float) -> dict[str, float] | None:
    """``p50`` and so on, and ``max``; None where nothing was measured."""
    ordered = sorted(values)
    if not ordered:
        return None
    found = {name(share): round(quantile(ordered, share), 3) for share in shares}
    return found | {"max": round(ordered[-1], 3)}


def name(share: float) -> str:
    """``p50``, ``p99``, ``p99_9``."""
    return f"p{share * 100:g}".replace(".", "_")


def grid(values: Iterable[float]) -> list[list[float]]:
    """Pairs of a share and its value, for plots."""
    ordered = sorted(values)
    if not ordered:
        return []
    return [[share, round(quantile(ordered, share), 3)] for share in GRID]
