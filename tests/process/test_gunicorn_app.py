"""How gunicorn is configured: each default that does not fit, pinned."""

from pathlib import Path

import pytest

from edge.process.connection_servers import MAX_REFUSED_CONNECTIONS
from edge.process.gunicorn_app import bind, gunicorn_settings
from edge.process.worker import EdgeWorker
from tests.support.options import limits, server_options


def test_gunicorn_is_told_what_this_edge_needs() -> None:
    """Strict parser, no control socket, nobody trusted, limits that answer."""
    options = server_options(
        grace=10.5, limits=limits(max_connections=100, head=1 << 20)
    )
    settings = gunicorn_settings(options)

    assert settings["worker_class"] is EdgeWorker
    assert settings["http_parser"] == "python"
    assert settings["control_socket_disable"] is True
    assert settings["forwarded_allow_ips"] == ""
    # Only the whole head has a limit.
    assert settings["limit_request_line"] == 0
    assert settings["limit_request_field_size"] == 1 << 20
    assert settings["limit_request_fields"] == 32 * 1024
    assert settings["worker_connections"] == 100 + MAX_REFUSED_CONNECTIONS
    assert settings["keepalive"] == 75
    assert settings["graceful_timeout"] > options.grace
    assert settings["accesslog"] is None


def test_a_socket_that_a_dead_process_left_is_taken_over(tmp_path: Path) -> None:
    """As gunicorn does with its own."""
    path = tmp_path / "admin"
    bind(f"unix:{path}").close()

    with bind(f"unix:{path}") as listener:
        assert listener.getsockname() == str(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A mistyped path must not cost a file."""
    path = tmp_path / "file"
    path.write_text("precious")

    with pytest.raises(RuntimeError, match="cannot listen on"):
        bind(f"unix:{path}")
    assert path.read_text() == "precious"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_both_families_of_addresses_are_taken(host: str) -> None:
    """Port 0 is any that is free."""
    with bind(f"{host}:0") as listener:
        assert listener.getsockname()[1] > 0


def test_an_address_that_is_taken_is_said_plainly() -> None:
    """gunicorn shows the message and ends."""
    with bind("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="Address already in use"):
            bind(f"127.0.0.1:{port}")
