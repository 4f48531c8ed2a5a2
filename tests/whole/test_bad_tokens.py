"""Bad credentials on the wire: each has its status and reason, and learns nothing else.

A1, A7, A9, A14, A15; B1, B14, B15, B19, B23. By both ways through the front, and by
each way of being let in. ``tests/access/test_authorizer.py`` has it for each method.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jwt
import pytest

from tests.access.issuer import private
from tests.front.edge_process import Client
from tests.scale.nodes import node
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.support.talk import ask
from tests.whole.authorize_server import authorize_server
from tests.whole.crowd import origin_requests
from tests.whole.test_access import (
    SECRET,
    THROUGH,
    WHOLE_WAY,
    bearer,
    client,
)
from tests.whole.token_gate import token_gate

ROOT = "/v1/stream"
HELD, COLD, ABSENT = (f"{ROOT}/{name}" for name in ("held", "cold", "absent"))
GOOD = "alice"
LEEWAY = 30.0


def made(headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token for all streams, but for what is changed. None: without that claim."""
    said = {"sub": "alice", "exp": int(time.time() + 600), "read": [f"{ROOT}/**"]}
    said |= {"aud": "streams", "iss": "issuer"} | claims
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(kept, SECRET, "HS256", {"kid": "k1"} | (headers or {}))


def other_key() -> str:
    return jwt.encode(jwt.decode(made(), options=_UNREAD), SECRET[::-1], "HS256")


def confused() -> str:
    """HMAC's token turned into one by a public key."""
    return jwt.encode(jwt.decode(made(), options=_UNREAD), private("rsa"), "RS256")


def unsigned() -> str:
    return jwt.encode(jwt.decode(made(), options=_UNREAD), "", "none")


def ago(seconds: float) -> int:
    return int(time.time() - seconds)


_CHANGING = re.compile(
    rb'(?i)\r\n(?:date|x-request-id): [^\r]*|(?<="instance":")[^"]*(?=")'
)
_UNREAD: Any = {"verify_signature": False}


class Bad(NamedTuple):
    """What is sent, and what is said of it."""

    make: Callable[[], str]
    reason: str
    status: int = 401


BAD = {
    "text": Bad(lambda: "alice", "token-malformed"),
    "nested": Bad(lambda: f"{made()}.{made()}", "token-malformed"),
    "huge": Bad(lambda: made(x="x" * 8192), "token-malformed"),
    "key in the header": Bad(lambda: made({"jku": "https://a"}), "token-malformed"),
    "wrong key": Bad(other_key, "token-signature"),
    "RS for HS": Bad(confused, "token-algorithm"),
    "none": Bad(lambda: unsigned() + "AA", "token-algorithm"),
    "unsigned": Bad(unsigned, "token-malformed"),
    "unknown kid": Bad(lambda: made({"kid": "k2"}), "token-unknown-key"),
    "kid with a path": Bad(lambda: made({"kid": "../../k1"}), "token-unknown-key"),
    "kid with SQL": Bad(lambda: made({"kid": "' OR 1=1 --"}), "token-unknown-key"),
    "other audience": Bad(lambda: made(aud="x"), "token-audience"),
    "other issuer": Bad(lambda: made(iss="x"), "token-issuer"),
    "expired": Bad(lambda: made(exp=ago(LEEWAY + 5)), "token-expired"),
    "issuer two minutes behind": Bad(lambda: made(exp=ago(120)), "token-expired"),
    "not yet": Bad(lambda: made(nbf=ago(-LEEWAY - 60)), "token-not-yet"),
    "issuer two minutes ahead": Bad(lambda: made(nbf=ago(-120)), "token-not-yet"),
    "no exp": Bad(lambda: made(exp=None), "token-claims"),
    "for ever": Bad(lambda: made(exp=ago(-(10**8))), "token-lifetime"),
    "no claim": Bad(lambda: made(read=None), "path-not-granted", 403),
    "other path": Bad(lambda: made(read=[f"{ROOT}/a"]), "path-not-granted", 403),
    "prefix": Bad(lambda: made(read=[ROOT]), "path-not-granted", 403),
    "below": Bad(lambda: made(read=[f"{HELD}/**"]), "path-not-granted", 403),
    "encoded": Bad(lambda: made(read=[f"{ROOT}/hel%64"]), "path-not-granted", 403),
}
ERRORS = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}
BY_ONE = pytest.mark.parametrize(
    ("whole", "workers"),
    [((), 1), (WHOLE_WAY, 1)],
    ids=["fast", "whole"],
    indirect=["workers"],
    scope="module",
)
"""By either way through the front of one worker."""
UNBOUNDED: Any = {"denied_per_client": None}
"""Nobody here is to hear how much of it he shows (W17)."""

MODES = ("", "?offset=-1", "?offset=now&live=long-poll", "?offset=-1&live=sse")


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    """Two of the streams are there."""
    with node_origin() as running:
        for path in (HELD, COLD):
            ask(running.url + path, "PUT", b"secret", content_type="text/plain")
        yield running


@contextlib.contextmanager
def before(url: str, good: str, workers: int, **ways: Any) -> Iterator[Edge]:
    """An edge that holds one of the streams."""
    routes = [{"match": f"{ROOT}/**", "access": ways}]
    how = {"routes": routes, "limits": UNBOUNDED, "log": {"access": "off"}}
    with edge(url, workers=workers, **how) as running:
        status, _, body = ask(running.url + HELD, authorization=f"Bearer {good}")
        assert (status, body) == (200, b"secret")
        yield running


TOKENS = {
    "keys": [{"secret": SECRET, "kid": "k1"}],
    "algorithms": ["HS256"],
    "issuer": "issuer",
    "audience": "streams",
    "sources": ["authorization", {"query": "access_token"}, {"cookie": "session"}],
    "read_claim": "read",
}


@pytest.fixture(scope="module")
def by_tokens(origin: NodeOrigin, workers: int) -> Iterator[Edge]:
    with before(origin.url, made(), workers, jwt=TOKENS) as running:
        yield running


def told(running: Edge, target: str, *fields: str) -> bytes:
    """All octets of the answer, but for what numbers each."""
    with client(running) as one:
        one.get(target, *fields, "Connection: close")
        return _CHANGING.sub(b"", one.rest())


def told_alike(running: Edge, query: str, *fields: str) -> tuple[int, str, Any]:
    """What is told of a stream that is held, of one at the origin and of none: the
    same. Its status, its challenge and its problem."""
    answers = {told(running, path + query, *fields) for path in (HELD, COLD, ABSENT)}
    assert len(answers) == 1, answers
    head, _, body = answers.pop().decode().partition("\r\n\r\n")
    low = head.lower()
    assert "no-store" in low and "secret" not in body
    for name in ("etag", "age", "stream-next-offset", "last-modified"):
        assert f"\r\n{name}:" not in low
    status, challenge = int(head.split(" ")[1]), re.search(_CHALLENGE, head)
    problem = json.loads(body) if body.startswith("{") else {}
    return status, challenge[1] if challenge else "", problem.get("reason")


_CHALLENGE = r"(?i)\r\nwww-authenticate: ([^\r]*)"


@BY_ONE
@pytest.mark.parametrize("case", BAD)
def test_a_bad_token_hears_its_reason_and_nothing_of_the_stream(
    by_tokens: Edge, case: str, whole: tuple[str, ...]
) -> None:
    """In every mode, and wherever the token is; a second time as the first. By two
    fronts: the next story."""
    text, (_, reason, status) = BAD[case].make(), BAD[case]
    for mode in MODES:
        query = mode + ("&" if mode else "?") + f"access_token={text}"
        asked = [
            (mode, bearer(text)),
            (mode, f"Cookie: session={text}"),
            (query, "X: a"),
        ]
        for target, field in asked:
            heard = told_alike(by_tokens, target, field, *whole)
            assert (heard[0], heard[2]) == (status, reason)
            assert f'error="{ERRORS[status]}"' in heard[1]
            assert text not in heard[1]


def test_at_each_front_of_a_node_a_bad_token_hears_the_same(origin: NodeOrigin) -> None:
    """W10: fronts judge, keepers believe. What was let in at one front is shared with
    who is let in at another, and helps nobody else."""
    routes = [{"match": f"{ROOT}/**", "access": {"jwt": TOKENS}}]
    with (
        node(origin.url, routes=routes, limits=UNBOUNDED) as running,
        contextlib.ExitStack() as fronts,
    ):
        clients = [
            fronts.enter_context(running.client(one)) for one in running.front_pids()
        ]

        def told_by_all(path: str, text: str) -> list[tuple[int, bytes]]:
            for one in clients:
                one.get(path, bearer(text))
            return [(given.status, given.body) for given in map(Client.read, clients)]

        for one, name in zip(clients, ("alice", "bob"), strict=True):
            one.get(f"{HELD}?offset=-1", bearer(made(sub=name)))
            assert one.read().body == b"secret"
        asked = origin_requests(running.admin)
        for bad in BAD.values():
            text = bad.make()
            for path in (HELD, COLD, ABSENT):
                for status, body in told_by_all(path, text):
                    assert status == bad.status
                    assert json.loads(body)["reason"] == bad.reason

        assert origin_requests(running.admin) == asked <= 2
        assert told_by_all(HELD, made()) == [(200, b"secret")] * 2


@THROUGH
@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", (bearer("a.b.c"), bearer("a.b.c"))),
        ("?access_token=a.b.c", (bearer("a.b.c"),)),
        ("?access_token=a.b.c&access_token=a.b.c", ("X: a",)),
        ("", (bearer("a.b.c"), "Cookie: session=a.b.c")),
        ("", ("Cookie: session=a.b.c; session=a.b.c",)),
    ],
    ids=["two fields", "two places", "two parameters", "and a cookie", "two cookies"],
)
def test_two_tokens_are_one_too_many(
    by_tokens: Edge, query: str, fields: tuple[str, ...], whole: tuple[str, ...]
) -> None:
    """A15, B19."""
    status, challenge, reason = told_alike(by_tokens, query, *fields, *whole)

    assert (status, reason) == (400, "two-tokens")
    assert 'error="invalid_request"' in challenge


@THROUGH
def test_without_a_token_the_challenge_is_the_realm_alone(
    by_tokens: Edge, whole: tuple[str, ...]
) -> None:
    """B23."""
    for mode in MODES:
        status, challenge, reason = told_alike(by_tokens, mode, "X: a", *whole)
        assert (status, reason) == (401, "no-token")
        assert challenge.startswith("Bearer realm=") and "error" not in challenge


@THROUGH
@pytest.mark.parametrize(
    "path",
    ["hel%64", "a/../held", "./held", "held/", "/held", "HELD", "held%2F", "held;a"],
)
def test_no_other_spelling_of_a_path_is_granted(
    by_tokens: Edge, path: str, whole: tuple[str, ...]
) -> None:
    """A14, B1: by a token for this one stream."""
    text = made(read=[HELD])
    answer = told(by_tokens, f"{ROOT}/{path}", bearer(text), *whole)

    assert answer.split(b" ")[1] in (b"400", b"403")
    assert b"secret" not in answer


@THROUGH
def test_each_of_several_requests_in_one_packet_is_judged_by_its_own_token(
    by_tokens: Edge, whole: tuple[str, ...]
) -> None:
    """B4: in their order; and so again on the same connection."""
    tokens = [made(), "a.b.c", made(sub="bob"), made(read=[ROOT]), "", made()]
    asked = [
        [f"GET {HELD} HTTP/1.1", "Host: a", bearer(text), *whole, "", ""]
        for text in tokens
    ]
    with client(by_tokens) as one:
        for _ in range(3):
            one.send("\n".join(line for request in asked for line in request))
            answers = [one.read() for _ in asked]
            statuses = [answer.status for answer in answers]
            assert statuses == [200, 401, 200, 403, 401, 200]
            shown = [b"secret" in answer.body for answer in answers]
            assert shown == [True, False, True, False, False, True]


@THROUGH
@pytest.mark.parametrize(("claim", "seconds"), [("exp", -20), ("nbf", 20)])
def test_clocks_may_differ_by_the_leeway(
    by_tokens: Edge, claim: str, seconds: int, whole: tuple[str, ...]
) -> None:
    """A20: an issuer's clock that is behind, and one that is ahead."""
    said: dict[str, Any] = {claim: ago(-seconds)}
    answer = told(by_tokens, HELD, bearer(made(**said)), *whole)

    assert answer.endswith(b"secret")


# Those who are asked.


@BY_ONE
def test_whom_an_app_refuses_learns_nothing_of_the_stream(
    origin: NodeOrigin, whole: tuple[str, ...], workers: int
) -> None:
    """A16. Each front asks for itself: who comes to one first is given the app's own
    answer there, and who comes again the edge's, whatever another front has heard."""
    with authorize_server() as app:
        app.barred.add("mallory")
        way = {"url": app.url}
        with before(origin.url, GOOD, workers, forward=way) as running:
            for mode in MODES:
                heard = told_alike(running, mode, bearer("mallory"), *whole)
                assert heard[0] == 403
                heard = told_alike(running, mode, "X: a", *whole)
                assert (heard[0], heard[2]) == (401, "access-refused")


@THROUGH
def test_whom_the_origin_refuses_learns_nothing_of_the_stream(
    origin: NodeOrigin, whole: tuple[str, ...], workers: int
) -> None:
    """A17: by an origin that looks at the credential first."""
    with (
        token_gate(origin.url, GOOD) as gate,
        before(gate.url, GOOD, workers, origin={"trust": "10m"}) as running,
    ):
        refused = {bearer("mallory"): "access-refused", "X: a": "no-token"}
        for mode in MODES:
            for field, reason in refused.items():
                heard = told_alike(running, mode, field, *whole)
                assert (heard[0], heard[2]) == (401, reason)
