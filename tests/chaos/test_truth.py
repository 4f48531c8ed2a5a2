"""The suite of truth, for some seconds before each origin.

Each run also has to have met what it is there for: each mode, coding, credential, kind
of write, fault and sort of answer. ``make chaos`` runs it for as long as one likes,
with any seed (CONTRIBUTING.md). That it notices: ``test_mutants``; routes that judge:
``test_truth_of_access``.
"""

from typing import Any

import pytest

from tests.chaos.fault_proxy import Fault
from tests.chaos.run import SEVERAL, Plan, run
from tests.support.processes import laid_over

SECONDS = 10.0
MOST = 120.0
"""Seconds of a run, and of one that has not met by then what it needs."""

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
    "events heard": 10,
    **dict.fromkeys(("outage", "all cut", "read whole"), 1),
    "judged": 500,
}
"""The least of each that makes a run worth its time; a tenth of what is usual."""

SOON_VERIFIED: dict[str, Any] = {"cache": {"verify": "1s", "closed_max_age": "1s"}}
"""What is made anew within ``verify`` may be taken for the old one, where nobody
follows it meanwhile (L7): on a busy machine that may be a while."""


@pytest.mark.parametrize(
    ("origin", "seed", "settings", "needed"),
    [
        pytest.param("node", 1, SOON_VERIFIED, NEEDED, id="node"),
        pytest.param("embedded", 2, SOON_VERIFIED, NEEDED, id="embedded"),
        pytest.param(
            "node",
            60,
            laid_over(SEVERAL, SOON_VERIFIED),
            {"judged": 100},
            id="several processes",
        ),
    ],
)
def test_every_answer_is_of_the_log_and_no_claim_is_false(
    origin: str, seed: int, settings: dict[str, Any], needed: dict[str, int]
) -> None:
    """L3 to L8, L12 to L17, U2, U5: before the log's own truth, read past the edge. Of
    an edge of several processes, too (W1 to W10), which do less in a second."""
    how: dict[str, Any] = {"needed": needed, "settings": settings}
    plan = Plan(seed=seed, origin=origin, seconds=SECONDS, most=MOST, **how)
    outcome = run(plan)

    print(f"seed {seed} before {origin}: {dict(outcome.met)}")
    assert outcome.wrong == []
    assert outcome.lacks == {}
