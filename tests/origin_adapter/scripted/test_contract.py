"""The origins without sockets keep the contract of those that have one."""

from collections.abc import Iterator

import gevent
import pytest

from edge.core.ports import Exchange, Origin
from edge.core.values import OriginRequest
from origin_adapter.scripted import Call, LivingOrigin, ScriptedOrigin
from tests.support.origin_contract import (
    HOLD,
    AwayContract,
    OriginContract,
    StreamedBodyContract,
)
from tests.support.patience import PATIENCE


class TestLivingOrigin(OriginContract, AwayContract):
    @pytest.fixture
    def origin(self) -> Iterator[Origin]:
        yield LivingOrigin(hold=HOLD)

    @pytest.fixture
    def away(self) -> Iterator[Origin]:
        origin = LivingOrigin()
        origin.down = True
        yield origin


def play(call: Call, living: LivingOrigin) -> None:
    """Answer a call as the living origin does, in two pieces."""
    asked = call.request
    body = iter([call.body])
    answer = living.open(
        OriginRequest(asked.method, asked.target, asked.headers, body=body)
    )
    call.head(
        answer.status,
        [(name.title(), value) for name, value in answer.headers],
        framing=answer.framing,
        content_length=answer.content_length,
    )
    for piece in iter(answer.read, b""):
        call.piece(piece[:2])
        call.piece(piece[2:])
    call.end()


class TestScriptedOrigin(OriginContract, StreamedBodyContract):
    @pytest.fixture
    def origin(self) -> Iterator[Origin]:
        scripted, living = ScriptedOrigin(patience=60.0), LivingOrigin(hold=HOLD)

        def play_all() -> None:
            while True:
                gevent.spawn(play, scripted.expect(), living)

        player = gevent.spawn(play_all)
        yield scripted
        player.kill()

    @pytest.fixture
    def unfinished(self) -> Iterator[Exchange]:
        scripted = ScriptedOrigin()
        opening = gevent.spawn(scripted.open, OriginRequest("GET", "/s"))
        call = scripted.expect()
        call.head(200)
        call.piece(b"begun")
        yield opening.get(timeout=PATIENCE)
