"""Room for open files, and addresses that can be listened at."""

import resource
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli import preflight
from edge.cli.preflight import RESERVE, FilePlan, plan_files, refusal
from edge.settings import OriginSettings, Settings
from edge.settings.addresses import Address

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "plan"),
    [
        pytest.param(1024, 2**20, FilePlan(51_256, 50_000), id="room for all"),
        pytest.param(1024, UNLIMITED, FilePlan(51_256, 50_000), id="no hard limit"),
        pytest.param(1024, 4096, FilePlan(4096, 2840), id="capped to the hard limit"),
        pytest.param(2**20, 2**20, FilePlan(2**20, 50_000), id="never lowered"),
        pytest.param(UNLIMITED, UNLIMITED, FilePlan(UNLIMITED, 50_000), id="endless"),
        pytest.param(512, 512, FilePlan(512, -744), id="no room at all"),
    ],
)
def test_the_soft_limit_is_raised_to_what_is_of_use(
    soft: int, hard: int, plan: FilePlan
) -> None:
    assert plan_files(soft, hard, connections=50_000, upstream=1000) == plan


def test_a_small_edge_is_still_given_twenty_thousand_files() -> None:
    assert plan_files(1024, 2**20, 10, 10) == FilePlan(20_000, 10)


@given(
    st.integers(64, 10**6), st.integers(64, 10**6), st.integers(1, 10**6),
    st.integers(1, 10**5),
)  # fmt: skip
def test_what_fits_is_never_more_than_files_or_than_asked_for(
    soft: int, hard: int, connections: int, upstream: int
) -> None:
    plan = plan_files(min(soft, hard), hard, connections, upstream)

    assert plan.connections <= connections
    assert plan.connections + upstream + RESERVE <= plan.soft
    assert min(soft, hard) <= plan.soft <= hard


def test_the_cap_is_put_into_the_settings_and_nothing_else_changes() -> None:
    settings = Settings(origin=OriginSettings(url="http://127.0.0.1:4437"))

    capped = preflight.with_connections(settings, 7)

    assert capped.limits.connections == 7
    assert preflight.with_connections(capped, 50_000) == settings


def test_a_free_port_can_be_listened_at() -> None:
    assert refusal(Address("127.0.0.1", 0)) is None


def test_a_port_that_somebody_listens_at_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])

        assert refusal(address) == "is in use by another process"

    assert refusal(address) is None


def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    assert refusal(Address("192.0.2.1", 0)) == (
        "cannot be listened at: Cannot assign requested address"
    )


def test_a_socket_file_that_nobody_answers_at_is_left_over(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "edge.sock"))
    assert refusal(address) is None

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address.path)
        server.listen()
        assert refusal(address) == "is in use by another process"

    assert refusal(address) is None


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("keep me")

    assert refusal(Address(path=str(file))) == (
        "cannot be listened at: a file that is no socket is there"
    )


def test_a_socket_needs_a_folder(tmp_path: Path) -> None:
    missing = tmp_path / "none"

    assert refusal(Address(path=str(missing / "edge.sock"))) == (
        f"cannot be listened at: no writable folder {missing}"
    )
