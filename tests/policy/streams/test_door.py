"""The door: a path means one thing, or is not asked for (B1)."""

import pytest

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.policy.streams.authorize import AccessVerdict, RequestHead
from edge.policy.streams.pipeline import RequestPipeline
from edge.policy.streams.routes import Access, Route
from tests.support.requests import NOBODY

PUBLIC = Route("/v1/stream/public/**", Access.PUBLIC)
SECRET = Route("/v1/stream/secret/*", Access.GRANTED)
OTHER = Route("/v1/stream/**", Access.PARTITIONED)


def asked(path: str, *routes: Route) -> tuple[int, Reason] | Route | None:
    """How a path is refused, or its route."""
    pipeline = RequestPipeline(routes)
    route = pipeline.find_route(path)
    try:
        pipeline.resolve(RequestHead.of("GET", path, NOBODY), route, 0.0)
    except ClientFault as fault:
        return fault.status, fault.reason
    return route


@pytest.mark.parametrize(
    "path",
    [
        "/v1/stream/secre%74/a",
        "/v1/stream/Secret/a",
        "/v1/STREAM/secret/a",
        "/v1/stream//secret/a",
        "/v1//stream/secret/a",
        "/v1/stream%2Fsecret/a",
        "/v1/stream/secret%2fa",
        "/V1/Stre%61m//%73ECRET/a",
        "/v1/stream/secret;x/a",
        "/v1/stream/%53ecret%3Bx/a",
        "/v1/stream;x/;y/secret/a",
        "/v1/stream/secret/a/",
        "/v1/stream/secret/a;x/;y",
    ],
)
@pytest.mark.parametrize("others", [(), (OTHER,)], ids=["alone", "beside"])
def test_a_path_that_may_be_read_as_a_judged_one_is_ambiguous(
    path: str, others: tuple[Route, ...]
) -> None:
    """An origin may decode, merge slashes or ignore case."""
    assert asked(path, SECRET, *others) == (400, Reason.BAD_PATH)


def test_a_path_that_is_judged_by_its_raw_form_may_have_such_segments() -> None:
    """However it is read, it is judged; and a later route is the operator's choice."""
    judged = Route("/v1/stream/secret/**", Access.GRANTED)
    for path in ("/v1/stream/secret/a;x/b", "/v1/stream/secret/a/"):
        assert asked(path, judged, OTHER) is judged
    assert asked("/v1/stream/a;x/b/", SECRET, OTHER) is OTHER


def test_no_parameter_of_a_segment_makes_a_stream_public() -> None:
    """Servlet containers read ``secret``."""
    public = Route("/v1/stream/*-public", Access.PUBLIC)
    judged = Route("/v1/stream/**", Access.GRANTED)

    for path in ("/v1/stream/secret;-public", "/v1/stream/secret%3b-public"):
        assert asked(path, public, judged) == (400, Reason.BAD_PATH)
    assert asked("/v1/stream/a-public", public, judged) is public


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/v1/stream/%73ecret/a", "/v1/stream/%73ecret/*"),
        ("/v1/stream/%53ecret/a", "/v1/stream/%53*/*"),
        ("/v1/stream/Secret/a", "/v1/stream/Secret/*"),
    ],
)
def test_a_later_route_counts_where_it_judges(path: str, match: str) -> None:
    """However the earlier one is written; and where nobody does, it counts for
    nothing."""
    route = Route(match)

    assert asked(path, route, SECRET) == (400, Reason.BAD_PATH)
    assert asked(path, route, Route("/v1/stream/secret/*")) is route


def test_which_of_two_routes_holds_is_the_operators_choice() -> None:
    """As long as no other reading takes the first one away."""
    first, rest = Route("/v1/stream/*"), Route("/v1/**", Access.GRANTED)

    assert asked("/v1/stream/A%20b", first, rest) is first
    assert asked("/v1/stream/a%2Fb", first, rest) == (400, Reason.BAD_PATH)


@pytest.mark.parametrize("path", ["/", "/other", "/v1/stream", "/v1/streams/secret/a"])
def test_a_path_on_no_route_is_not_found(path: str) -> None:
    assert asked(path, SECRET) == (404, Reason.NOT_FOUND)


def test_an_earlier_route_counts_though_nobody_is_judged_there() -> None:
    """Whoever judges on the later one would be asked for the earlier one's stream."""
    routes = (PUBLIC, Route("/v1/stream/**", Access.GRANTED))

    assert asked("/v1/stream/%70ublic/a", *routes) == (400, Reason.BAD_PATH)
    assert asked("/v1/stream/public/a", *routes) is PUBLIC


@pytest.mark.parametrize(
    "path",
    ["/v1/stream/secret/a", "/v1/stream/secret/a%20b", "/v1/stream/secret/%C3%A4"],
)
def test_what_means_one_thing_goes_on(path: str) -> None:
    """Also with octets that must be encoded."""
    assert asked(path, SECRET, OTHER) is SECRET


def test_a_route_that_is_written_in_capitals_is_met_as_it_is_written() -> None:
    route = Route("/v1/Rooms/**", Access.GRANTED)

    assert asked("/v1/Rooms/a", route) is route
    assert asked("/v1/rooms/a", route) == (400, Reason.BAD_PATH)


def test_a_name_in_a_route_stands_for_a_segment_however_it_is_read() -> None:
    route = Route("/v1/stream/users/{sub}/**", Access.GRANTED)

    assert asked("/v1/stream/users/Alice/a", route, OTHER) is route
    assert asked("/v1/stream/USERS/alice/a", route, OTHER) == (400, Reason.BAD_PATH)


@pytest.mark.parametrize("path", ["/other", "/v1/STREAM/a", "/v1/stream//a"])
def test_where_nobody_judges_there_is_no_door(path: str) -> None:
    """A12: everything passes, as ever."""
    route = asked(path, PUBLIC, OTHER)

    assert route is None or route is OTHER


def test_the_pipeline_asks_the_door_before_anybody_judges() -> None:
    """Of any method; also for a path on no route, which nobody would judge."""

    def judge(route: Route, request: RequestHead, now: float) -> AccessVerdict:
        raise AssertionError("judged")

    pipeline = RequestPipeline((SECRET, OTHER), judge)
    for path, status in (("/other", 404), ("/v1/stream/SECRET/a", 400)):
        route = pipeline.find_route(path)
        with pytest.raises(ClientFault) as raised:
            pipeline.resolve(RequestHead.of("POST", path, NOBODY), route, 0.0)
        assert raised.value.status == status
