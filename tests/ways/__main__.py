"""``make ways``: calls, files and changes of file of each way through the product.

    make ways
    make ways ARGS="--list cold"              the files of one way, with calls in each
    make ways ARGS="--list cold --functions"  and the functions in each

Calls are Python calls in the edge's worker into ``edge/`` and ``origin_adapter/``; a
generator that goes on is one more. Takes under a minute.
"""

import argparse

from tests.ways.measure import WAYS, Figures, house, measure


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="make ways", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--list", choices=WAYS, action="append", default=[])
    parser.add_argument("--functions", action="store_true")
    asked = parser.parse_args()
    with house() as measured:
        found = {way: measure(measured, way) for way in asked.list or WAYS}
    print("| way | calls | files | changes of file | calls in each round |")
    print("|---|---|---|---|---|")
    for way, figures in found.items():
        rounds = " ".join(map(str, figures.spread))
        three = f"{len(figures.calls)} | {len(figures.files)} | {figures.changes}"
        print(f"| {WAYS[way][0]} (`{way}`) | {three} | {rounds} |")
    for way in asked.list:
        print(f"\n{WAYS[way][0]}: calls in each file, in order of first entry\n")
        tell(found[way], asked.functions)


def tell(figures: Figures, functions: bool) -> None:
    """Print the files of a way."""
    for file, entered in figures.files.items():
        print(f"{sum(entered.values()):5}  {file}")
        if functions:
            for function, calls in entered.items():
                print(f"       {calls:5}  {function}")


if __name__ == "__main__":
    main()
