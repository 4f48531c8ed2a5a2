"""The official server conformance suite, run against any URL and judged.

``run_suite`` runs it under vitest and reads the JSON report. ``judge`` holds the
report against a list of expected failures: a failure outside the list and a pass
inside it are both faults, so the list can neither hide a regression nor outlive the
bug that it names. A suite that ran another number of tests than ``SUITE_SIZE`` is a
fault too: a suite that runs nothing passes everything.

By hand, against any server (the origin wants a long-poll time-out of 2 s)::

    python -m tests.conformance.run http://127.0.0.1:8080
    python -m tests.conformance.run --node       # the reference server, directly
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import node
from tests.support.processes import node_origin

HERE = Path(__file__).parent
EXPECTED_THROUGH_EDGE = HERE / "expected_through_edge.yaml"
EXPECTED_DIRECT = HERE / "expected_direct.yaml"

SUITE_SIZE = 338
"""Tests in version 0.3.6 of the suite, subscriptions included."""

LONG_POLL_MS = 2000
"""The suite waits for polls that end empty, and does in others what takes a while on a
busy machine: what it appends then must come before their end."""

LONGEST_RUN = 600.0
ERROR_LINES_SHOWN = 3

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class SuiteBroken(Exception):
    """vitest made no report; the text is what it printed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What ran: how many passed, and each failure's full name with its first lines."""

    passed: frozenset[str]
    failed: Mapping[str, str]

    @property
    def total(self) -> int:
        return len(self.passed) + len(self.failed)

    def summary(self) -> str:
        return f"{len(self.passed)} of {self.total} passed, {len(self.failed)} failed"


def run_suite(url: str, token: str | None = None) -> Report:
    """All of the suite against ``url``, with a bearer token if one is given.

    Raises SuiteBroken.
    """
    found = node.install()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        report = Path(folder) / "report.json"
        environment = {
            "CONFORMANCE_URL": url.rstrip("/"),
            "CONFORMANCE_CACHE": folder,
        }
        if token is not None:
            environment["CONFORMANCE_TOKEN"] = token
        printed = _vitest(found, report, environment)
        if not report.exists():
            raise SuiteBroken(printed)
        return read_report(json.loads(report.read_text()))


def _vitest(found: node.Node, report: Path, environment: Mapping[str, str]) -> str:
    vitest = str(node.PACKAGES / "vitest" / "vitest.mjs")
    options = ["run", "--reporter=json", f"--outputFile={report}"]
    done = subprocess.run(
        [str(found.binary), vitest, *options],
        cwd=node.FOLDER,
        env=found.environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_RUN,
    )
    return done.stdout


def read_report(report: Mapping[str, Any]) -> Report:
    """vitest's JSON as ours. What neither passed nor failed was skipped: a failure.

    Raises SuiteBroken for a test file that could not even be loaded.
    """
    tests = [
        test for file in report["testResults"] for test in file["assertionResults"]
    ]
    if not tests:
        raise SuiteBroken("\n".join(file["message"] for file in report["testResults"]))
    passed = frozenset(t["fullName"] for t in tests if t["status"] == "passed")
    failed = {
        t["fullName"]: _first_lines(t["failureMessages"] or [t["status"]])
        for t in tests
        if t["status"] != "passed"
    }
    return Report(passed, failed)


def _first_lines(messages: Iterable[str]) -> str:
    lines = _COLOURS.sub("", "\n".join(messages)).splitlines()
    return "\n".join(lines[:ERROR_LINES_SHOWN])


def expected_failures(path: Path) -> dict[str, str]:
    """A list from its file: the test's full name, and why it must fail."""
    listed = yaml.safe_load(path.read_text())
    return dict(listed or {})


def judge(report: Report, expected: Mapping[str, str]) -> list[str]:
    """Everything that is not as it must be, each as a text for a person."""
    faults = [
        f"FAILED, and is not expected to: {name}\n{_indented(why)}"
        for name, why in sorted(report.failed.items())
        if name not in expected
    ]
    faults += [
        f"{'PASSED' if name in report.passed else 'MISSING'}, but is expected to fail: "
        f"{name}\n{_indented(why)}"
        for name, why in sorted(expected.items())
        if name not in report.failed
    ]
    if report.total != SUITE_SIZE:
        faults.append(f"{report.total} tests ran, not {SUITE_SIZE}")
    return faults


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def main(arguments: list[str] | None = None) -> int:
    """0: as expected; 1: not; 2 (argparse): asked wrongly."""
    parser = argparse.ArgumentParser("tests.conformance.run", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("url", nargs="?", help="base URL of the server to judge")
    where.add_argument("--node", action="store_true", help="the reference server")
    parser.add_argument("--long-poll-ms", type=int, default=LONG_POLL_MS)
    parser.add_argument("--expected", type=Path, help="YAML: full name -> reason")
    asked = parser.parse_args(arguments)
    if asked.node:
        return _tell(*_run_node(asked.long_poll_ms, asked.expected or EXPECTED_DIRECT))
    expected = expected_failures(asked.expected) if asked.expected else {}
    return _tell(run_suite(asked.url), expected)


def _run_node(long_poll_ms: int, listed: Path) -> tuple[Report, dict[str, str]]:
    with node_origin(long_poll_ms) as origin:
        return run_suite(origin.url), expected_failures(listed)


def _tell(report: Report, expected: Mapping[str, str]) -> int:
    faults = judge(report, expected)
    print("\n".join([*faults, f"{report.summary()}; {len(expected)} expected to fail"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
