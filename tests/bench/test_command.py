"""The command line of the benchmarks: what is measured when who asks for what."""

from pathlib import Path

import pytest

from tests.bench.__main__ import arguments, main, plan_of, unfit
from tests.bench.cases import (
    KINDS,
    Case,
    FanoutCase,
    HitsCase,
    Plan,
    SingleCase,
    StreamsCase,
    TokensCase,
    WritesCase,
    cases,
    size,
)
from tests.bench.peers import PEERS, Work


def plan(*words: str, absent: tuple[str, ...] = ()) -> Plan:
    """What a command line asks for."""
    return plan_of(arguments().parse_args(words), dict.fromkeys(absent, "get it"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1024", 1024), ("64KiB", 65536), ("64k", 65536), ("1M", 2**20)],
)
def test_sizes_are_bytes_or_have_units(text: str, wanted: int) -> None:
    assert size(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5k", "1GB", "many"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size(text)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (HitsCase(100), "100 B"),
        (HitsCase(1024), "1 KiB"),
        (HitsCase(65536, different_heads=True), "64 KiB, all-different heads"),
        (HitsCase(2**20), "1 MiB"),
        (FanoutCase(Work.LONG_POLL, 10_000), "10,000 long-poll"),
        (FanoutCase(Work.SSE, 100), "100 SSE"),
        (StreamsCase(Work.SSE, 2_000), "2,000 streams, SSE"),
        (
            StreamsCase(Work.LONG_POLL, 9, viewers=5, lockstep=True),
            "9 streams of 5 viewers, long-poll, in lockstep",
        ),
        (
            StreamsCase(Work.SSE, 500, paced=1_000.0),
            "500 streams, SSE, 1,000 events/s",
        ),
        (
            StreamsCase(Work.SSE, 600, room=False),
            "600 streams, SSE, limits as they come",
        ),
        (WritesCase(1, 100), "1 connection, 100 B"),
        (WritesCase(32, 10_240), "32 connections, 10 KiB"),
        (SingleCase("POST"), "POST"),
        (TokensCase(200, 30.0), "200 streams of 30 events/s"),
    ],
)
def test_cases_have_names(case: Case, name: str) -> None:
    assert case.name == name


def test_everything_is_measured_where_nothing_is_said() -> None:
    asked = plan()

    assert [case.name for case in asked.hits] == [
        *("1 KiB", "1 KiB, all-different heads", "64 KiB", "1 MiB")
    ]
    assert [case.viewers for case in asked.crowds] == [100, 1000, 5000, 10000] * 2
    assert asked.peers == tuple(PEERS)
    kinds = dict.fromkeys(case.kind for case in asked.cases)
    assert tuple(kinds) == KINDS


def test_small_streams_are_measured_in_both_modes_with_one_viewer_and_a_few() -> None:
    asked = plan("--only", "streams", "--streams", "10,600")

    assert [case.name for case in asked.small] == [
        "10 streams, SSE",
        "600 streams, SSE",
        "10 streams of 5 viewers, SSE",
        "600 streams of 5 viewers, SSE",
        "10 streams, long-poll",
        "600 streams, long-poll",
        "10 streams of 5 viewers, long-poll",
        "600 streams of 5 viewers, long-poll",
        "10 streams, SSE, in lockstep",
        "600 streams, SSE, in lockstep",
        "10 streams, SSE, 1,000 events/s",
        "600 streams, SSE, 1,000 events/s",
        "600 streams, SSE, limits as they come",
    ]


def test_an_edge_is_told_how_to_follow_only_where_that_is_asked_for() -> None:
    assert plan().follow == ()
    assert plan("--follow", "sse,auto").follow == ("sse", "auto")


def test_a_part_can_be_asked_for() -> None:
    asked = plan(
        *("--only", "fanout", "--viewers", "20,30", "--peers", "varnish,edge"),
        *("--rounds", "5", "--events", "7"),
    )

    assert (asked.hits, asked.rounds, asked.events) == ([], 5, 7)
    assert asked.cases == cases(("fanout",), (), (20, 30))
    assert asked.peers == ("varnish", "edge")


def test_what_has_servers_of_its_own_is_asked_for_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--only", "tls,hits"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "scale, lockstep, tls stand alone" in capsys.readouterr().err


def test_a_quick_look_takes_less_of_everything_but_what_was_asked_for() -> None:
    quick, full = plan("--quick", "--rounds", "2"), plan()

    assert quick.rounds == 2
    assert len(quick.cases) < len(full.cases)
    assert quick.seconds < full.seconds


def test_servers_that_are_not_installed_are_left_out() -> None:
    assert "nginx" not in plan(absent=("nginx",)).peers


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sizes", "1x"), "is no size"),
        (("--viewers", "none"), "no number above 0"),
        (("--rounds", "0"), "no number above 0"),
        (("--peers", "apache"), "is none of edge, edge-jwt, nginx"),
        (("--only", "all"), "is none of hits, fanout, streams"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_right(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        plan(*words)

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "fanout", "--viewers", "99999999"), "open files"),
        (("--only", "tokens", "--peers", "varnish"), "none of edge, nginx, node"),
        (("--only", "fanout", "--plot", "bench.gif"), "--plot"),
        (("--only", "fanout", "--json", "nowhere/bench.json"), "--json: there is no"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_measured(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    asked = arguments().parse_args(words)

    assert told in (unfit(plan_of(asked, {}), asked) or "")
