"""The suite of truth notices: an edge with a broken rule is caught."""

from typing import Any

import pytest

from tests.chaos.mutants import OF_ACCESS, launcher
from tests.chaos.run import Plan, run

CAUGHT_WITHIN = 240.0
"""Seconds of a mutant's run at most; it ends when it is caught."""

FOLLOWED: dict[str, Any] = {
    "live": {"linger": "5s"},
    "cache": {"trust": "1s"},
    "routes": [{"match": "/**", "follow": "long-poll"}],
}
"""Settings under which most answers come from a log that an armed poll vouches for."""


@pytest.mark.timeout(CAUGHT_WITHIN + 60)
@pytest.mark.parametrize(
    ("mutant", "settings", "laws"),
    [
        ("forgets-writes", FOLLOWED, {"claim", "closure-hidden"}),
        ("keeps-recreated", FOLLOWED, {"dead", "bytes", "claim", "closed"}),
        ("tags-by-start", {}, {"304"}),
        ("grants-every-path", {}, {"ungranted"}),
    ],
)
def test_an_edge_with_a_broken_rule_is_caught(
    mutant: str, settings: dict[str, Any], laws: set[str]
) -> None:
    """By a law that says what is broken; others it may break, too, before that."""
    outcome = run(
        Plan(
            seed=1,
            seconds=CAUGHT_WITHIN,
            settings=settings,
            launcher=launcher(mutant),
            stop_at_first=True,
            awaited=frozenset(laws),
            access=mutant in OF_ACCESS,
        )
    )

    assert laws & outcome.laws.keys(), outcome.wrong
