"""Servers to compare with: their settings, the floor, and one short real run.

nginx and Varnish are no part of the tests, which run where they are not installed;
the benchmark proves each of them before it measures.
"""

import pytest

from tests.bench.cases import FanoutCase, Plan
from tests.bench.measure import Bench, origin
from tests.bench.peers import (
    FEW_THREADS,
    HERE,
    PEERS,
    THREAD_FOR_EACH,
    Peer,
    Work,
    filled,
    varnish_command,
)
from tests.support.talk import Talk, ask


def test_each_word_of_a_template_is_replaced() -> None:
    assert filled("listen @listen@; # @listen@", {"listen": "80"}) == "listen 80; # 80"


def test_a_word_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="listen"):
        filled("listen @listen@;", {"folder": "/tmp"})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nginx.conf", ("folder", "origin", "listen", "files", "more")),
        ("passing.conf", ("folder", "origin", "listen", "files")),
        ("varnish.vcl", ("host", "port")),
    ],
)
def test_a_configuration_has_exactly_the_words_that_are_filled_in(
    name: str, words: tuple[str, ...]
) -> None:
    text = (HERE / name).read_text()

    made = filled(text, {word: f"<{word}>" for word in words})

    assert all(f"<{word}>" in made for word in words)


@pytest.mark.parametrize(
    ("work", "threads"),
    [(Work.LONG_POLL, FEW_THREADS), (Work.SSE, THREAD_FOR_EACH)],
)
def test_varnish_has_a_thread_for_each_viewer_only_where_it_needs_one(
    work: Work, threads: dict[str, str]
) -> None:
    command = varnish_command(HERE, "127.0.0.1:1", work)

    set_ = dict(word.split("=") for word in command if word.startswith("thread_pool_"))
    assert set_ == threads


def test_a_server_whose_program_is_not_installed_says_how_to_get_it() -> None:
    start = PEERS["edge"].start
    absent = Peer("absent", start, str, shares=True, needs=("no-such-program", "ask"))

    assert absent.missing() == "ask"
    assert PEERS["edge"].missing() is None


def test_the_floor_serves_ranges_of_the_size_in_their_path() -> None:
    with PEERS["floor"].start("", Work.HITS) as floor:
        for size in (1024, 5_000_000):
            status, _, body = ask(f"{floor.url}/v1/stream/hits-{size}?offset=-1")
            assert (status, len(body)) == (200, size)


def test_the_floor_wakes_whoever_waits() -> None:
    with PEERS["floor"].start("", Work.SSE) as floor:
        url = f"{floor.url}/v1/stream/a"
        _, made, _ = ask(url, "PUT")
        start = f"{url}?offset={made['stream-next-offset']}&live="
        with Talk(f"{start}long-poll") as poll, Talk(f"{start}sse") as stream:
            assert stream.head()[0] == 200
            stream.until(b"streamNextOffset")
            ask(url, "POST", b"news")
            _, fields, body = poll.answer()
            assert b"data: news" in stream.until(b"news")
        again = f"{start}long-poll".replace(made["stream-next-offset"], "0" * 16)

        assert (body, fields["stream-next-offset"]) == (b"news", f"{1:016d}")
        # Who comes late does not wait for the next one.
        assert ask(again)[2] == b"news"


def test_a_short_run_of_the_edge_without_and_with_tokens() -> None:
    """Proved to share, then measured: 20 viewers, 3 events, one origin request each."""
    said: list[str] = []
    peers = ("edge", "edge-jwt")
    plan = Plan((FanoutCase(Work.LONG_POLL, 20),), peers, 1, 1, 3, warmup=0.1)

    with origin() as behind:
        bench = Bench(plan, behind, said.append)
        bench.run()

    assert [sample.peer for sample in bench.samples] == list(peers)
    for name, told in zip(peers, said, strict=False):
        assert told.startswith(f"{name}: 20 long-poll cost 1")
    for sample in bench.samples:
        assert sample.figures["delivered"] == sample.figures["expected"] == 60
        assert sample.figures["origin_requests_per_event"] == 1.0
