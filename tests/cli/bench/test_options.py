"""What is asked wrongly is told at once; what people read fits what programs read."""

import socket

import pytest

from edge.cli.bench.costs import origin_reads
from edge.cli.streams.address import address
from edge.cli.streams.exit_faults import Fault
from tests.cli.bench.conftest import SMALL, Bench
from tests.cli.bench.trivial import Trivial, serving

NOBODY = "http://127.0.0.1:9/stream"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fanout", "x"), "error: URL: expected http://HOST/PATH"),
        (
            ("hits", "https://127.0.0.1:9/", "--generator", "own"),
            "error: --generator: our own client speaks no TLS",
        ),
        (("fanout", NOBODY + "?offset=-1"), "error: URL: leave out offset"),
        (("fanout", NOBODY, "--write-to", "x"), "error: --write-to: expected http://"),
        (("fanout", NOBODY, "--metrics", "x"), "error: --metrics: expected http://"),
        (
            ("fanout", NOBODY, "--header", "x"),
            "error: --header: expected 'Name: value'",
        ),
        (
            ("fanout", NOBODY, "--tokens", "/nowhere"),
            "error: --tokens: /nowhere cannot",
        ),
        (("fanout", NOBODY, "--tokens", __file__), "has not one bearer token a line"),
        (("fanout", NOBODY, "--pid", "999999999"), "error: --pid: there is no process"),
        (("fanout", NOBODY, "--viewers", "0"), "'--viewers'"),
        (("fanout", NOBODY, "--mode", "push"), "'--mode'"),
        (("fanout", NOBODY, "--size", "1"), "'--size'"),
        (("fanout", NOBODY, "--rate", "0"), "'--rate'"),
        (("hits", "ftp://x"), "error: URL: expected http://HOST/PATH"),
        (("hits", NOBODY, "--generator", "ab"), "'--generator'"),
        (("hits", NOBODY, "--seconds", "0"), "'--seconds'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    bench: Bench, words: tuple[str, ...], told: str
) -> None:
    result = bench(*words)

    assert result.code == 2
    assert told in result.err
    assert result.out == ""


@pytest.mark.parametrize("command", ["fanout", "hits"])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        (NOBODY, "127.0.0.1:9: Connection refused"),
        ("http://name.invalid/", "name.invalid: the host's name cannot be resolved"),
    ],
)
def test_a_server_that_is_not_there_is_told_in_both_ways(
    bench: Bench, command: str, url: str, told: str
) -> None:
    result = bench(command, url, "--json")

    assert result.code == 1
    assert result.data == {"kind": command, "error": told}
    assert result.err == f"error: {told}\n"


def test_metrics_are_asked_before_anybody_comes(bench: Bench) -> None:
    with serving(Trivial()) as server:
        words = ("--metrics", server.url, *SMALL)
        result = bench("fanout", server.url, *words)

    assert result.code == 1
    assert result.err == "error: --metrics: these are not an edge's metrics\n"
    assert server.asked == []


def test_metrics_that_are_not_there_are_told() -> None:
    with pytest.raises(Fault, match=r"--metrics: 127\.0\.0\.1:9: Connection refused"):
        origin_reads(address("http://127.0.0.1:9/metrics"))


def test_a_person_gets_a_table(bench: Bench) -> None:
    with serving(Trivial()) as server:
        url = server.url
        result = bench("fanout", url, *SMALL)

    lines = result.out.splitlines()
    assert lines[0] == (
        f"20 long-poll viewers of {url}, 3 events of 100 bytes at 1000 a second"
    )
    assert lines[1].split() == ["milliseconds", "p50", "p90", "p99", "p99.9", "max"]
    assert [line[:16].strip() for line in lines[2:6]] == [
        *("first viewer", "each viewer", "last viewer", "append's answer")
    ]
    assert ["delivered", "60", "of", "60"] in [line.split() for line in lines]


def test_a_header_goes_with_reads_and_writes_and_a_password_stays_hidden(
    bench: Bench,
) -> None:
    class Listens(Trivial):
        def _request(self, connection: socket.socket, request: bytes) -> None:
            heads.append(request)
            super()._request(connection, request)

    heads: list[bytes] = []
    with serving(Listens()) as server:
        url = server.url.replace("http://", "http://me:secret@")
        result = bench("fanout", url, *SMALL, "--header", "X-Team: ours", "--json")

    assert result.code == 0
    assert "secret" not in result.out + result.err
    credentials = b"basic bwu6c2vjcmv0"
    assert all(b"x-team: ours" in head.lower() for head in heads)
    assert all(credentials in head.lower() for head in heads)
