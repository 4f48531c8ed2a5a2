"""What a generator of hits tells, whichever it is. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """One run. Times are milliseconds but ``seconds`` and ``cpu``."""

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
