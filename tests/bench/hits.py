"""Hits: cached closed ranges, from the edge and from nginx, side by side.

Both stand before the same Node reference server, one worker each on core 0; wrk with
one thread and 64 connections is on core 1. The two take turns in every round, so
that what the machine does besides meets both. Needs wrk and nginx (Debian packages)
and two cores::

    python -m tests.bench.hits --seconds 5 --rounds 3
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.processes import edge, free_port, node_origin, running

HERE = Path(__file__).parent
SIZES = {"1 KiB": 1024, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}


def put(base: str, size: int) -> str:
    """A closed stream of so many bytes; the path to read it by."""
    path = f"/v1/stream/hits-{size}"
    request = urllib.request.Request(base + path, os.urandom(size // 2).hex().encode())
    request.method = "PUT"
    request.add_header("Content-Type", "text/plain")
    request.add_header("Stream-Closed", "true")
    urllib.request.urlopen(request).close()
    return f"{path}?offset=-1"


@contextmanager
def nginx(origin: str) -> Iterator[str]:
    """nginx before the origin: its base URL."""
    listen = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ds-nginx-") as folder:
        os.chmod(folder, 0o777)
        text = (HERE / "nginx.conf").read_text()
        for word, value in (
            ("@folder@", folder),
            ("@origin@", urlsplit(origin).netloc),
            ("@listen@", listen),
            ("@files@", "20000"),
        ):
            text = text.replace(word, value)
        config = Path(folder) / "nginx.conf"
        config.write_text(text)
        with running("nginx", ["nginx", "-c", str(config)]):
            yield f"http://{listen}"


def load(url: str, seconds: int, script: str | None) -> float:
    """Requests per second of one run of wrk. Raises when not all were 200."""
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}"]
    command += ["-s", str(HERE / script)] if script else []
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    if "Non-2xx" in said.stdout:
        raise RuntimeError(said.stdout)
    found = re.search(r"Requests/sec:\s+(\S+)", said.stdout)
    assert found, said.stdout
    return float(found[1])


def pin(pid: int) -> None:
    """Keep a process, its children and their threads on core 0."""
    tree = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    for each in [pid, *map(int, tree.stdout.split())]:
        subprocess.run(["taskset", "-acp", "0", str(each)], capture_output=True)
        if each != pid:
            pin(each)


def compare(
    ours: str, theirs: str, path: str, script: str | None, rounds: int, seconds: int
) -> tuple[float, float]:
    """The medians of both, measured in turns."""
    mine, peers = [], []
    for url in (ours, theirs):
        load(url + path, 1, script)
    for _ in range(rounds):
        mine.append(load(ours + path, seconds, script))
        peers.append(load(theirs + path, seconds, script))
    return statistics.median(mine), statistics.median(peers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for needed in ("wrk", "nginx", "taskset"):
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is not installed (Debian: apt-get install {needed})")
    with ExitStack() as stack:
        origin = stack.enter_context(node_origin(long_poll_ms=30_000))
        ours = stack.enter_context(edge(origin.url, log={"access": "off"}))
        theirs = stack.enter_context(nginx(origin.url))
        pin(ours.process.pid)
        print(f"load {os.getloadavg()[0]:.1f}; requests per second, medians")
        for name, size in SIZES.items():
            path = put(origin.url, size)
            time.sleep(0.2)
            cases: list[tuple[str, str | None]] = [(name, None)]
            if size == SIZES["1 KiB"]:
                cases.append((f"{name}, all-different heads", "different.lua"))
            for label, script in cases:
                a, b = compare(
                    ours.url, theirs, path, script, options.rounds, options.seconds
                )
                print(
                    f"{label:30} edge {a:9.0f}  nginx {b:9.0f}  ratio {a / b:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
