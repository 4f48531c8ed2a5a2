"""``POST /access/revoke``: who may give an order, and what is one. A10, B13."""

import json
from typing import Any

import pytest
from falcon import testing

from edge.access.leases import Leases
from edge.access.revocations import Revocations, TokenFacts
from edge.access.revoker import Revoker
from edge.admin.app import MAX_BODY, create_admin_app
from edge.admin.revocation_page import PATH, RevocationPage
from edge.core.counters import Counters
from edge.core.reasons import Reason
from tests.live.support import TestClock

TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
TEXT = "e30.eyJqdGkiOiJpZC0xIn0.c2ln"


class Desk:
    """The page before a real revoker without a file."""

    def __init__(self, token: str | None = TOKEN, most: int = 10) -> None:
        self.clock = TestClock()
        self.revocations = Revocations(86_400.0, most=most)
        self.leases = Leases()
        self.lease = self.leases.give(1e9, TokenFacts((), "alice"))
        revoker = Revoker(self.revocations, self.leases, None, self.clock, Counters())
        routes = RevocationPage(revoker).routes()
        self.client = testing.TestClient(create_admin_app(routes, token))

    def post(self, document: Any, **fields: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        sent = {"Content-Type": "application/json"} | SIGNED | named
        body = json.dumps(document)
        return self.client.simulate_post(PATH, body=body, headers=sent)

    @property
    def orders(self) -> set[tuple[str, str, str | None]]:
        return {(o.by.value, o.value, o.issuer) for o in self.revocations}


def test_a_subject_is_revoked_and_it_is_told_what_came_of_it() -> None:
    desk = Desk()
    answered = desk.post({"subject": "alice"})

    assert answered.status_code == 200
    assert answered.headers["cache-control"] == "no-store"
    assert answered.json == {
        "revoked": "subject",
        "subject": "alice",
        "issuer": None,
        "grants_ended": 1,
        "kept_until": int(desk.clock.unix) + 86_400,
        "in_file": False,
    }
    assert desk.lease.why is Reason.REVOKED
    assert desk.orders == {("subject", "alice", None)}


@pytest.mark.parametrize("by", ["subject", "jti"])
def test_an_issuer_may_be_named(by: str) -> None:
    desk = Desk()
    answered = desk.post({by: "x", "issuer": "https://issuer.example"})

    assert answered.json["issuer"] == "https://issuer.example"
    assert desk.orders == {(by, "x", "https://issuer.example")}


def test_a_token_is_told_and_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """And its order is logged."""
    caplog.set_level("INFO")
    desk = Desk()
    answered = desk.post({"token": TEXT})

    assert answered.status_code == 200 and answered.json["token"] is None
    assert TEXT not in answered.text and TEXT not in caplog.text
    assert "revoked by order: token " in caplog.text
    assert desk.revocations.names_token([next(iter(desk.orders))[1]])


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "alice",
        {},
        {"issuer": "i"},
        {"subject": "a", "jti": "b"},
        {"subject": "a", "token": "b"},
        {"subject": ""},
        {"subject": 7},
        {"subject": None},
        {"subject": ["a"]},
        {"subject": "x" * 1025},
        {"subject": "\ud800"},
        {"subject": "a", "issuer": ""},
        {"subject": "a", "issuer": None},
        {"subject": "a", "route": "/v1/**"},
        {"token": "a", "issuer": "i"},
        {"token": "Bearer a"},
        {"token": "a\n"},
        {"token": "x" * 8193},
    ],
)
def test_anything_else_is_no_order(document: Any) -> None:
    desk = Desk()
    refused = desk.post(document)

    assert (refused.status_code, refused.json["reason"]) == (400, "bad-order")
    assert desk.orders == set() and desk.lease.why is Reason.GRANT_ENDED


@pytest.mark.parametrize(
    ("body", "kind", "status", "reason"),
    [
        (b'{"subject": "a"', "application/json", 400, "bad-order"),
        (b"", "application/json", 400, "bad-order"),
        (b"[" * 10_000, "application/json", 400, "bad-order"),
        (b"\xff", "application/json", 400, "bad-order"),
        (b'"' + b"x" * MAX_BODY, "application/json", 413, "body-too-large"),
        (b'{"subject": "a"}', "text/plain", 415, "bad-order"),
        (b'{"subject": "a"}', "application/x-www-form-urlencoded", 415, "bad-order"),
        (b'{"subject": "a"}', None, 415, "bad-order"),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    body: bytes, kind: str | None, status: int, reason: str
) -> None:
    desk = Desk()
    kinds = {} if kind is None else {"Content-Type": kind}
    refused = desk.client.simulate_post(PATH, body=body, headers=SIGNED | kinds)

    assert (refused.status_code, refused.json["reason"]) == (status, reason)
    assert desk.orders == set()


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong-one"}])
def test_the_order_needs_the_token(given: dict[str, str]) -> None:
    desk = Desk()
    refused = desk.client.simulate_post(PATH, json={"subject": "a"}, headers=given)

    assert refused.status_code == 401 and desk.orders == set()


@pytest.mark.parametrize(
    "field",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_where_no_token_is_set_no_page_gives_orders(field: dict[str, str]) -> None:
    """B13: a browser on the same machine can reach the address. With the token it may:
    a page that has it is the operator's own."""
    open_desk, desk = Desk(None), Desk()
    order = {"subject": "alice"}
    refused = open_desk.client.simulate_post(PATH, json=order, headers=field)

    assert (refused.status_code, refused.json["reason"]) == (403, "from-a-page")
    assert open_desk.orders == set()
    assert desk.post(order, **field).status_code == 200


def test_where_no_token_is_set_an_operator_needs_none() -> None:
    desk = Desk(None)
    answered = desk.client.simulate_post(PATH, json={"subject": "alice"})

    assert answered.status_code == 200 and desk.lease.why is Reason.REVOKED


def test_an_order_that_cannot_be_kept_is_refused() -> None:
    desk = Desk(most=1)
    desk.post({"subject": "bob"})
    refused = desk.post({"subject": "alice"})

    assert refused.status_code == 503
    assert refused.json["reason"] == "limit-revocations"
    assert "retry-after" not in refused.headers
    assert desk.lease.why is Reason.GRANT_ENDED


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_to_revoke_takes_a_post(method: str) -> None:
    """No preflight is answered, so no page of another origin may send JSON."""
    desk = Desk()
    body = json.dumps({"subject": "alice"})
    fields = SIGNED | {"Content-Type": "application/json"}
    refused = desk.client.simulate_request(method, PATH, body=body, headers=fields)

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert desk.orders == set()


def test_where_the_edge_lets_nobody_in_there_is_no_such_page() -> None:
    assert RevocationPage(None).routes() == ()
