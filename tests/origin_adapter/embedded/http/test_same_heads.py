"""The edge and the embedded origin judge the same heads alike.

Every file of ``tests/front/corpus`` is sent to a real edge and to a real embedded
origin, with one plain request behind it that asks to close. Both take it or both
refuse it, and where both take it both find the same number of requests in it:
that is what a smuggled request would change. Where they differ rightly, a table
says why. The origin never hangs, never ends without an answer, never says 500.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from origin_adapter.embedded.http import connection
from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.serve import RunningOrigin
from tests.front.edge_process import EdgeProcess
from tests.front.fast.test_same_bytes import CORPUS, LAST, LIMITS, answers
from tests.origin_adapter.embedded.wire import Wire
from tests.support.options import embedded_options

PATIENCE = 60.0
_STREAM = re.compile(rb" (/v1/stream/[a-zA-Z0-9-]+(?:%2F[a-z]+)?)[? ]")
_METHOD = re.compile(rb"(?:^|\n)([A-Z]+) [/*h]")

READS_TAKE_A_BODY = "the edge takes no body on a read; the origin skips it"
NO_PROXY = "only what forwards requests can be in a loop"
NOT_MINTED = "the offset is none that this origin minted; the test's edge asks nobody"
OTHER_PARAMETERS = "the origin reads the protocol's parameters and no others"
NO_APPEND = "nothing that a stream could take; the test's edge asks nobody"

DIFFERENT = {
    "expect-odd": "417 is a MAY (RFC 9110 section 10.1.1), and gunicorn's choice",
    "get-chunked-with-body": READS_TAKE_A_BODY,
    "get-content-length": READS_TAKE_A_BODY,
    "head-body": READS_TAKE_A_BODY,
    "loop-cdn": NO_PROXY,
    "path-double-slash": "the origin has nothing outside its root, so it says 404",
    "plain-cursor": NOT_MINTED,
    "plain-extension": NOT_MINTED,
    "read-broken-percent": OTHER_PARAMETERS,
    "read-nul-in-query": OTHER_PARAMETERS,
    "read-unknown-live": "an edge passes what it does not know; the origin says 400",
    "write-bad-query": OTHER_PARAMETERS,
    "write-empty-type": NO_APPEND,
    "write-fields": NO_APPEND,
    "write-loop": NO_PROXY,
    "write-no-length": NO_APPEND,
    "write-full": "the fake origin of the test's edge says 413",
    "write-taken": "the fake hub of the test's edge says 409",
}
"""Files of which one server takes what the other refuses, and why that is right."""

CUT_BY_THE_TEST = {
    "head-bad-field",
    "plain-bad-field",
    "plain-cut",
    "write-half",
    "write-odd",
}
"""The fake hub of the test's edge ends these connections for reasons of its own."""


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeProcess]:
    """A real edge, the whole way: its judgement is the fast way's too."""
    with EdgeProcess({"limits": LIMITS, "front": {"fast": False}}) as edge:
        yield edge


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOrigin]:
    """An embedded origin that holds every stream which the corpus names."""
    options = embedded_options(
        data=tmp_path_factory.mktemp("streams"),
        durability=Durability.OS,
        long_poll_timeout=0.1,
        sse_lifetime=0.1,
        body_timeout=0.2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "HEAD_TIMEOUT", 0.2)
        with RunningOrigin(options, "127.0.0.1:0") as serving:
            wire = Wire(serving.address)
            for path in sorted(_paths()):
                wire.ask("PUT", path, b"data", content_type="text/plain")
            wire.close()
            yield serving


def _paths() -> set[str]:
    found = {p for file in CORPUS for p in _STREAM.findall(file.read_bytes())}
    return {path.decode("latin-1") for path in found}


def of_the_origin(serving: RunningOrigin, data: bytes, methods: list[str]) -> list[int]:
    """The statuses of all answers, until the origin closes."""
    wire = Wire(serving.address)
    found: list[int] = []
    try:
        with gevent.Timeout(PATIENCE):
            wire.send(data)
            while line := wire.file.peek(1):
                assert line, "an answer"
                method = methods[len(found)] if len(found) < len(methods) else "GET"
                reply = wire.reply(bodiless=method == "HEAD")
                if reply.status != 100:
                    found.append(reply.status)
    finally:
        wire.close()
    return found


def is_refused(status: int) -> bool:
    """Whether this is no answer to a request, but its refusal."""
    return (400 <= status < 500 and status != 404) or status in (501, 505, 508)


def _is_cut(file: Path) -> bool:
    return file.stem in CUT_BY_THE_TEST


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_both_take_it_or_both_refuse_it(
    file: Path, edge: EdgeProcess, origin: RunningOrigin
) -> None:
    """See the module; RFC 9112 sections 3 and 6."""
    data = file.read_bytes() + LAST
    methods = [method.decode() for method in _METHOD.findall(data)]

    of_edge = [int(str(seen[0])) for seen in answers(edge, [data], methods)]
    of_origin = of_the_origin(origin, data, methods)

    assert of_origin and 500 not in of_origin
    different = is_refused(of_edge[0]) != is_refused(of_origin[0])
    assert different is (file.stem in DIFFERENT), (of_edge, of_origin)
    if not different and not is_refused(of_edge[0]) and not _is_cut(file):
        assert len(of_edge) == len(of_origin), (of_edge, of_origin)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_a_head_in_two_pieces_is_judged_as_in_one(
    file: Path, origin: RunningOrigin
) -> None:
    """Where the network cuts it changes nothing."""
    raw = file.read_bytes()
    methods = [method.decode() for method in _METHOD.findall(raw + LAST)]
    at_once = of_the_origin(origin, raw + LAST, methods)
    wire = Wire(origin.address)
    wire.send(raw[: len(raw) // 2])
    gevent.sleep(0)

    try:
        wire.send(raw[len(raw) // 2 :] + LAST)
        first = wire.reply(bodiless=methods[:1] == ["HEAD"])
        if first.status == 100:
            first = wire.reply()
    except (ConnectionResetError, BrokenPipeError):
        assert is_refused(at_once[0])
        return
    finally:
        wire.close()

    assert first.status == at_once[0] or methods[:1] in (["PUT"], ["DELETE"])


def test_every_difference_is_one_of_the_corpus() -> None:
    """A file that was renamed must not keep its excuse."""
    assert set(DIFFERENT) <= {file.stem for file in CORPUS}
