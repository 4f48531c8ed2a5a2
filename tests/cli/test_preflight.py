"""Addresses that can be listened at, and a cap on connections."""

import socket
from pathlib import Path

from edge.cli import preflight
from edge.cli.open_files import FilePlan
from edge.cli.preflight import refusal
from edge.settings import OriginSettings, Settings
from edge.settings.addresses import ListenAddress


def test_the_cap_is_put_into_the_settings_and_nothing_else_changes() -> None:
    settings = Settings(origin=OriginSettings(url="http://127.0.0.1:4437"))

    capped = preflight.with_connections(settings, FilePlan(1000, 14, 7))

    assert (capped.limits.connections, capped.limits.connections_each) == (14, 7)
    assert settings.limits.connections_each == settings.limits.connections
    before, after = settings.model_dump(), capped.model_dump()
    assert after["limits"].pop("connections") != before["limits"].pop("connections")
    assert before == after


def test_a_free_port_can_be_listened_at() -> None:
    assert refusal(ListenAddress("127.0.0.1", 0)) is None


def test_a_port_that_somebody_listens_at_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ListenAddress("127.0.0.1", taken.getsockname()[1])

        assert refusal(address) == "is in use by another process"

    assert refusal(address) is None


def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    assert refusal(ListenAddress("192.0.2.1", 0)) == (
        "cannot be listened at: Cannot assign requested address"
    )


def test_a_socket_file_that_nobody_answers_at_is_left_over(tmp_path: Path) -> None:
    address = ListenAddress(path=str(tmp_path / "edge.sock"))
    assert refusal(address) is None

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address.path)
        server.listen()
        assert refusal(address) == "is in use by another process"

    assert refusal(address) is None


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("keep me")

    assert refusal(ListenAddress(path=str(file))) == (
        "cannot be listened at: a file that is no socket is there"
    )


def test_a_socket_needs_a_folder(tmp_path: Path) -> None:
    missing = tmp_path / "none"

    assert refusal(ListenAddress(path=str(missing / "edge.sock"))) == (
        f"cannot be listened at: no writable folder {missing}"
    )
