"""Which streams are there, and one of them in full, with a control that is given."""

import pytest
from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.stream_pages import (
    DEFAULT_STREAMS,
    MAX_STREAMS,
    AloneStreams,
    StreamPages,
)
from edge.core.stream_snapshot import (
    FaultNote,
    FollowerSnapshot,
    HeldPiece,
    StreamDetail,
)
from edge.core.values import PartitionKind
from edge.policy.streams.routes import Route
from tests.admin.fake_control import (
    PATH,
    SIGNED,
    TOKEN,
    FakeControl,
    in_full,
    row,
)


def operator(control: FakeControl, token: str | None = TOKEN) -> testing.TestClient:
    """A client of the admin address."""
    table = [Route(match="/v1/other/**"), Route()]
    routes = StreamPages(AloneStreams(control), table).routes()
    return testing.TestClient(create_admin_app(routes, token))


def test_streams_are_shown_with_totals_and_most_viewers_first() -> None:
    control = FakeControl([row("/v1/stream/a", 1), row("/v1/stream/b%20c", 3)])
    answered = operator(control).get("/streams", headers=SIGNED)

    assert answered.status_code == 200
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["cache-control"] == "no-store"
    assert answered.json["totals"] == {"streams": 2, "viewers": 4}
    assert answered.json["streams"][0] == {
        "path": "/v1/stream/b%20c",
        "route": "/v1/stream/**",
        "partition": "anonymous",
        "incarnation": 1,
        "viewers": 3,
        "viewers_by_events": 0,
        "parked": 0,
        "lag": 0,
        "requests": 0,
        "flights": 0,
        "bytes_held": 10,
        "end": "7",
        "tail": "7",
        "closed": False,
        "followed": True,
        "armed": True,
    }
    assert [one["path"] for one in answered.json["streams"]] == [
        "/v1/stream/b%20c",
        "/v1/stream/a",
    ]


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", DEFAULT_STREAMS), ("limit=0", 0), ("limit=3", 3), ("limit=1000", 1000)],
)
def test_the_number_of_streams_that_are_shown_is_bounded(
    query: str, shown: int
) -> None:
    """Totals are of all of them."""
    control = FakeControl([row(f"/v1/stream/{n}") for n in range(MAX_STREAMS + 1)])
    answered = operator(control, None).get("/streams", query_string=query)

    assert len(answered.json["streams"]) == shown
    assert answered.json["totals"]["streams"] == MAX_STREAMS + 1


@pytest.mark.parametrize("limit", ["1001", "-1", "x", "", "1.5", "9" * 5000, "\u0663"])
def test_a_limit_that_is_none_is_the_clients_fault(limit: str) -> None:
    refused = operator(FakeControl(), None).get("/streams", params={"limit": limit})

    assert (refused.status_code, refused.json["reason"]) == (400, "bad-query")


def test_a_limit_that_is_there_twice_is_the_clients_fault() -> None:
    refused = operator(FakeControl(), None).get(
        "/streams", query_string="limit=1&limit=2"
    )

    assert (refused.status_code, refused.json["reason"]) == (400, "duplicate-parameter")


def test_streams_need_the_token_where_one_is_set() -> None:
    assert operator(FakeControl()).get("/streams").status_code == 401
    assert operator(FakeControl(), None).get("/streams").status_code == 200


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("", "/v1/stream/viewers"),
        ("sort=viewers", "/v1/stream/viewers"),
        ("sort=bytes", "/v1/stream/bytes"),
        ("sort=requests", "/v1/stream/requests"),
        ("sort=lag", "/v1/stream/lag"),
    ],
)
def test_streams_come_in_the_order_that_is_asked_for(query: str, first: str) -> None:
    control = FakeControl(
        [
            row("/v1/stream/bytes", bytes_held=99),
            row("/v1/stream/viewers", viewers=2),
            row("/v1/stream/requests", requests=7),
            row("/v1/stream/lag", lag=1024),
        ]
    )
    answered = operator(control, None).get("/streams", query_string=f"{query}&limit=1")

    assert [one["path"] for one in answered.json["streams"]] == [first]


def test_streams_are_those_of_a_route_and_with_a_text_in_their_path() -> None:
    """The text is that of a path, percent-encoded as clients wrote it."""
    rows = [row("/v1/stream/a%20b"), row("/v1/stream/c"), row("/v1/other/a%20b")]
    rows[2] = row("/v1/other/a%20b", route="/v1/other/**")
    client = operator(FakeControl(rows), None)
    found = client.get("/streams", params={"contains": "a%20b"})
    of_route = client.get(
        "/streams", params={"contains": "a%20b", "route": "/v1/other/**"}
    )
    none = client.get("/streams", params={"route": "/v1/unknown/**"})

    assert {one["path"] for one in found.json["streams"]} == {
        "/v1/stream/a%20b",
        "/v1/other/a%20b",
    }
    assert [one["path"] for one in of_route.json["streams"]] == ["/v1/other/a%20b"]
    assert none.json["streams"] == []


@pytest.mark.parametrize("query", ["sort=age", "sort=", "contains=" + "x" * 257])
def test_an_order_or_a_text_that_is_none_is_the_clients_fault(query: str) -> None:
    refused = operator(FakeControl(), None).get("/streams", query_string=query)

    assert (refused.status_code, refused.json["reason"]) == (400, "bad-query")


class InFull(FakeControl):
    """Tells all that there is to tell."""

    def details(self, route: str, path: str) -> list[StreamDetail]:
        return [
            in_full(
                one,
                held=(HeldPiece("-1", "7", 5), HeldPiece("9", "12", 3)),
                pieces=2,
                age=0.25,
                grown=1.5,
                follower=FollowerSnapshot("asking", by_events=True),
                waiting=4,
                away="origin-timeout",
                retry_in=0.5,
                faults=(FaultNote("origin-timeout", 3, 1_800_000_000.0),),
            )
            for one in self.of_path(route, path)
        ]


def test_one_stream_is_shown_in_full_in_each_partition() -> None:
    control = InFull([row(viewers=3), row(partition=PartitionKind.CREDENTIAL)])
    answered = operator(control).get("/streams", params={"path": PATH}, headers=SIGNED)

    assert answered.status_code == 200
    assert answered.json["path"] == PATH
    assert answered.json["route"] == "/v1/stream/**"
    first, second = answered.json["streams"]
    assert (first["partition"], second["partition"]) == ("anonymous", "credential")
    assert first["viewers"] == 3
    assert first["held"] == [
        {"start": "-1", "end": "7", "bytes": 5},
        {"start": "9", "end": "12", "bytes": 3},
    ]
    assert (first["pieces"], first["age"], first["grown"]) == (2, 0.25, 1.5)
    assert first["follower"] == {"state": "asking", "by_events": True}
    assert (first["waiting"], first["away"], first["retry_in"]) == (
        4,
        "origin-timeout",
        0.5,
    )
    assert first["faults"] == [
        {"reason": "origin-timeout", "times": 3, "last": 1_800_000_000.0}
    ]


@pytest.mark.parametrize("path", ["/v1/stream/unknown", "/elsewhere", "", "x"])
def test_of_a_path_that_nobody_knows_nothing_is_shown(path: str) -> None:
    refused = operator(FakeControl([row()]), None).get(
        "/streams", params={"path": path}
    )

    assert (refused.status_code, refused.json["reason"]) == (404, "not-found")


def test_one_stream_needs_the_token_where_one_is_set() -> None:
    """Paths may be secrets."""
    asked = operator(FakeControl([row()])).get("/streams", params={"path": PATH})

    assert asked.status_code == 401
