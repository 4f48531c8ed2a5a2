"""Mutants: the edge with one rule broken on purpose, to see that the suite notices.

    python -m tests.chaos.mutants NAME serve -c FILE

starts ``ds-edge`` with one of its functions replaced, each named after what it does
wrong, with the rule that forbids it. Only here is anything replaced: the product knows
nothing of it. Called by ``run`` as the program in place of ``ds-edge``.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def keeps_recreated() -> None:
    """L5: what was deleted or made anew through the edge is shown as before."""
    writes = _module("edge.live.writes")
    meaning, others = writes._meaning, {"PUT", "DELETE"}

    def broken(write: Any, tells_end: bool) -> Any:
        return (
            writes.Meaning.NOTHING
            if write.method in others
            else meaning(write, tells_end)
        )

    writes._meaning = broken


def forgets_writes() -> None:
    """L4: an acknowledged write says nothing of the tail."""

    def broken(self: Any, offset: str | None, closed: bool) -> None:
        self.version += 1

    _tail().acknowledge = broken


def claims_unheard() -> None:
    """L3: what is held is taken for all there is, though no poll is armed."""

    def broken(self: Any, barrier: Any, end: str, now: float, strict: bool) -> bool:
        return bool(self.offset == end)

    _tail().is_known_to = broken


def never_confirms() -> None:
    """L6: what was confirmed once is so for ever."""
    _tail().is_confirmed_to = lambda self, *_: True


def joins_unproved() -> None:
    """L7: after lost contact, what follows the end is taken for growth."""
    log = _module("edge.streamlog.stream_log").StreamLog
    log.probe_start = lambda self, max_probe: self.end


def shares_credentials() -> None:
    """L13: whoever asks, with whatever credential, shares with everybody."""
    authorize = _module("edge.policy.streams.authorize")
    authorize._partition = lambda request, route: authorize.ANONYMOUS


def keeps_cut_bodies() -> None:
    """L15: an answer that was cut in the middle is taken for a whole one."""
    parser = _module("origin_adapter.http.response_parser")

    def broken(self: Any) -> None:
        self.done, self.clean = True, False

    parser.LengthBody.eof = parser.ChunkedBody.eof = broken


def tags_by_start() -> None:
    """L17: an entity tag names where an answer begins, not what it holds."""
    answers = _module("edge.policy.streams.answers")

    def broken(log: Any, serve: Any, body: bytes, coding: str) -> str | None:
        return f'"{serve.start}"' if serve.kind in answers._TAGGED else None

    answers._etag = broken


def claims_when_stale() -> None:
    """U2: while the origin is away, what is held is said to be all."""
    decide = _module("edge.policy.streams.decide")
    without = decide._without

    def broken(*about: Any) -> Any:
        found = without(*about)
        if isinstance(found, decide.Serve) and found.kind is decide.Kind.STALE:
            return decide.Serve(found.kind, found.start, found.next, True)
        return found

    decide._without = broken


def vouches_for_ever() -> None:
    """U17: an event stream is believed however long it is silent."""
    followed = _module("edge.policy.streams.followed_events")
    followed.QUIET_SECONDS = float("inf")


def outlives_grants() -> None:
    """A3, B12: whoever holds something goes on holding it when the grant has ended."""
    leases = _module("edge.access.leases").Leases
    give, for_ever = leases.give, float("inf")

    def broken(self: Any, ends_at: float, *about: Any) -> Any:
        return give(self, for_ever, *about)

    leases.give = broken


def forgets_orders() -> None:
    """A10: what was revoked lets in as before."""
    _module("edge.access.revocations").Revocations.refuses = lambda *_: False


def grants_every_path() -> None:
    """A14: a token that grants one path grants them all."""
    _module("edge.access.path_grants").PathGrants.cover = lambda *_: True


def judges_once() -> None:
    """B2: whoever is let in to one stream of an endpoint is let in to all of them."""
    for name in ("forward", "origin_way"):
        way = _module(f"edge.access.{name}")
        way.asking_key = _without_path(way.asking_key)


def _without_path(key_of: Any) -> Any:
    return lambda *about: key_of(*about)._replace(path="")


def _module(name: str) -> Any:
    """A module of the product, imported as late as this: gevent's patch comes first."""
    return importlib.import_module(name)


def _tail() -> Any:
    return _module("edge.streamlog.tail").Tail


MUTANTS: dict[str, Callable[[], None]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        *(keeps_recreated, forgets_writes, claims_unheard, never_confirms),
        *(joins_unproved, shares_credentials, keeps_cut_bodies, tags_by_start),
        *(claims_when_stale, vouches_for_ever, outlives_grants, forgets_orders),
        *(grants_every_path, judges_once),
    )
}


OF_ACCESS = ("outlives-grants", "forgets-orders", "grants-every-path", "judges-once")
"""Those that only a run with access can catch."""


def launcher(name: str) -> tuple[str, ...]:
    """The program that runs this mutant in place of ``ds-edge``."""
    return (sys.executable, "-m", "tests.chaos.mutants", name)


def main() -> None:
    """Break it, and run it."""
    mutant = MUTANTS[sys.argv.pop(1)]
    # gevent's patch comes before anything of the edge.
    _module("edge.cli.serve")
    mutant()
    _module("edge.cli").main()


if __name__ == "__main__":
    main()
