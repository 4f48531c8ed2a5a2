"""What a run measured. Pure.

The members of ``data`` are a contract (``docs/command-line.md``): names stay, new ones
may come. Times are milliseconds; what was not measured is None.
"""

from dataclasses import asdict, dataclass, field

Summary = dict[str, float] | None
Distribution = list[list[float]]

BUSY = 0.9
"""A generator above this share of its core may be what was measured."""


@dataclass(frozen=True, slots=True)
class FanoutFigures:
    """One crowd, all its events."""

    url: str
    mode: str
    viewers: int
    events: int
    rate: float
    size: int
    origin_requests_per_event: float | None
    first_ms: Summary
    last_ms: Summary
    each_ms: Summary
    append_ms: Summary
    delivered: int
    expected: int
    resumed: int
    failed: int
    repeated: int
    generator_cpu_share: float
    generator_us_per_message: float | None
    memory_per_viewer_kib: float | None
    cpu_per_message_us: float | None
    latencies_ms: Distribution = field(repr=False)
    kind: str = "fanout"

    def data(self) -> dict[str, object]:
        """For programs."""
        return {"kind": self.kind} | asdict(self)

    @property
    def samples(self) -> int:
        """How many times the distribution is made of."""
        return self.delivered


@dataclass(frozen=True, slots=True)
class HitsFigures:
    """One URL, read again and again."""

    url: str
    generator: str
    connections: int
    seconds: float
    different_heads: bool
    requests_per_second: float
    bytes_per_second: float
    requests: int
    errors: int
    latency_ms: Summary
    latencies_ms: Distribution = field(repr=False)
    generator_cpu_share: float
    kind: str = "hits"

    def data(self) -> dict[str, object]:
        """For programs."""
        return {"kind": self.kind} | asdict(self)

    @property
    def samples(self) -> int:
        """How many times the distribution is made of."""
        return self.requests


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a generator of hits measured. Times: ms, but ``seconds`` and ``cpu``."""

    generator: str
    seconds: float
    requests: int
    bytes: int
    lost: int
    """Connections and requests that broke or timed out."""
    refused: int
    """Answers that were no success."""
    latency_ms: dict[str, float] | None
    latencies_ms: list[list[float]]
    cpu: float
    """Seconds of processor time that the generator took."""


Figures = FanoutFigures | HitsFigures


def title(of: Figures) -> str:
    """One line that says what was measured."""
    if isinstance(of, FanoutFigures):
        return (
            f"{of.viewers:,} {of.mode} viewers of {of.url}, {of.events:,} events of "
            f"{of.size:,} bytes at {of.rate:g} a second"
        )
    heads = ", each with a head of its own" if of.different_heads else ""
    seconds = f"{of.seconds:g} s{heads}"
    return f"{of.connections:,} connections reading {of.url} for {seconds}"


def warnings(figures: Figures) -> list[str]:
    """What a reader of these results must know."""
    told = []
    if figures.generator_cpu_share > BUSY:
        share = f"{figures.generator_cpu_share:.0%}"
        told.append(f"the load generator was busy ({share}): it may be the limit")
    if isinstance(figures, HitsFigures) and figures.generator == "own":
        told.append("without wrk this client may be the limit (--generator wrk)")
    return told
