"""What an operator has a running edge purge, with a node that is given (L27)."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.purge_pages import PurgePages
from edge.core.counters import Counters
from edge.core.purges import Purge, PurgeBy, PurgeMode, PurgeOutcome, PurgeReport
from edge.policy.streams.routes import Route

PATH = "/v1/stream/x"
TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
SOFTENED = PurgeReport(3, 2, 1000)
FORGOTTEN = PurgeReport(3, 2, 1000, 4)


@dataclass
class Node:
    """Implements ``purge_pages.PurgeView``: says what the test says."""

    reports: dict[str, PurgeReport] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    asked: list[Purge] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    def purge(self, purge: Purge) -> PurgeOutcome:
        self.asked.append(purge)
        return PurgeOutcome(self.reports, self.late, self.failed)


def operator(node: Node, token: str | None = TOKEN) -> testing.TestClient:
    """A client of the admin address."""
    routes = PurgePages(node, [Route()], node.counters).routes()
    return testing.TestClient(create_admin_app(routes, token))


def purge(node: Node, document: object, token: str | None = TOKEN) -> Any:
    """Ask to purge, with the token."""
    return operator(node, token).simulate_post("/purge", json=document, headers=SIGNED)


def forget(client: testing.TestClient, path: str = PATH) -> Any:
    """Ask to forget a path, with the token."""
    return client.simulate_post("/forget", params={"path": path}, headers=SIGNED)


# -- purge ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "text"),
    [("path", PATH), ("glob", "/v1/**"), ("tag", "room-7")],
)
def test_a_purge_is_soft_and_answered_with_what_it_did(
    by: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and counted."""
    caplog.set_level("INFO")
    node = Node({"worker": SOFTENED})
    answered = purge(node, {by: text})

    assert answered.status_code == 200
    assert answered.json == {
        by: text,
        "mode": "soft",
        "matched": 3,
        "softened": 2,
        "bytes": 1000,
        "processes": {"worker": {"matched": 3, "softened": 2, "bytes": 1000}},
        "late": [],
    }
    assert node.asked == [Purge(PurgeBy(by), text, PurgeMode.SOFT)]
    assert node.counters.purges == {f"{by}-soft": 1}
    assert f"purge of {by} '{text}' as asked: 3 matched, 2 softened" in caplog.text


def test_a_hard_purge_tells_of_each_process_and_of_its_disk() -> None:
    keeper = PurgeReport(1, 1, 10, 4, disk_busy=True)
    node = Node({"keeper-0/1": keeper, "front-0/2": FORGOTTEN})
    answered = purge(node, {"tag": "a", "mode": "hard"})

    assert (answered.json["matched"], answered.json["forgotten"]) == (4, 3)
    assert (answered.json["disk_ranges"], answered.json["disk"]) == (8, "deleting")
    assert answered.json["processes"]["front-0/2"] == {
        "matched": 3,
        "forgotten": 2,
        "bytes": 1000,
        "disk_ranges": 4,
        "disk": "done",
    }


def test_what_means_nothing_now_is_done_all_the_same() -> None:
    """To say it twice is no fault."""
    answered = purge(Node({"worker": PurgeReport()}), {"glob": "/nothing/**"})

    assert (answered.status_code, answered.json["matched"]) == (200, 0)


@pytest.mark.parametrize(
    ("late", "failed", "status", "reason"),
    [
        (("keeper-0",), (), 504, "orders-late"),
        ((), ("keeper-0",), 500, "orders-failed"),
        (("front-1",), ("keeper-0",), 500, "orders-failed"),
    ],
)
def test_where_it_is_not_done_yet_that_is_said_with_what_was(
    late: tuple[str, ...], failed: tuple[str, ...], status: int, reason: str
) -> None:
    node = Node({"front-0": FORGOTTEN}, late, failed)
    answered = purge(node, {"path": PATH, "mode": "hard"})

    assert answered.status_code == status
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["reason"] == reason
    assert (late + failed)[-1] in answered.json["detail"]
    assert answered.json["late"] == list(late)
    assert answered.json["failed"] == list(failed)
    assert answered.json["processes"]["front-0"]["forgotten"] == 2


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"path": PATH, "glob": "/**"},
        {"mode": "hard"},
        {"path": PATH, "mode": "gentle"},
        {"path": PATH, "mode": ["hard"]},
        {"path": PATH, "why": "because"},
        {"path": 7},
        {"path": ""},
        {"tag": ""},
        {"tag": "a b"},
        {"glob": "no-path"},
        [PATH],
        PATH,
    ],
)
def test_what_says_no_one_thing_is_refused(document: object) -> None:
    node = Node()
    refused = purge(node, document)

    assert (refused.status_code, refused.json["reason"]) == (400, "bad-order")
    assert node.asked == [] and node.counters.purges == {}


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/elsewhere", 404, "not-found"),
        ("/v1/stream/a b", 400, "bad-path"),
        ("/v1/stream/%2e%2e/a", 400, "bad-path"),
    ],
)
def test_a_path_that_is_none_or_off_all_routes_is_refused(
    path: str, status: int, reason: str
) -> None:
    """Nothing of it is ever held, so it is a slip of the pen."""
    refused = purge(Node(), {"path": path})

    assert (refused.status_code, refused.json["reason"]) == (status, reason)


def test_a_path_is_taken_as_it_is_spelled() -> None:
    node = Node({"worker": SOFTENED})
    purge(node, {"path": "/v1/stream/a%20b%2fc"})

    assert node.asked[0].text == "/v1/stream/a%20b%2fc"


def test_a_body_that_is_too_large_or_no_json_is_refused() -> None:
    client = operator(Node())
    json_type = {**SIGNED, "Content-Type": "application/json"}
    large = json.dumps({"tag": "x" * 20_000})
    refused = client.simulate_post("/purge", body=large, headers=json_type)
    assert (refused.status_code, refused.json["reason"]) == (413, "body-too-large")
    refused = client.simulate_post("/purge", body="path=/a", headers=json_type)
    assert (refused.status_code, refused.json["reason"]) == (400, "bad-order")
    refused = client.simulate_post("/purge?path=/a", headers=SIGNED)
    assert refused.status_code == 415


def test_nothing_is_purged_where_no_token_is_set_or_without_it() -> None:
    """A page in a browser on the same machine could send this request, too."""
    node = Node()
    refused = purge(node, {"path": PATH}, token=None)
    assert (refused.status_code, refused.json["reason"]) == (403, "token-not-set")
    client = operator(node)
    assert client.simulate_post("/purge", json={"path": PATH}).status_code == 401
    assert client.simulate_get("/purge", headers=SIGNED).status_code == 405
    assert node.asked == []


# -- forget ---------------------------------------------------------------------------


def test_a_path_is_forgotten_in_every_partition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And that it was asked for is logged. It is a hard purge of that path."""
    caplog.set_level("INFO")
    node = Node({"worker": FORGOTTEN})
    answered = forget(operator(node))

    assert answered.status_code == 200
    assert answered.json == {
        "path": PATH,
        "route": "/v1/stream/**",
        "forgotten": 2,
    }
    assert node.asked == [Purge(PurgeBy.PATH, PATH, PurgeMode.HARD)]
    assert f"purge of path '{PATH}' as asked: 3 matched, 2 forgotten" in caplog.text


def test_a_path_in_the_query_is_decoded_once() -> None:
    """A stream's path is percent-encoded itself; it is shown as it is."""
    path = "/v1/stream/a%20b%26c"
    node = Node({"worker": FORGOTTEN})

    assert forget(operator(node), path).json["path"] == path
    assert node.asked[0].text == path


@pytest.mark.parametrize("path", [PATH, "/elsewhere", "v1/stream/x"])
def test_where_nothing_is_held_there_is_nothing_to_forget(path: str) -> None:
    """On a route or off all routes."""
    refused = forget(operator(Node({"worker": PurgeReport()})), path)

    assert (refused.status_code, refused.json["reason"]) == (404, "not-found")


@pytest.mark.parametrize("query", ["", "path=", "path=/a&path=/b"])
def test_it_must_be_said_which_path(query: str) -> None:
    node = Node()
    refused = operator(node).simulate_post(
        "/forget", query_string=query, headers=SIGNED
    )

    assert refused.status_code == 400
    assert node.asked == []


def test_nothing_is_forgotten_where_no_token_is_set() -> None:
    """A page in a browser on the same machine could send this request, too."""
    node = Node()
    refused = forget(operator(node, None))

    assert (refused.status_code, refused.json["reason"]) == (403, "token-not-set")
    assert "admin.token" in refused.json["detail"]
    assert node.asked == []


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong-one"}])
def test_nothing_is_forgotten_without_the_token(given: dict[str, str]) -> None:
    node = Node()
    refused = operator(node).simulate_post(
        "/forget", params={"path": PATH}, headers=given
    )

    assert refused.status_code == 401
    assert node.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_to_forget_takes_a_post(method: str) -> None:
    """A GET must change nothing: prefetchers and crawlers send them. No preflight
    is answered, so no other origin's page may send the token."""
    node = Node()
    refused = operator(node).simulate_request(
        method, "/forget", params={"path": PATH}, headers=SIGNED
    )

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert node.asked == []


def test_who_has_not_forgotten_in_time_is_named() -> None:
    refused = forget(operator(Node({}, late=("keeper-0",))))

    assert (refused.status_code, refused.json["reason"]) == (504, "orders-late")
    assert "keeper-0" in refused.json["detail"]
