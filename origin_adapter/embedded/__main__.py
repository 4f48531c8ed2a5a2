"""``python -m origin_adapter.embedded``: the origin alone, until the CLI has it."""

import argparse
import signal
import sqlite3
import sys
from pathlib import Path

import gevent
from gevent.event import Event

from origin_adapter.embedded.options import Durability, Options
from origin_adapter.embedded.serve import AlreadyRunning, RunningOrigin
from origin_adapter.embedded.store.schema import StoreError


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 could not start."""
    said = _parser().parse_args()
    options = Options(
        data=said.data,
        durability=Durability(said.durability),
        long_poll_timeout=said.long_poll_timeout,
        public_url=said.public_url,
        local_webhooks=said.local_webhooks,
    )
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    try:
        serving = RunningOrigin(options, said.listen)
    except (AlreadyRunning, StoreError, OSError, sqlite3.Error) as error:
        print(f"cannot serve {options.data}: {error}", file=sys.stderr)
        return 1
    with serving:
        print(f"serving {options.data} on {serving.address}", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="embedded")
    parser.add_argument("--listen", default="127.0.0.1:4437")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--durability", choices=["full", "os"], default="full")
    parser.add_argument("--long-poll-timeout", type=float, default=30.0)
    parser.add_argument("--public-url")
    parser.add_argument("--local-webhooks", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
