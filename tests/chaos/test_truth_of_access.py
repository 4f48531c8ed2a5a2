"""The suite of truth on routes that judge, for some seconds."""

from tests.chaos.run import Plan, run

MOST = 120.0
"""Seconds of a run that has not met by then what it needs."""

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
