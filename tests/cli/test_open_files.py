"""Room for open files: what the limit is raised to, and what then fits."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.admin.server import MAX_CONNECTIONS
from edge.cli.open_files import (
    ADMIN,
    REFUSED,
    RESERVE,
    FileNeed,
    FilePlan,
    plan_files,
    refusal,
)
from edge.process.connection_servers import MAX_REFUSED_CONNECTIONS

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "plan"),
    [
        pytest.param(1024, 2**20, FilePlan(51_384, 50_000, 50_000), id="room for all"),
        pytest.param(
            1024, UNLIMITED, FilePlan(51_384, 50_000, 50_000), id="no hard limit"
        ),
        pytest.param(
            1024, 4096, FilePlan(4096, 2712, 2712), id="capped to the hard limit"
        ),
        pytest.param(2**20, 2**20, FilePlan(2**20, 50_000, 50_000), id="never lowered"),
        pytest.param(
            UNLIMITED, UNLIMITED, FilePlan(UNLIMITED, 50_000, 50_000), id="endless"
        ),
        pytest.param(512, 512, FilePlan(512, -872, -872), id="no room at all"),
    ],
)
def test_the_soft_limit_is_raised_to_what_is_of_use(
    soft: int, hard: int, plan: FilePlan
) -> None:
    assert plan_files(soft, hard, connections=50_000, need=FileNeed(1000)) == plan


def test_a_small_edge_is_still_given_twenty_thousand_files() -> None:
    assert plan_files(1024, 2**20, 10, FileNeed(10)) == FilePlan(20_000, 10, 10)


@given(
    st.integers(64, 10**6), st.integers(64, 10**6), st.integers(1, 10**6),
    st.integers(1, 10**5), st.integers(1, 8),
)  # fmt: skip
def test_what_fits_is_never_more_than_files_or_than_asked_for(
    soft: int, hard: int, connections: int, upstream: int, fronts: int
) -> None:
    need = FileNeed(upstream, fronts)
    plan = plan_files(min(soft, hard), hard, connections, need)

    assert max(plan.connections, plan.each) <= connections
    assert plan.each + upstream + RESERVE <= plan.soft
    assert plan.connections <= fronts * plan.each
    assert min(soft, hard) <= plan.soft <= hard


def test_a_node_has_as_many_connections_as_all_its_fronts_bear() -> None:
    """Each has the same files; where all fit into one, one may have them all."""
    tight, need = 20_000, FileNeed(2_048, servers=2, keeper=3_072)

    assert plan_files(1024, tight, 50_000, need) == FilePlan(tight, 35_136, 17_568)
    assert plan_files(1024, tight, 20_000, need) == FilePlan(tight, 20_000, 17_568)
    assert plan_files(1024, tight, 10_000, need) == FilePlan(tight, 10_000, 10_000)


def test_a_keeper_may_need_more_files_than_a_front() -> None:
    need = FileNeed(64, servers=9, keeper=30_000)
    plan = plan_files(1024, 2**20, 1_000, need)

    assert plan.soft == 30_000 + RESERVE and refusal(plan, need.keeper) is None
    low = plan_files(1024, 20_000, 1_000, need)
    assert low.connections == 1_000
    assert "20000 open files are too few for a keeper" in (refusal(low, 30_000) or "")


def test_there_is_room_for_refusals_and_for_operators() -> None:
    """Else the edge would run out of files before it could say that it is full."""
    assert REFUSED == MAX_REFUSED_CONNECTIONS
    assert ADMIN == MAX_CONNECTIONS
