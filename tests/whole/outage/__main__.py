"""The two-region outage, told as tables.

    python -m tests.whole.outage
    python -m tests.whole.outage --viewers 5 --rounds 10 --pace 0.5
    python -m tests.whole.outage --counters         what an operator sees in each phase

Some two minutes as it is: 40 viewers in each region, half by long-poll and half by
SSE, and six phases of some twenty seconds (``tests/whole/outage/story.py``).
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.whole.outage.story import MODES, Plan, Story, Told, tell

QUIET = ("accept", "bytes", "collection", "connections", "longest", "last", "python")
"""Counters that say nothing of an outage, by how their names begin."""

RECOVERS = ("back", "gone", "made again")
"""Phases in which there is something to wait for."""


def main() -> int:
    """Tell; 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="outage", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--viewers", type=int, default=Plan.viewers)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--pace", type=float, default=Plan.pace)
    parser.add_argument("--counters", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ds-outage-") as folder:
        plan = Plan(asked.viewers, asked.rounds, asked.pace)
        story = tell(plan, Path(folder))
    print("\n".join(tables(story)))
    if asked.counters:
        print("\n".join(seen(story)))
    for wrong in story.wrong:
        print(f"WRONG: {wrong}")
    return bool(story.wrong)


def tables(story: Story) -> Iterable[str]:
    """What clients met, what the origin had, and how soon it was over."""
    heads = ["phase", "s", *MODES, "catch-up", "stale: Age", "writes"]
    yield from _table(heads, (_met(told) for told in story.told.values()))
    heads = ["phase", "polls", "reads", "heads", "writes"]
    yield from _table(heads, (_had(told) for told in story.told.values()))
    heads = ["phase", "who has what", "first after", "last after"]
    rows = (row for name in RECOVERS for row in _soon(story.told[name]))
    yield from _table(heads, rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterable[str]:
    yield ""
    yield _row(heads)
    yield _row("---" for _ in heads)
    yield from map(_row, rows)


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _met(told: Told) -> Iterable[object]:
    phase = told.phase
    ages = f"{min(phase.ages)} to {max(phase.ages)} s" if phase.ages else "-"
    yield from (phase.name, round(told.seconds))
    for who in (*MODES, "catch-up"):
        yield _counts(phase.met.get(who, Counter()))
    yield from (ages, _counts(phase.met.get("writer", Counter())))


def _had(told: Told) -> Iterable[object]:
    yield told.phase.name
    for kind in ("poll", "read", "head", "write"):
        mine = {
            key.removeprefix(f"{kind} "): count
            for key, count in told.origin.items()
            if key.startswith(f"{kind} ")
        }
        yield _counts(Counter(mine))


def _soon(told: Told) -> Iterable[Iterable[object]]:
    for who, had in sorted(told.phase.first.items()):
        first, last = min(had.values()), max(had.values())
        yield told.phase.name, f"{len(had)} {who}", f"{first:.1f} s", f"{last:.1f} s"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in counts.most_common()) or "-"


def seen(story: Story) -> Iterable[str]:
    """How far the counters went, and what was logged, at each node in each phase."""
    for told in story.told.values():
        for node, grown in told.counters.items():
            yield f"\n{told.phase.name}: {node}"
            for name, count in sorted(grown.items()):
                if not name.startswith(QUIET):
                    yield f"  {name} {count}"
            for line, count in told.log[node].items():
                yield f"  log: {line} ({count})"


if __name__ == "__main__":
    sys.exit(main())
