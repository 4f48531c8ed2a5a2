"""What an operator may ask of a running edge, with a control that is given."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.control_pages import AloneView, ControlPages
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    StreamDetail,
    StreamFilter,
    StreamSnapshot,
)
from edge.core.values import PartitionKind
from edge.policy.streams.routes import Route

PATH = "/v1/stream/x"
TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}


def row(path: str = PATH, viewers: int = 0, **changes: Any) -> StreamSnapshot:
    """A stream that is held."""
    made = StreamSnapshot(
        route="/v1/stream/**",
        path=path,
        partition=PartitionKind.ANONYMOUS,
        incarnation=1,
        viewers=viewers,
        parked=0,
        flights=0,
        bytes_held=10,
        end="7",
        tail="7",
        closed=False,
        followed=True,
        armed=True,
    )
    return replace(made, **changes)


def in_full(of: StreamSnapshot, **changes: Any) -> StreamDetail:
    """The same stream, and no more to tell of it."""
    made = StreamDetail(
        row=of,
        content_type="text/plain",
        held=(),
        pieces=0,
        age=None,
        grown=None,
        follower=None,
        waiting=0,
        away=None,
        retry_in=0.0,
        faults=(),
    )
    return replace(made, **changes)


@dataclass
class FakeControl:
    """Implements ``edge.core.ports.Control`` over a list of rows."""

    rows: list[StreamSnapshot] = field(default_factory=list)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def snapshot(
        self, limit: int, wanted: StreamFilter = BY_VIEWERS
    ) -> list[StreamSnapshot]:
        rows = [one for one in self.rows if wanted.wants(one.route, one.path)]
        return sorted(rows, key=wanted.order.of, reverse=True)[:limit]

    def details(self, route: str, path: str) -> list[StreamDetail]:
        return [in_full(one) for one in self.of_path(route, path)]

    def of_path(self, route: str, path: str) -> list[StreamSnapshot]:
        return [one for one in self.rows if (one.route, one.path) == (route, path)]

    def forget(self, route: str, path: str) -> int:
        self.forgotten.append((route, path))
        kept = [one for one in self.rows if (one.route, one.path) != (route, path)]
        count = len(self.rows) - len(kept)
        self.rows = kept
        return count

    def gauges(self) -> dict[str, float]:
        viewers = sum(one.viewers for one in self.rows)
        return {"streams": float(len(self.rows)), "viewers": float(viewers)}


def operator(control: FakeControl, token: str | None = TOKEN) -> testing.TestClient:
    """A client of the admin address."""
    routes = ControlPages(AloneView(control), [Route()]).routes()
    return testing.TestClient(create_admin_app(routes, token))


def forget(client: testing.TestClient, path: str = PATH) -> Any:
    """Ask to forget a path, with the token."""
    return client.simulate_post("/forget", params={"path": path}, headers=SIGNED)


def test_a_path_is_forgotten_in_every_partition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And that it was asked for is logged."""
    caplog.set_level("INFO")
    credential = row(partition=PartitionKind.CREDENTIAL)
    control = FakeControl([row(), credential, row("/v1/stream/y")])
    answered = forget(operator(control))

    assert answered.status_code == 200
    assert answered.json == {
        "path": PATH,
        "route": "/v1/stream/**",
        "forgotten": 2,
    }
    assert control.rows == [row("/v1/stream/y")]
    assert f"forgot {PATH} as asked: 2 held" in caplog.text


def test_a_path_in_the_query_is_decoded_once() -> None:
    """A stream's path is percent-encoded itself; it is shown as it is."""
    path = "/v1/stream/a%20b%26c"
    control = FakeControl([row(path)])

    assert forget(operator(control), path).json["forgotten"] == 1


@pytest.mark.parametrize("path", [PATH, "/elsewhere", "v1/stream/x"])
def test_where_nothing_is_held_there_is_nothing_to_forget(path: str) -> None:
    """On a route or off all routes."""
    refused = forget(operator(FakeControl()), path)

    assert (refused.status_code, refused.json["reason"]) == (404, "not-found")


@pytest.mark.parametrize("query", ["", "path=", "path=/a&path=/b"])
def test_it_must_be_said_which_path(query: str) -> None:
    control = FakeControl([row()])
    refused = operator(control).simulate_post(
        "/forget", query_string=query, headers=SIGNED
    )

    assert refused.status_code == 400
    assert control.forgotten == []


def test_nothing_is_forgotten_where_no_token_is_set() -> None:
    """A page in a browser on the same machine could send this request, too."""
    control = FakeControl([row()])
    refused = forget(operator(control, None))

    assert (refused.status_code, refused.json["reason"]) == (403, "token-not-set")
    assert "admin.token" in refused.json["detail"]
    assert control.forgotten == []


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong-one"}])
def test_nothing_is_forgotten_without_the_token(given: dict[str, str]) -> None:
    control = FakeControl([row()])
    refused = operator(control).simulate_post(
        "/forget", params={"path": PATH}, headers=given
    )

    assert refused.status_code == 401
    assert control.forgotten == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_to_forget_takes_a_post(method: str) -> None:
    """A GET must change nothing: prefetchers and crawlers send them. No preflight
    is answered, so no other origin's page may send the token."""
    control = FakeControl([row()])
    refused = operator(control).simulate_request(
        method, "/forget", params={"path": PATH}, headers=SIGNED
    )

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert control.forgotten == []
