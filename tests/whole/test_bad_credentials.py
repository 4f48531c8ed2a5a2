"""A hostile client behind the same address as honest ones, with real processes (B18).

A3, A19, W17. All of them call from 127.0.0.1: what an office has that shares one
address.
"""

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from itertools import count

import pytest

from tests.front.edge_process import Answered
from tests.scale.nodes import Node, node
from tests.support.patience import until
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.whole.crowd import PATH, call
from tests.whole.test_access import (
    BOTH,
    WHOLE_WAY,
    bearer,
    client,
    created,
    get,
    token,
)

PAGE = "Origin: https://app.example"
SECRET_PARTS = token("mallory").rpartition(".")[0]
_numbers = count()


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


def made_up() -> str:
    """Another bad token each time."""
    return bearer(f"{SECRET_PARTS}.{next(_numbers):042}A")


def counted(running: Edge) -> float:
    """How many were told to come back later."""
    with urllib.request.urlopen(f"{running.admin}/metrics") as answer:
        text = answer.read().decode()
    name = r'ds_edge_client_faults_total\{reason="limit-denied"\} (\S+)'
    return sum(map(float, re.findall(name, text)))


def words_of(answers: list[Answered]) -> list[tuple[int, str]]:
    return [(one.status, one.problem()["reason"]) for one in answers]


ROUTES = [{"match": "/v1/stream/**", "access": BOTH}]
LIMITS = {"denied_per_client": "5/10m"}


@pytest.mark.parametrize("whole", [(), WHOLE_WAY], ids=["fast", "whole"])
def test_whoever_was_let_in_notices_nothing_and_newcomers_are_told_to_come_back(
    origin: NodeOrigin, workers: int, whole: tuple[str, ...]
) -> None:
    with edge(origin.url, workers=workers, routes=ROUTES, limits=LIMITS) as running:
        created(running)
        writer = {"Authorization": f"Bearer {token('writer')}"}
        offset = call("POST", running.url + PATH, b"<0>", **writer)[
            "stream-next-offset"
        ]
        viewer = bearer(token("viewer"))
        with client(running) as parked, client(running) as kept:
            parked.get(f"{PATH}?offset={offset}&live=long-poll", viewer, *whole)
            kept.get(PATH, viewer, *whole)
            assert kept.read().status == 200

            flood = [get(running, PATH, made_up(), PAGE, *whole) for _ in range(50)]
            said = words_of(flood)
            assert said[:5] == [(401, "token-signature")] * 5
            assert said[5:] == [(429, "limit-denied")] * 45
            # A front tells the others once a second.
            until(lambda: counted(running) >= 45)
            assert counted(running) == 45

            # The same head for a stream that exists, and for one that does not (A1).
            refused, absent = flood[-1], get(running, PATH + "-absent", made_up(), PAGE)
            assert 110 <= int(refused["retry-after"]) <= 120
            assert refused["cache-control"] == "no-store"
            assert refused["access-control-allow-origin"] == "*"
            assert "Retry-After" in refused["access-control-expose-headers"]
            assert words_of([absent]) == [(429, "limit-denied")]
            assert "viewer" not in repr(refused.fields)

            newcomer = get(running, PATH, bearer(token("newcomer")), *whole)
            assert words_of([newcomer]) == [(429, "limit-denied")]
            kept.get(PATH, viewer, *whole)
            assert kept.read().status == 200
            call("POST", running.url + PATH, b"<1>", **writer)
            assert (answer := parked.read()).status == 200
            assert answer.body == b"<1>"
        assert get(running, PATH, viewer, *whole).status == 200


def said_at(two: Node, front: int, *credentials: str) -> list[int]:
    """What this front says to whoever shows these, one after the other."""
    with two.client(front) as one:
        told = []
        for credential in credentials:
            one.get(PATH, credential)
            told.append(one.read().status)
        return told


def test_what_one_front_has_counted_counts_at_all_and_outlives_them(
    origin: NodeOrigin,
) -> None:
    """W17: one has let in a viewer, the other one tells somebody behind the same
    address no, and no more; then that one is killed, and at last all are replaced."""
    limits = {"denied_per_client": "5/10h"}
    with node(origin.url, routes=ROUTES, limits=limits) as two:
        created(two.edge)
        viewer = bearer(token("viewer"))
        one, other = two.front_pids()
        assert said_at(two, one, viewer) == [200]
        bad = [made_up() for _ in range(8)]
        assert said_at(two, other, *bad) == [401] * 5 + [429] * 3

        newcomer = bearer(token("newcomer"))
        assert said_at(two, one, made_up(), newcomer, viewer) == [429, 429, 200]
        assert said_at(two, other, viewer, newcomer) == [200, 429]

        os.kill(other, signal.SIGKILL)
        until(lambda: other not in two.pids() and two.is_whole())
        for front in two.front_pids():
            assert said_at(two, front, made_up(), viewer) == [429, 200]

        before = two.pids()
        os.kill(two.edge.process.pid, signal.SIGHUP)
        until(lambda: not before & two.pids() and two.is_whole())
        for front in two.front_pids():
            assert said_at(two, front, made_up(), viewer) == [429, 200]
