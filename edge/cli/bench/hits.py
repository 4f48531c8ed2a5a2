"""Conducts repeated reads of one URL: asked once for its answer, then by a generator.

The first read uses the session of the commands for streams: a wrong host, a refusal or
a redirect is reported in words before anything is measured. If a later answer is no
success, the run fails, and still prints what it measured.
"""

from typing import Protocol

from edge.cli.bench import builtin_client, wrk
from edge.cli.bench.costs import allow_files
from edge.cli.bench.plan import HitsPlan
from edge.cli.bench.progress import Bar
from edge.cli.bench.results import HitsFigures, LoadResult
from edge.cli.streams.exit_faults import Exit, Fault, wrong
from edge.cli.streams.server_errors import refused
from edge.cli.streams.session import Session, mapped

TIMEOUT = 10.0
"""Seconds for the first answer, and between two bytes of it."""


class LoadGenerator(Protocol):
    """What asks, as fast as it can."""

    @property
    def load(self) -> LoadResult | None:
        """What was measured so far."""

    def run(self) -> None:
        """All of it. Raises Fault."""


class Hits:
    """One run. ``figures`` tells what was measured, also when it was cut short."""

    def __init__(self, plan: HitsPlan, bar: Bar) -> None:
        allow_files("--connections", plan.connections)
        self._plan = plan
        self._generator = _generator(plan, bar)

    def run(self) -> None:
        """Raises Fault, also when not all answers were a success."""
        _probe(self._plan)
        self._generator.run()
        load = self._generator.load
        if load is None:
            raise Fault(Exit.FAILED, "no answer in time")
        if load.refused:
            told = f"{load.refused:,} of {load.requests:,} answers were no success"
            raise Fault(Exit.FAILED, told)
        if load.lost:
            raise Fault(Exit.FAILED, f"{load.lost:,} requests broke or timed out")

    def figures(self) -> HitsFigures | None:
        """What was measured so far."""
        load = self._generator.load
        return None if load is None else _figures(self._plan, load)


def _generator(plan: HitsPlan, bar: Bar) -> LoadGenerator:
    if plan.generator is None:
        chosen = wrk.NAME if wrk.available() else builtin_client.NAME
    else:
        chosen = plan.generator
    if chosen == wrk.NAME and not wrk.available():
        message = "there is no wrk here (Debian: apt-get install wrk)"
        raise wrong("--generator", message)
    return (
        wrk.Wrk(plan, bar)
        if chosen == wrk.NAME
        else builtin_client.BuiltinClient(plan, bar)
    )


def _probe(plan: HitsPlan) -> None:
    """One read of the URL, all of it. Raises Fault when it is no success."""
    place = plan.address.place
    with mapped(place), Session(plan.address, plan.fields) as session:
        session.headers["Accept-Encoding"] = "identity"
        answer = session.get(
            plan.address.url(), allow_redirects=False, stream=True, timeout=TIMEOUT
        )
        pieces = answer.iter_content(64 * 1024)
        if 300 <= answer.status_code < 400:
            text = f"{answer.status_code}: redirects are not followed"
            raise Fault(Exit.FAILED, f"{text}, give the URL behind")
        if answer.status_code >= 400:
            raise refused(answer.status_code, answer.headers.get, pieces)
        for _ in pieces:
            pass


def _figures(plan: HitsPlan, load: LoadResult) -> HitsFigures:
    seconds = load.seconds or 1.0
    return HitsFigures(
        url=plan.address.url(),
        generator=load.generator,
        connections=plan.connections,
        seconds=round(load.seconds, 3),
        different_heads=plan.different_heads,
        requests_per_second=round(load.requests / seconds, 1),
        bytes_per_second=round(load.bytes / seconds, 1),
        requests=load.requests,
        errors=load.lost + load.refused,
        latency_ms=load.latency_ms,
        latencies_ms=load.latencies_ms,
        generator_cpu_share=round(load.cpu / seconds, 3),
    )
