"""A route with a list: each page gets its own fields, both ways, from shared answers.

A11, A12, B23. The same requests go both ways through the front.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edge.core.reasons import Reason
from edge.core.values import Answer
from edge.front.fast.response_encoder import EncodedResponse
from edge.policy.streams.authorize import Denied
from edge.policy.streams.routes import Access, Route
from tests.front.fake_edge import HIT, TEXT
from tests.front.fast.test_access import head, served_whole
from tests.front.fast.test_connection import Kept
from tests.front.fast.test_grants import Gate, Judge, compared

PAGE, BELOW, ELSEWHERE = "https://app.test", "https://a.b.sub.test", "https://evil.test"
LISTED = Route(
    match="/v1/stream/**",
    cors_origins=(PAGE, "https://*.sub.test"),
    cors_credentials=True,
)
BY_COOKIE = replace(
    LISTED, access=Access.GRANTED, credential_headers=("authorization", "cookie")
)
REFUSED = Denied(Reason.NO_TOKEN, "This stream needs a token.", 401, "Bearer")

KINDS = {
    "none": (),
    "listed": (f"Origin: {PAGE}",),
    "wildcard": (f"Origin: {BELOW}",),
    "elsewhere": (f"Origin: {ELSEWHERE}",),
    "null": ("Origin: null",),
    "empty": ("Origin:",),
    "upper": ("Origin: HTTPS://APP.TEST",),
    "port": (f"Origin: {PAGE}:443",),
    "dot": (f"Origin: {PAGE}.",),
    "path": (f"Origin: {PAGE}/",),
    "user": ("Origin: https://u@app.test",),
    "spaces": (f"Origin:  {PAGE} \t",),
    "two": (f"Origin: {PAGE}", f"Origin: {PAGE}"),
    "two-differ": (f"Origin: {PAGE}", f"Origin: {ELSEWHERE}"),
    "huge": ("Origin: https://" + "a" * 8100 + ".sub.test",),
    "high": ("Origin: https://\xe9.sub.test",),
    "punycode": ("Origin: https://xn--9ca.sub.test",),
    "v6": ("Origin: https://[::1]",),
    "crlf": (f"Origin: {PAGE}%0d%0aSet-Cookie: a=b",),
}
ALLOWED = {"listed": PAGE, "spaces": PAGE, "wildcard": BELOW} | {
    "punycode": "https://xn--9ca.sub.test"
}


@pytest.fixture(params=[LISTED, BY_COOKIE], ids=["partitioned", "by-cookie"])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    made = Gate(routes=(request.param,))
    yield made
    made.bench.close()


def both(made: Gate, target: str, *fields: str) -> bytes:
    """The one answer of both ways, but for what numbers each."""
    sent = "\r\n".join((f"GET {target} HTTP/1.1", "Host: edge.test", *fields, "", ""))
    whole = served_whole(made, sent.encode("latin-1"))
    made.bench.client.sendall(sent.encode("latin-1"))
    received = b""
    for _ in range(200):
        made.bench.turn()
        made.bench.catch_up()
        received += made.received()
        if len(received) >= len(whole):
            break
    assert compared(received) == compared(whole)
    return compared(received)


def fields_of(answer: bytes) -> dict[str, str]:
    """The fields of an answer by lower-case name; each stands there once."""
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = [
        (name.lower(), value) for name, _, value in (x.partition(": ") for x in lines)
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


PATHS = ("hit", "fail", "two-step", "events?offset=-1&live=sse", "..")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_gets_its_own_fields_both_ways(gate: Gate, kind: str, path: str) -> None:
    """Hits, problems, event streams and refused paths; whatever Origin holds."""
    fields = fields_of(both(gate, f"/v1/stream/{path}", *KINDS[kind]))
    allowed = ALLOWED.get(kind)

    assert fields.get("access-control-allow-origin") == allowed
    told = fields.get("access-control-allow-credentials")
    assert told == ("true" if allowed else None)
    assert "Origin" in fields["vary"].split(", ")
    by_cookie = gate.routes[0] is BY_COOKIE
    closed = by_cookie and not allowed
    corp = "same-origin" if closed else "cross-origin"
    assert fields["cross-origin-resource-policy"] == corp


@pytest.mark.parametrize("kind", ["none", "listed", "elsewhere"])
def test_a_refusal_can_be_read_by_the_pages_of_the_list(kind: str) -> None:
    """A19: both ways, with what it says why."""
    made = Gate(Judge(REFUSED), routes=(BY_COOKIE,))
    try:
        fields = fields_of(both(made, "/v1/stream/hit", *KINDS[kind]))
    finally:
        made.bench.close()

    assert fields["www-authenticate"] == "Bearer"
    assert "WWW-Authenticate" in fields["access-control-expose-headers"]
    assert fields.get("access-control-allow-origin") == ALLOWED.get(kind)
    assert fields["vary"] == "Origin"


def test_the_bytes_that_pages_share_name_none_of_them(gate: Gate) -> None:
    """B23: one encoding for all of them, also on one kept connection."""
    kept = Kept(Answer(200, TEXT, b"kept\n"), HIT)
    gate.bench.context.peek = lambda read, now: kept
    seen = []
    for kind in ("listed", "wildcard", "elsewhere", "none", "listed"):
        for _ in range(3):
            answer = gate.get("kept", *KINDS[kind])
        seen.append(fields_of(answer).get("access-control-allow-origin"))
        encoded = kept.encoded
        assert isinstance(encoded, EncodedResponse)
        assert not re.search(
            rb"(?i)allow-(?:origin|cred)", encoded.before + encoded.after
        )

    assert seen == [PAGE, BELOW, None, None, PAGE]


def test_pages_share_what_they_read(gate: Gate) -> None:
    """A12: who asks is in no key; the hub knows the answer again."""
    for kind in ("listed", "wildcard", "elsewhere", "none"):
        gate.get("hit", *KINDS[kind])

    assert len({id(read) for read in gate.bench.read_service.reads}) == 1


def test_a_changed_origin_is_never_taken_for_an_idle_field(gate: Gate) -> None:
    """A client that changes one field each time is compared around its value."""
    for kind in ("listed", "elsewhere", "listed", "null", "elsewhere", "listed"):
        fields = fields_of(gate.get("kept", "X-Any: a", *KINDS[kind], "X-Z: b"))
        assert fields.get("access-control-allow-origin") == ALLOWED.get(kind)


def test_a_route_without_a_list_does_not_look_at_origin() -> None:
    """A12: with none anywhere, it is a field like any other: compared around."""
    made = Gate()
    try:
        for number in range(6):
            answer = made.get("kept", f"Origin: https://{number}.test")
            assert fields_of(answer)["access-control-allow-origin"] == "*"
            assert "vary" not in fields_of(answer)
        assert len(made.bench.context.request_memo._blocks) == 1
        assert {plain.by_origin for _, plain in made.bench.context.heads.values()} <= {
            b""
        }
    finally:
        made.bench.close()


def test_a_long_origin_is_not_remembered(gate: Gate) -> None:
    """Hosts can be made up: what is remembered of them is bounded."""
    for number in range(3):
        gate.get("kept", f"Origin: https://{'a' * 4000}{number}.sub.test")

    assert gate.remembered == 0
    assert not gate.bench.context.request_memo._plains


def test_only_a_preflight_of_a_listed_page_is_told_what_it_may_send(gate: Gate) -> None:
    """A11; the whole way serves them, judged by nobody."""
    asked = (
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: authorization,x-own",
        "Access-Control-Request-Private-Network: true",
    )
    gate.judge.verdict = REFUSED
    for kind, allowed in (("listed", True), ("elsewhere", False), ("none", False)):
        lines = head("/v1/stream/hit", *KINDS[kind], *asked)
        answer = served_whole(gate, lines.replace(b"GET", b"OPTIONS", 1))
        fields = fields_of(answer)

        assert answer.startswith(b"HTTP/1.1 204 ")
        assert ("access-control-allow-origin" in fields) is allowed
        assert ("access-control-allow-credentials" in fields) is allowed
        assert ("access-control-allow-headers" in fields) is allowed
        assert fields["vary"] == (
            "Access-Control-Request-Method, Access-Control-Request-Headers, Origin"
        )
        assert "access-control-allow-private-network" not in fields
    assert gate.judge.asked == 0
