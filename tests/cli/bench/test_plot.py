"""The picture of a distribution: where it goes, what it shows, what it needs."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge.cli.bench import plot
from edge.cli.bench.quantiles import grid
from edge.cli.bench.results import FanoutFigures
from tests.cli.bench.conftest import Bench
from tests.cli.bench.trivial import Trivial, serving


def figures(times: list[float]) -> FanoutFigures:
    """A run in which so many viewers had one event."""
    return FanoutFigures(
        url="http://127.0.0.1/stream",
        mode="long-poll",
        viewers=len(times),
        events=1,
        rate=1.0,
        size=100,
        origin_requests_per_event=None,
        first_ms=None,
        last_ms=None,
        each_ms=None,
        append_ms=None,
        delivered=len(times),
        expected=len(times),
        resumed=0,
        repeated=0,
        failed=0,
        generator_cpu_share=0.5,
        generator_us_per_message=None,
        memory_per_viewer_kib=None,
        cpu_per_message_us=None,
        latencies_ms=grid(times),
    )


@pytest.mark.parametrize("suffix", ["svg", "png", "SVG"])
def test_a_plot_is_drawn_beside_the_figures(
    crowd: Bench, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"plot.{suffix}"
    with serving(Trivial()) as server:
        result = crowd(server.url, "--plot", str(file))

    assert result.code == 0, result.err
    assert result.data["delivered"] == 60
    assert f"plot: {file}" in result.err
    if suffix == "png":
        assert file.read_bytes().startswith(b"\x89PNG")
    else:
        assert ElementTree.fromstring(file.read_text()).tag.endswith("svg")


def test_the_axis_stretches_the_tail() -> None:
    assert [round(plot.place(s), 6) for s in (0, 0.9, 0.99, 0.999)] == [0, 1, 2, 3]


def test_a_line_goes_no_further_than_its_samples() -> None:
    across, up = plot.points(figures([float(n) for n in range(1, 101)]))

    assert across == sorted(across)
    assert (round(across[-1], 6), up[-1]) == (2, 100)


def test_one_sample_is_a_picture_too(tmp_path: Path) -> None:
    plot.draw(figures([1.0]), tmp_path / "plot.svg")

    assert (tmp_path / "plot.svg").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plot.pdf", "expected a name that ends in .svg or .png"),
        ("plot", "expected a name that ends in .svg or .png"),
        ("nowhere/plot.svg", "there is no folder"),
    ],
)
def test_where_no_plot_can_be_drawn_nothing_is_measured(
    crowd: Bench, tmp_path: Path, name: str, words: str
) -> None:
    with serving(Trivial()) as server:
        result = crowd(server.url, "--plot", str(tmp_path / name))

    assert result.code == 2
    assert words in result.err
    assert server.asked == []


def test_without_matplotlib_it_is_told_how_to_install_it(
    crowd: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)

    result = crowd("http://127.0.0.1:9/", "--plot", str(tmp_path / "plot.svg"))

    assert result.code == 2
    assert "pip install 'durable-streams-edge[plot]'" in result.err


def test_a_file_that_cannot_be_written_costs_the_plot_alone(
    crowd: Bench, tmp_path: Path
) -> None:
    (tmp_path / "plot.svg").mkdir()
    with serving(Trivial()) as server:
        result = crowd(server.url, "--plot", str(tmp_path / "plot.svg"))

    assert result.code == 1
    assert result.data["delivered"] == 60
    assert "Is a directory" in result.err
