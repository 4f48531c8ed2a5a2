"""``ds-edge status`` and ``top``: what is made of the documents that a page has, and
the commands before a running edge."""

import io
import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from edge.cli.app import app
from edge.cli.status import clean, duration, fault_of, lines, size, worries
from edge.cli.top import KEYS_TOLD, Told, rates, screen
from edge.core.fault_notes import FaultRun
from edge.core.node_status import ProcessStatus
from edge.core.reasons import Reason
from edge.core.stream_snapshot import StreamOrder
from edge.core.values import Role
from tests.admin.test_status_page import Node
from tests.cli.test_health import answering, well
from tests.support.processes import Edge, ds_edge, service
from tests.support.talk import ask

TOKEN = "s3cret-token"
PATH = "/v1/stream/watched"
FRONT = ProcessStatus("front-0", Role.FRONT, 4711, 1.0, 0.125, 1 << 26, 12, 9)


def printed(told: Told, before: Told | None = None, width: int = 120) -> str:
    """What a terminal of this width shows."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(screen(told, before, StreamOrder.VIEWERS))
    return console.export_text()


# What is not well.


def test_an_edge_that_is_ready_and_has_its_origin_is_healthy() -> None:
    assert worries(Node(processes=(FRONT,)).told) == []


def test_each_thing_that_is_not_well_is_named() -> None:
    node = Node(why=Reason.KEEPERS_SILENT)
    node.gauges["origin_up"] = 0.0
    node.faults["origin"] = {"origin-timeout": FaultRun(5.0, 5.0)}
    node.processes = (FRONT, replace(FRONT, name="keeper-1", beat=7.2))

    assert worries(node.told) == [
        "not ready: keepers-silent",
        "the origin is away: origin-timeout",
        "keeper-1 gave no sign of life for 7 s",
    ]


def test_an_outage_behind_the_next_edge_is_told_with_how_long_it_lasts() -> None:
    node = Node()
    now = node.clock.wall()
    node.faults["origin"] = {"origin-stale": FaultRun(now - 61.0, now - 2.0)}

    assert worries(node.told) == [
        "the edge that this one asks has lost its origin: origin-stale, for 1 min 1 s"
    ]


def test_an_outage_of_which_no_reason_was_noted_yet_is_told_all_the_same() -> None:
    node = Node()
    node.gauges["breaker_open"] = 1.0

    assert worries(node.told) == ["the origin is away: unknown"]


# What is shown.


def test_the_figures_of_the_page_are_told_in_lines() -> None:
    node = Node(processes=(FRONT,))
    node.counters.answers.update(hit=3_000, miss=5)
    node.counters.growths, node.counters.woken = 2, 10_000
    node.counters.writes["2xx"] += 9
    node.counters.bytes_out = 3 << 20
    node.counters.origin_requests["follow"] += 7
    node.counters.origin_faults["origin-timeout"] += 3
    last = node.clock.wall() - 61.0
    node.faults["origin"] = {"origin-timeout": FaultRun(last, last)}
    text = "\n".join(lines(node.told))

    for words in (
        "pop-fra-1  ds-edge 1.2.3  up 1 min  ready",
        "all 70, sse 50, long-poll 20",
        "5,000 viewers for each event (2 events)",
        "hit 3,000, miss 5",
        "writes     2xx 9",
        "3.0 MiB to clients",
        "up; requests follow 7; faults origin-timeout 3",
        "viewers 70 %",
        "front-0    pid 4711",
        "origin: origin-timeout, 3 times, last 1 min 1 s ago",
    ):
        assert words in text
    assert "disk" not in text


def test_what_happened_once_is_told_so() -> None:
    fault = {"kind": "refused", "reason": "handed", "times": 1, "last": 58.0}

    assert fault_of(fault, {"time": 60.0}) == "refused: handed, once 2 s ago"


def test_a_limit_that_is_nearly_met_stands_out() -> None:
    node = Node()
    node.gauges |= {"connections": 95.0, "connections_limit": 100.0}

    assert "CONNECTIONS 95 %" in "\n".join(lines(node.told))


def test_the_last_reload_is_told_with_why_it_was_not_taken() -> None:
    node = Node()
    at = node.clock.wall()
    node.reloads = node.reloads.begun(at - 91.0).refused(
        at - 90.0, Reason.SETTINGS_REFUSED, ["edge.yaml:2: live.lingr: \x1bwhat?"]
    )
    told = "\n".join(lines(node.told))

    assert "reload " not in "\n".join(lines(Node().told))
    assert "reload     refused 1 min 30 s ago; edge.yaml:2: live.lingr: ?what?" in told


def test_a_document_of_another_version_is_shown_as_far_as_it_goes() -> None:
    assert "NOT READY" in "\n".join(lines({}))
    assert worries({}) == ["not ready: None"]
    assert "stream" in printed(Told({}, {}))
    told = {"viewers": 7, "limits": [], "origin": None}
    assert "\n".join(lines(told)) and printed(Told(told, {}))


def test_what_comes_from_elsewhere_moves_no_cursor() -> None:
    """A path may hold anything that a client made up."""
    path = "/v1/stream/\x1b[2J[red]x[/red]"
    streams = {"streams": [{"path": path, "viewers": 1}]}
    shown = printed(Told(Node().told, streams))

    assert "\x1b" not in shown and "/v1/stream/?[2J[red]x[/red]" in shown
    assert clean("a\nb\x9b") == "a?b?"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (90_061, "1 d 1 h")],
)
def test_times_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB")]
)
def test_sizes_are_told_as_people_write_them(octets: int, text: str) -> None:
    assert size(octets) == text


# Rates.


def test_two_documents_make_rates() -> None:
    node = Node()
    before = node.told
    node.clock.move(2.0)
    node.counters.answers["hit"] += 10
    node.counters.delivered += 1_000
    node.counters.growths, node.counters.woken = 2, 900
    after = node.told
    found = rates(before, after)

    assert found is not None
    assert (found.answers, found.delivered, found.woken) == (5.0, 500.0, 450.0)
    assert "500" in printed(Told(after, {}), Told(before, {}))


def test_a_worker_that_was_replaced_makes_no_rates() -> None:
    """Its successor counts from the beginning."""
    node = Node()
    node.counters.delivered = 7
    before = node.told
    node.clock.move(1.0)
    node.counters.delivered = 5

    assert rates(before, node.told) is None
    assert rates(before, before) is None


# Before a running edge.


@pytest.fixture(scope="module")
def running() -> Iterator[Edge]:
    """An edge whose one stream was read twice."""
    with service(admin={"token": TOKEN}) as served:
        text = {"content_type": "text/plain"}
        assert ask(served.url + PATH, "PUT", b"<one>", **text)[0] == 201
        for _ in range(2):
            assert ask(f"{served.url}{PATH}?offset=-1")[0] == 200
        yield served


def run(running: Edge, *words: str) -> subprocess.CompletedProcess[str]:
    command = ds_edge(*words, "-c", str(running.config))
    return subprocess.run(command, capture_output=True, text=True)


def test_status_shows_a_running_edge_for_people_and_for_programs(running: Edge) -> None:
    shown, as_json = run(running, "status"), run(running, "status", "--json")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "ready" in shown.stdout.splitlines()[0]
    told: dict[str, Any] = json.loads(as_json.stdout)
    assert told["ready"] and told["streams"] == 1
    assert TOKEN not in shown.stdout + as_json.stdout


def test_top_prints_once_where_there_is_no_terminal(running: Edge) -> None:
    done = run(running, "top", "--sort", "requests")

    assert done.returncode == 0
    assert PATH in done.stdout and "requests ▼" in done.stdout
    assert KEYS_TOLD not in done.stdout


def test_top_is_live_and_obeys_keys(running: Edge) -> None:
    """And leaves the terminal as it was."""
    ours, theirs = pty.openpty()
    command = ds_edge("top", "-c", str(running.config))
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as process:
        os.close(theirs)
        shown = until_shown(ours, b"", "viewers ▼".encode())
        shown = until_shown(ours, shown, KEYS_TOLD.encode())
        os.write(ours, b"b")
        shown = until_shown(ours, shown, "bytes ▼".encode())
        os.write(ours, b"q")
        until_shown(ours, shown, b"\x1b[?1049l")
        assert process.wait(60) == 0
    os.close(ours)


def until_shown(terminal: int, so_far: bytes, words: bytes) -> bytes:
    """All that was shown, once these words were."""
    ends = time.monotonic() + 60.0
    while words not in so_far:
        assert time.monotonic() < ends, so_far
        if select.select([terminal], [], [], 1.0)[0]:
            with suppress(OSError):
                so_far += os.read(terminal, 65536)
    return so_far


@pytest.mark.parametrize("command", ["status", "top"])
def test_an_edge_that_does_not_answer_is_not_well(command: str) -> None:
    environ = {"DS_EDGE_ADMIN__LISTEN": "unix:/nowhere/admin"}
    done = CliRunner().invoke(app, [command], env=environ)

    assert done.exit_code == 1
    assert "does not answer" in done.stderr


def test_what_answers_without_a_document_is_no_edge() -> None:
    with answering(well) as (address, _):
        done = CliRunner().invoke(
            app, ["status"], env={"DS_EDGE_ADMIN__LISTEN": address}
        )

    assert done.exit_code == 1
    assert "answers with no JSON document" in done.stderr
