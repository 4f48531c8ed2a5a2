"""``make chaos``: what readers see through the edge, against the origin's own log.

    make chaos ARGS="--seed 7 --seconds 600 --origin node"
    make chaos ARGS="--origin embedded --faults 0.4 --memory 1MiB"
    make chaos ARGS="--access --seconds 60"
    make chaos ARGS="--several --seconds 60"
    make chaos ARGS="--mutant keeps-recreated --seed 3"

Writers, readers and faults as the seed draws them (``tests/chaos/run.py``). Prints what
was met, and every complaint of the judge (``tests/chaos/judge.py``). Exits with 1 if
there was any; with a mutant, an edge that is broken on purpose, if there was none.
"""

import argparse
import random
import sys
from typing import Any

from tests.chaos.mutants import MUTANTS, OF_ACCESS, launcher
from tests.chaos.run import SEVERAL, Outcome, Plan, run
from tests.support.processes import laid_over


def main() -> None:
    """Run, and tell."""
    asked = arguments().parse_args()
    seed = (
        random.SystemRandom().randrange(100_000) if asked.seed is None else asked.seed
    )
    settings: dict[str, Any] = SEVERAL if asked.several else {}
    if asked.memory:
        # One answer may take all of it, and is cut into small pages.
        cache = dict.fromkeys(("memory", "max_object"), asked.memory)
        settings = laid_over(settings, {"cache": {**cache, "max_page": "4KiB"}})
    plan = Plan(
        seed=seed,
        origin=asked.origin,
        seconds=asked.seconds,
        rate=asked.faults,
        settings=settings,
        launcher=launcher(asked.mutant) if asked.mutant else (),
        stop_at_first=bool(asked.mutant),
        access=asked.access or asked.mutant in OF_ACCESS,
    )
    print(f"seed {seed}, before {plan.origin}, {plan.seconds:g} s", flush=True)
    outcome = run(plan)
    tell(outcome)
    sys.exit(bool(outcome.wrong) != bool(asked.mutant))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--origin", choices=("node", "embedded"), default="node")
    parser.add_argument("--seed", type=int, help="drawn if it is not given")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--faults", type=float, default=0.15, help="share in a storm")
    parser.add_argument("--memory", help="cache.memory and max_object")
    parser.add_argument("--several", action="store_true", help="fronts and keepers")
    parser.add_argument("--access", action="store_true", help="routes that judge")
    parser.add_argument("--mutant", choices=MUTANTS, help="break one rule on purpose")
    return parser


def tell(outcome: Outcome) -> None:
    """Print what was met, and what is wrong."""
    for what, times in sorted(outcome.met.items()):
        print(f"{times:8}  {what}")
    for complaint in outcome.wrong:
        print(complaint)
    for law, times in outcome.laws.most_common():
        print(f"{times:8}  WRONG: {law}")
    first = outcome.first_wrong
    when = "nothing is wrong" if first is None else f"first after {first:.1f} s"
    print(f"{outcome.met['judged']} answers judged; {when}")


if __name__ == "__main__":
    main()
