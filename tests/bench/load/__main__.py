"""``python -m tests.bench.load``: one run of one generator, told as one JSON object.

Exits with 1 and ``error`` in that object when a server did not do what is measured.
"""

import argparse
import json
import sys

from edge.cli.bench.framing import BadAnswer
from tests.bench.load.events import Wrong
from tests.bench.load.single import Single, SinglePlan
from tests.bench.load.streams import Figures, ManyStreams, StreamsPlan
from tests.bench.load.writes import Writes, WritesPlan


def main() -> None:
    """Measure, and tell."""
    asked = arguments().parse_args()
    try:
        told = asked.run(asked)
    except (Wrong, BadAnswer, OSError) as error:
        told = {"kind": asked.what, "error": str(error)}
    print(json.dumps(told, indent=1))
    sys.exit("error" in told)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.load", allow_abbrev=False
    )
    runs = parser.add_subparsers(dest="what", required=True)
    _streams(runs.add_parser("streams", help="many streams, a few viewers each"))
    _writes(runs.add_parser("writes", help="appends as fast as they are answered"))
    _single(runs.add_parser("single", help="one request at a time, servers in turn"))
    return parser


def _streams(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", help="http://host:port of the viewers")
    add("--write-to", metavar="URL", help="where streams are written, if elsewhere")
    add("--streams", type=int, default=100)
    add("--viewers", type=int, default=1, help="of each stream")
    add("--mode", choices=("sse", "long-poll"), default="sse")
    add("--events", type=int, default=20_000, help="of all streams together, at most")
    add("--seconds", type=float, help="begin no event later than this")
    add("--rate", type=float, help="events a second of each stream, else all it takes")
    add("--lockstep", action="store_true", help="each waits for its viewers")
    add("--writers", type=int, default=16, help="connections that append")
    add("--size", type=int, default=100, help="bytes of an event")
    add("--patience", type=float, default=20.0)
    add("--pid", type=int, help="the server's process: processor time, connections")
    add("--origin", metavar="URL", help="the origin behind it")
    add("--origin-pid", type=int, help="its process")
    add("--refusing", action="store_true", help="viewers may be refused for good")
    parser.set_defaults(run=_run_streams)


def _run_streams(asked: argparse.Namespace) -> Figures:
    plan = StreamsPlan(
        url=asked.url,
        writes=asked.write_to or asked.url,
        streams=asked.streams,
        viewers=asked.viewers,
        mode=asked.mode,
        events=asked.events,
        seconds=asked.seconds,
        rate=asked.rate,
        lockstep=asked.lockstep,
        writers=asked.writers,
        size=asked.size,
        patience=asked.patience,
        pid=asked.pid,
        origin=asked.origin,
        origin_pid=asked.origin_pid,
        refusing=asked.refusing,
    )
    return ManyStreams(plan).run()


def _writes(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("url", help="http://host:port to write to")
    add("--origin", metavar="URL", help="where the streams are kept, if elsewhere")
    add("--connections", type=int, default=1)
    add("--size", type=int, default=100, help="bytes of an event")
    add("--seconds", type=float, default=3.0)
    add("--pid", type=int, help="the server's process: processor time")
    add("--origin-pid", type=int, help="the origin's")
    parser.set_defaults(run=_run_writes)


def _run_writes(asked: argparse.Namespace) -> Figures:
    plan = WritesPlan(
        url=asked.url,
        origin=asked.origin or asked.url,
        connections=asked.connections,
        size=asked.size,
        seconds=asked.seconds,
        pid=asked.pid,
        origin_pid=asked.origin_pid,
    )
    return Writes(plan).run()


def _single(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("servers", nargs="+", metavar="NAME=URL", help="the origin itself is the first")
    add("--rounds", type=int, default=500, help="requests of each kind to each")
    parser.set_defaults(run=_run_single)


def _run_single(asked: argparse.Namespace) -> Figures:
    pairs = [one.partition("=") for one in asked.servers]
    plan = SinglePlan({name: url for name, _, url in pairs}, asked.rounds)
    return Single(plan).run()


if __name__ == "__main__":
    main()
