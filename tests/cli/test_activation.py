"""Sockets that a service manager holds: for whom they are, and whether they fit."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.activation import refusal
from edge.settings.addresses import ListenAddress, parse_listen
from edge.supervisor.inherited import COUNT, OWNER, inherited, take_over


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[list[int], list[ListenAddress]]]:
    """A unix socket and a port, and the addresses by which ``listen`` names them."""
    path = str(tmp_path / "edge.sock")
    with socket.socket(socket.AF_UNIX) as one, socket.create_server(("", 0)) as two:
        one.bind(path)
        port = f"0.0.0.0:{two.getsockname()[1]}"
        named = [parse_listen(text) for text in (f"unix:{path}", port)]
        yield [one.fileno(), two.fileno()], named


def given_to(owner: int, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWNER, str(owner))
    monkeypatch.setenv(COUNT, count)


def test_sockets_begin_with_file_three(monkeypatch: pytest.MonkeyPatch) -> None:
    given_to(os.getpid(), "2", monkeypatch)

    assert list(inherited()) == [3, 4]


@pytest.mark.parametrize("count", ["", "two", "-1"])
def test_what_is_no_number_of_sockets_is_none(
    count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_to(os.getpid(), count, monkeypatch)

    assert not inherited()


def test_sockets_for_another_process_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_to(1, "1", monkeypatch)
    take_over()

    assert not inherited()


def test_a_child_takes_over_what_was_its_parent_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_to(os.getppid(), "1", monkeypatch)
    take_over()

    assert list(inherited()) == [3]


def test_sockets_that_the_settings_name_are_taken(
    held: tuple[list[int], list[ListenAddress]],
) -> None:
    assert refusal(*held) is None


def test_others_and_another_order_are_refused(
    held: tuple[list[int], list[ListenAddress]],
) -> None:
    files, named = held
    others = (named[:1], named[::-1], [*named, parse_listen("127.0.0.1:1")])
    for listen in others:
        why = refusal(files, listen)
        assert why is not None
        assert why.startswith(f"the service manager listens at {named[0]}, {named[1]}:")
