"""How many processes there are, and what each has of what is the node's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Role
from edge.settings import Settings, load, processes
from edge.settings.processes import ProcessCounts, counts_of, in_place, settled
from edge.settings.units import MiB

HTTP = {"ORIGIN__URL": "http://origin.example"}


def of(**variables: str) -> Settings:
    given = HTTP | variables
    return load(None, {f"DS_EDGE_{name}": text for name, text in given.items()})


def automatic(cores: int, **variables: str) -> ProcessCounts:
    return counts_of(settled(of(WORKERS="auto", **variables), cores))


ROOM = {"CACHE__MEMORY": "4GiB"}


@pytest.mark.parametrize(
    ("cores", "workers", "keepers"),
    [(1, 1, 0), (2, 2, 1), (4, 4, 1), (7, 7, 1), (8, 8, 2), (96, 8, 2)],
)
def test_there_is_a_front_for_each_core_and_a_keeper_for_four(
    cores: int, workers: int, keepers: int
) -> None:
    """W13. A container with half a core has one worker, and no keeper."""
    assert automatic(cores, **ROOM) == (workers, keepers)


def test_there_are_fewer_where_the_memory_would_not_do() -> None:
    """Each share holds two large objects."""
    assert automatic(8) == (2, 1)
    assert automatic(8, CACHE__MEMORY="128MiB") == (1, 0)
    assert automatic(8, CACHE__MEMORY="1GiB", CACHE__MAX_OBJECT="1MiB") == (8, 2)


def test_a_container_is_asked_for_no_more_than_it_has() -> None:
    """Half a core and 256 MiB start and serve, with nothing set."""
    small = settled(of(WORKERS="auto"), 1, 256 * MiB)
    assert counts_of(small) == (1, 0) and small.cache.memory == 64 * MiB
    assert processes.bound_fault(small, counts_of(small), 256 * MiB) is None
    tiny = settled(of(WORKERS="auto"), 1, 32 * MiB)
    assert tiny.cache.memory == tiny.cache.max_object
    large = settled(of(WORKERS="auto"), 4, 64 << 30)
    assert large.cache.memory == 256 * MiB
    many = {"CACHE__MEMORY": "512MiB", "CACHE__MAX_OBJECT": "1MiB", "WORKERS": "auto"}
    assert counts_of(settled(of(**many), 8, 1 << 30)) == (7, 1)
    assert counts_of(settled(of(**many), 8, 700 * MiB)) == (1, 0)


def test_what_was_set_is_taken_as_it_is_and_may_be_too_much() -> None:
    given = settled(of(WORKERS="2", CACHE__MEMORY="256MiB"), 1, 256 * MiB)
    assert given.cache.memory == 256 * MiB and counts_of(given) == (2, 1)
    why = processes.bound_fault(given, counts_of(given), 256 * MiB)
    assert why is not None and "this container has 256MiB" in why
    assert processes.bound_fault(given, counts_of(given), None) is None


def test_a_number_is_taken_as_it_is() -> None:
    assert counts_of(settled(of(WORKERS="2", KEEPERS="3"), 1)) == (2, 3)
    assert counts_of(settled(of(WORKERS="2"), 16)) == (2, 1)
    assert automatic(1, KEEPERS="2") == (1, 0)
    assert automatic(4, KEEPERS="2", **ROOM) == (4, 2)


@given(
    cores=st.integers(1, 200),
    memory=st.integers(32, 4096),
    connections=st.integers(8, 2000),
    keepers=st.sampled_from(["auto", "1", "5", "64"]),
)
def test_auto_never_asks_for_more_than_there_is(
    cores: int, memory: int, connections: int, keepers: str
) -> None:
    """And all shares together are no more than the whole."""
    settings = settled(
        of(
            WORKERS="auto",
            KEEPERS=keepers,
            CACHE__MEMORY=f"{memory}MiB",
            ORIGIN__CONNECTIONS=str(connections),
            ORIGIN__MAX_FOLLOWERS=str(connections // 2),
        ),
        cores,
    )
    counts = counts_of(settings)

    assert counts.workers <= max(1, min(cores, 8))
    assert processes.share_fault(settings, counts) is None
    assert processes.origin_fault(settings, counts) is None
    if not counts.alone:
        front, keeper = in_place(settings, Role.FRONT), in_place(settings, Role.KEEPER)
        held = (
            front.cache.memory * counts.workers + keeper.cache.memory * counts.keepers
        )
        assert held <= memory * MiB
        assert min(front.cache.memory, keeper.cache.memory) >= 32 * MiB
        assert keeper.origin.connections * counts.keepers <= connections
        assert keeper.origin.write_connections >= 1


def test_one_worker_has_all_there_is() -> None:
    settings = settled(of(), 8)

    assert in_place(settings, Role.WORKER) is settings
    assert processes.upstream_files(settings) == settings.origin.connections
    assert processes.keeper_files(settings) == 0


def test_a_keeper_bounds_no_client() -> None:
    """W13: its fronts have done that, and each of them is many."""
    settings = settled(of(WORKERS="2", LIMITS__MAX_BODY="1MiB"), 1)
    keeper, front = in_place(settings, Role.KEEPER), in_place(settings, Role.FRONT)

    assert keeper.limits.viewers > settings.limits.viewers
    assert keeper.limits.relays_per_client > settings.limits.relays_per_client
    assert keeper.limits.max_body is None and keeper.limits.denied_per_client is None
    assert front.limits == settings.limits
