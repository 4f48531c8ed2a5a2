"""The command line of the benchmarks: what is measured when who asks for what."""

from pathlib import Path

import pytest

from tests.bench.__main__ import arguments, plan_of, unfit
from tests.bench.cases import FanoutCase, HitsCase, Plan, cases, size
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
    ],
)
def test_cases_have_names(case: HitsCase | FanoutCase, name: str) -> None:
    assert case.name == name


def test_everything_is_measured_where_nothing_is_said() -> None:
    asked = plan()

    assert [case.name for case in asked.hits] == [
        *("1 KiB", "1 KiB, all-different heads", "64 KiB", "1 MiB")
    ]
    assert [case.viewers for case in asked.crowds] == [100, 1000, 5000, 10000] * 2
    assert asked.peers == tuple(PEERS)


def test_a_part_can_be_asked_for() -> None:
    asked = plan(
        *("--only", "fanout", "--viewers", "20,30", "--peers", "varnish,edge"),
        *("--rounds", "5", "--events", "7"),
    )

    assert (asked.hits, asked.rounds, asked.events) == ([], 5, 7)
    assert asked.cases == cases("fanout", (), (20, 30))
    assert asked.peers == ("varnish", "edge")


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
        (("--only", "all"), "invalid choice"),
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
