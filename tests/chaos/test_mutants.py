"""The suite of truth notices: an edge with a broken rule is caught."""

import pytest

from tests.chaos.mutants import OF_ACCESS, launcher
from tests.chaos.run import Plan, run

CAUGHT_WITHIN = 30.0
"""Seconds of a mutant's run at most; it ends when it is caught."""


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
