"""The suite of truth, for some seconds before each origin; and that it notices.

Each run also has to have met what it is there for: each mode, coding, credential, kind
of write, fault and sort of answer. ``make chaos`` runs it for as long as one likes,
with any seed (CONTRIBUTING.md).
"""

import pytest

from tests.chaos.fault_proxy import Fault
from tests.chaos.mutants import OF_ACCESS, launcher
from tests.chaos.run import Plan, run

SECONDS = 14.0
MOST = 45.0
"""Seconds of a run, and of one that has not met by then what it needs."""

CAUGHT_WITHIN = 30.0
"""Seconds of a mutant's run at most; it ends when it is caught."""

NEEDED = {
    **dict.fromkeys(("mode catch-up", "mode long-poll", "mode sse", "mode head"), 30),
    **dict.fromkeys(("mode now", "sort 304", "sort hit", "sort asked"), 20),
    **dict.fromkeys(("mode long-poll-now", "sort stale", "sort pass"), 1),
    **dict.fromkeys(("subject alice", "subject cookie", "subject parameter"), 10),
    **dict.fromkeys(("coding gzip", "coding br", "coding zstd"), 1),
    **dict.fromkeys(("append edge acknowledged", "append behind acknowledged"), 50),
    **dict.fromkeys(("append edge unknown", "append repeated", "close", "fork"), 1),
    **dict.fromkeys(("create edge", "create behind", "recreation"), 2),
    **dict.fromkeys(("delete edge", "delete behind", "refused subject"), 1),
    **dict.fromkeys((f"fault {fault.value}" for fault in Fault), 3),
    **dict.fromkeys(("outage", "all cut", "read whole"), 1),
    "judged": 500,
}
"""The least of each that makes a run worth its time; a tenth of what is usual."""

NEEDED_OF_ACCESS = {
    **dict.fromkeys(("mode catch-up", "mode long-poll", "mode sse", "mode head"), 30),
    **dict.fromkeys(("subject alice", "subject bob", "subject carol"), 50),
    **dict.fromkeys(("subject eve", "subject dora", "subject brief"), 10),
    **dict.fromkeys(("sort 304", "sort hit", "sort asked"), 20),
    **dict.fromkeys(("append edge acknowledged", "append behind acknowledged"), 30),
    **dict.fromkeys(("order", "fork", "read whole", "recreation"), 1),
    "refused subject": 100,
    "judged": 500,
}

ACCESS_SECONDS = 8.0


@pytest.mark.parametrize(("origin", "seed"), [("node", 1), ("embedded", 2)])
def test_every_answer_is_of_the_log_and_no_claim_is_false(
    origin: str, seed: int
) -> None:
    """L3 to L8, L12 to L17, U2, U5: before the log's own truth, read past the edge."""
    plan = Plan(seed=seed, origin=origin, seconds=SECONDS, most=MOST, needed=NEEDED)
    outcome = run(plan)

    print(f"seed {seed} before {origin}: {dict(outcome.met)}")
    assert outcome.wrong == []
    assert outcome.lacks == {}


def test_nobody_is_shown_a_byte_that_was_not_granted() -> None:
    """A1, A2, A3, A10, A14, A17; B2, B6, B7, B12: subjects of several rights, tokens
    that end, and two who lose their rights, on routes by ``jwt``, ``forward`` and
    ``origin``. And nobody is refused who may read."""
    plan = Plan(
        seed=3,
        seconds=ACCESS_SECONDS,
        most=MOST,
        needed=NEEDED_OF_ACCESS,
        # What is made anew within ``verify`` may be taken for the old one (L7).
        settings={"cache": {"verify": "1s", "closed_max_age": "1s"}},
        access=True,
    )
    outcome = run(plan)

    print(f"seed {plan.seed} with access: {dict(outcome.met)}")
    assert outcome.wrong == []
    assert outcome.lacks == {}


@pytest.mark.parametrize(
    ("mutant", "laws"),
    [
        ("forgets-writes", {"claim", "closure-hidden"}),
        ("keeps-recreated", {"dead", "bytes", "claim", "closed"}),
        ("tags-by-start", {"304"}),
        ("grants-every-path", {"ungranted"}),
    ],
)
def test_an_edge_with_a_broken_rule_is_caught(mutant: str, laws: set[str]) -> None:
    outcome = run(
        Plan(
            seed=1,
            seconds=CAUGHT_WITHIN,
            launcher=launcher(mutant),
            stop_at_first=True,
            access=mutant in OF_ACCESS,
        )
    )

    assert laws & outcome.laws.keys(), outcome.wrong
