"""What rounds say together, and how it is shown."""

import io
import json

import pytest
from rich.console import Console

from tests.bench import markdown, plot, results, tables
from tests.bench.cases import (
    Case,
    FanoutCase,
    HitsCase,
    SingleCase,
    StreamsCase,
    TokensCase,
    WritesCase,
)
from tests.bench.load.streams import Figures
from tests.bench.machine import Machine
from tests.bench.measure import Sample, between
from tests.bench.peers import Work

KIB = HitsCase(1024)
CROWD = FanoutCase(Work.LONG_POLL, 1000)
MACHINE = Machine(
    "2026-01-01 00:00 UTC", "Some CPU", 2, 8.0, "6.1", "3.11.7", (0.1, 0.2, 0.3)
)


def hits(rate: float) -> Figures:
    return {
        "kind": "hits",
        "requests_per_second": rate,
        "bytes_per_second": rate * 2000,
        "latency_ms": {"p50": 1.0, "p99": 2.5},
        "generator_cpu_share": 0.5,
    }


def fanout(last: float, reads: float | None = 1.0) -> Figures:
    return {
        "kind": "fanout",
        "first_ms": {"p50": 2.0},
        "last_ms": {"p50": last, "p99": last},
        "origin_requests_per_event": reads,
        "memory_per_viewer_kib": 1.5,
        "cpu_per_message_us": 20.0,
        "generator_us_per_message": 8.0,
        "generator_cpu_share": 0.3,
    }


def streams(kind: str, rate: float, **more: float | None) -> Figures:
    told: Figures = {
        "kind": kind,
        "delivered_per_second": rate,
        "delivered": 100,
        "expected": 100,
        "latency_ms": {"p50": 1.5, "p99": 20.25},
        "cpu_per_event_us": 400.0,
        "origin_cpu_per_event_us": 100.0,
        "events_per_reception": 1.0,
        "origin_connections": 500,
        "max_followers": 512,
        "refused": 0,
        "short": 0,
        "generator_us_per_event": 30.0,
        "generator_cpu_share": 0.1,
    }
    return told | more


def writes(rate: float) -> Figures:
    return {
        "kind": "writes",
        "requests_per_second": rate,
        "latency_ms": {"p50": 0.5, "p99": 12.5},
        "cpu_per_request_us": 300.0,
        "origin_cpu_per_request_us": 90.0,
    }


def single(p50: float, added: float) -> Figures:
    return {"kind": "single", "ms": {"p50": p50, "p99": 9.0}, "added_ms": added}


SMALL = StreamsCase(Work.SSE, 500)
LOWER = StreamsCase(Work.SSE, 2_000, room=False)
WRITES = WritesCase(1, 100)
TOKENS = TokensCase(200, 30.0)
POST = SingleCase("POST")


def small_rows() -> list[results.Row]:
    """One case of each of the small kinds."""
    alone: dict[str, float | None] = {"origin_connections": None, "max_followers": None}
    taken = samples(
        SMALL, edge=[streams("streams", 1200)], node=[streams("streams", 3000, **alone)]
    )
    refusals = streams("streams", 300, delivered=40, short=70, events_per_reception=2.5)
    taken += samples(LOWER, edge=[refusals])
    taken += samples(WRITES, edge=[writes(1_000)], nginx=[writes(4_000)])
    taken += samples(TOKENS, edge=[{"kind": "tokens", "error": "event 3 was lost"}])
    taken += samples(POST, node=[single(0.2, 0.0)], edge=[single(0.8, 0.6)])
    return results.rows(taken, [SMALL, LOWER, WRITES, TOKENS, POST])


def samples(case: Case, **rounds: list[Figures]) -> list[Sample]:
    """What each server said, round by round."""
    return [
        Sample(number, case, peer, told)
        for peer, all_told in rounds.items()
        for number, told in enumerate(all_told)
    ]


def shown(found: list[results.Row]) -> str:
    """What a terminal would show."""
    paper = io.StringIO()
    console = Console(file=paper, width=tables.WIDTH)
    absent = {"varnish": "Debian: apt-get install varnish"}
    tables.show(console, MACHINE, {"edge": "0.1.0", "nginx": "1.22.1"}, absent, found)
    return paper.getvalue()


def test_a_figure_is_the_median_of_the_rounds() -> None:
    taken = samples(KIB, edge=[hits(90), hits(300), hits(100)])

    (row,) = results.rows(taken, [KIB])

    assert row.medians["requests_per_second"] == 100
    assert row.medians["p99_ms"] == 2.5
    assert row.ratio is None


def test_more_requests_are_better_and_the_spread_is_taken_round_by_round() -> None:
    """What disturbs a round meets both: the single ratios are the same."""
    taken = samples(KIB, edge=[hits(200), hits(20)], nginx=[hits(100), hits(10)])

    _, nginx = results.rows(taken, [KIB])

    assert (nginx.ratio, nginx.least, nginx.most) == (2, 2, 2)


def test_a_last_viewer_who_comes_sooner_is_better() -> None:
    taken = samples(CROWD, edge=[fanout(10)], varnish=[fanout(40)])

    _, varnish = results.rows(taken, [CROWD])

    assert varnish.ratio == 4


def test_a_round_that_failed_is_told_and_does_not_count() -> None:
    broken: Figures = {"kind": "fanout", "error": "999 of 1000 viewers came"}
    taken = samples(CROWD, edge=[fanout(10)], node=[fanout(30), broken])

    _, node = results.rows(taken, [CROWD])

    assert node.medians["last_ms"] == 30
    assert results.remarks([node]) == [
        "1,000 long-poll: node: failed: 999 of 1000 viewers came"
    ]


def test_a_server_that_failed_in_every_round_has_no_figures_and_no_ratio() -> None:
    broken: Figures = {"kind": "fanout", "error": "refused"}
    taken = samples(CROWD, edge=[fanout(10)], node=[broken])

    _, node = results.rows(taken, [CROWD])

    assert (node.medians["last_ms"], node.ratio) == (None, None)
    assert "refused" in shown([node])


def test_a_busy_generator_is_told_of_but_for_the_floor() -> None:
    """The floor is there to show it."""
    busy = hits(100) | {"generator_cpu_share": 0.97}
    found = results.rows(samples(KIB, edge=[busy], floor=[busy]), [KIB])

    assert results.remarks(found) == [
        "1 KiB: edge: the generator was busy (97% of its core)"
    ]


def test_a_crowd_that_is_not_shared_is_told_of() -> None:
    found = results.rows(samples(CROWD, nginx=[fanout(300, reads=12.0)]), [CROWD])

    assert "12 origin requests an event" in results.remarks(found)[0]


@pytest.mark.parametrize(
    ("reads", "average"),
    [
        # While they came: 9; after the event that does not count: 7.
        ([9, 7, 1, 1, 1, 5], 1.0),
        ([9, 7, 1, 2, 5], 1.5),
        # Nothing lies between one event that counts and the next.
        ([9, 7, 5], None),
        ([9], None),
        ([], None),
    ],
)
def test_only_reads_between_two_events_belong_to_one(
    reads: list[int], average: float | None
) -> None:
    assert between(reads) == average


def test_the_tables_name_the_machine_the_versions_and_what_is_missing() -> None:
    taken = samples(KIB, edge=[hits(150_000)], nginx=[hits(75_000)])
    taken += samples(CROWD, edge=[fanout(12.5)], nginx=[fanout(250)])

    text = shown(results.rows(taken, [KIB, CROWD]))

    for words in ("2 cores of Some CPU", "load before: 0.10", "nginx: 1.22.1"):
        assert words in text
    assert "varnish: left out, not installed (Debian: apt-get install" in text
    for cell in ("150,000", "2.00", "250.0", "20.00", "1,000 long-poll"):
        assert cell in text


def test_a_server_that_is_not_asked_for_something_is_told_with_the_reason() -> None:
    crowd = FanoutCase(Work.SSE, 100)
    found = results.rows(samples(crowd, edge=[fanout(3)]), [crowd])

    assert "nginx: not asked for SSE: cannot share" in shown(found)


def test_small_streams_writes_and_single_requests_have_tables_too() -> None:
    text = shown(small_rows())

    for cell in ("1,200", "0.40", "1,000", "0.25", "0.600", "20.2", "512"):
        assert cell in text
    assert "! 200 streams of 30 events/s: edge: failed: event 3 was lost" in text
    assert "edge: viewers were refused 70 times; 40 of 100 events" in text


def test_markdown_has_a_row_for_each_case_and_a_column_for_each_server() -> None:
    lines = markdown.lines(small_rows())

    assert lines[0].endswith("| edge | node |")
    assert lines[2:4] == [
        "| 500 streams, SSE | **1,200**; 400 + 100; 1.50, 20.2 "
        "(500 connections, max_followers 512) | **3,000**; 400; 1.50, 20.2 |",
        "| 2,000 streams, SSE, limits as they come | **300**; 400 + 100; 1.50, 20.2; "
        "2.5 at once (500 connections, max_followers 512, 70 refusals, 40 of 100 "
        "delivered) |  |",
    ]
    assert (
        "| 1 connection, 100 B | **1,000**; 300 + 90; 0.50, 12.5 "
        "| **4,000**; 300 + 90; 0.50, 12.5 |"
    ) in lines
    assert "| POST | 0.20 | **+0.60** (0.80) |" in lines
    assert "| 200 streams of 30 events/s | no: event 3 was lost |" in lines


def test_token_streams_say_what_the_load_took() -> None:
    taken = samples(TOKENS, nginx=[streams("tokens", 2_000, max_followers=None)])

    assert markdown.lines(results.rows(taken, [TOKENS]))[2] == (
        "| 200 streams of 30 events/s | **2,000**; 400 + 100; 1.50, 20.2 "
        "(500 connections); 30 for the load |"
    )


def test_each_kind_has_a_panel_in_the_picture() -> None:
    found = small_rows()

    titles = [title for title, _ in plot.panels_of(found)]
    assert titles == ["small streams", "writes", "token streams", "single requests"]
    assert plot.bars(found[:3], "delivered_per_second") == {
        "edge": [1200, 300],
        "node": [3000, 0],
    }


def test_the_document_is_json_and_holds_everything() -> None:
    taken = samples(KIB, edge=[hits(10)]) + samples(CROWD, edge=[fanout(3)])
    found = results.rows(taken, [KIB, CROWD])

    made = results.document(MACHINE, {"edge": "0.1.0"}, {}, found, taken)
    told = json.loads(json.dumps(made))

    assert set(told) == {
        *("schema", "machine", "versions", "absent", "rows", "samples")
    }
    hit, crowd = told["rows"]
    assert (hit["kind"], hit["size"], hit["different_heads"]) == ("hits", 1024, False)
    assert (crowd["kind"], crowd["work"], crowd["viewers"]) == (
        *("fanout", "long-poll", 1000),
    )
    assert set(crowd["medians"]) == set(results.METRICS["fanout"])
    assert told["samples"][1]["figures"]["last_ms"] == {"p50": 3, "p99": 3}


def test_the_picture_has_a_bar_for_each_server_and_a_line_by_viewers() -> None:
    large, more = HitsCase(65536), FanoutCase(Work.LONG_POLL, 5000)
    taken = samples(KIB, edge=[hits(10)], nginx=[hits(5)])
    taken += samples(large, edge=[hits(3)])
    taken += samples(CROWD, edge=[fanout(4)]) + samples(more, edge=[fanout(20)])

    found = results.rows(taken, [KIB, large, CROWD, more])

    assert plot.bars(found[:3]) == {"edge": [10, 3], "nginx": [5, 0]}
    assert plot.lines(found[3:]) == {"edge": [(1000, 4), (5000, 20)]}
