"""The admin address: its pages, byte for byte, the token, and what parts contribute."""

from typing import Any

import pytest
from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.metrics import Metrics
from edge.admin.probes import probes
from edge.admin.routes import AdminRequest, AdminRoute, json_page
from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.core.values import Answer


def operator(
    counters: Counters | None = None, ready: bool = True, token: str | None = None
) -> testing.TestClient:
    """A client of the admin address."""
    metrics = Metrics(counters or Counters(), lambda: {"viewers": 2.0})
    routes = [*probes(lambda: None if ready else Reason.DRAINING), *metrics.routes()]
    return testing.TestClient(create_admin_app(routes, token))


def test_the_process_is_healthy_even_when_it_is_not_ready() -> None:
    """Restarting it would not help."""
    client = operator(ready=False)

    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 503
    assert client.get("/ready").headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic s3cret", 401),
        ("Bearer s3cret", 200),
        ("bearer  s3cret", 200),
        ("Bearer s\xe9cret", 401),
    ],
)
def test_a_token_guards_the_metrics(given: str | None, status: int) -> None:
    """P12: where one is set."""
    headers = {} if given is None else {"Authorization": given}
    answered = operator(token="s3cret").get("/metrics", headers=headers)

    assert answered.status_code == status
    assert answered.headers["www-authenticate"] == "Bearer"


def test_probes_need_no_token() -> None:
    """They tell nothing that an open port would not."""
    client = operator(token="s3cret")

    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200
    assert client.get("/other").status_code == 401


def test_what_is_no_page_is_a_problem() -> None:
    """404, or 405 with what is allowed."""
    client = operator()

    assert client.get("/other").json["reason"] == "not-found"
    refused = client.post("/metrics")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def answered(route: AdminRoute, query: str = "", method: str = "GET") -> Any:
    """What an address says to which one page was contributed."""
    client = testing.TestClient(create_admin_app([route], None))
    return client.simulate_request(method, route.path, query_string=query)


def test_a_part_contributes_its_pages_as_values() -> None:
    """It is given the parameters, decoded; it knows no web framework."""

    def shown(request: AdminRequest) -> Answer:
        return json_page(request.parameters)

    page = answered(AdminRoute("/shown", shown), "a=1&b=%2Fx%20y&c=")

    assert page.json == [["a", "1"], ["b", "/x y"], ["c", ""]]
    assert page.headers["allow"] == "GET, HEAD"


def test_a_page_says_which_methods_it_takes() -> None:
    route = AdminRoute("/do", lambda _: json_page({}), ("POST", "PUT"))

    assert answered(route, method="PUT").status_code == 200
    refused = answered(route, method="GET")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, PUT")
    assert refused.json["detail"] == "This page takes POST and PUT."


def test_a_page_that_fails_is_a_problem_without_detail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with its traceback, and the other pages go on."""

    def broken(_request: AdminRequest) -> Answer:
        raise ZeroDivisionError("as the test asked")

    page = answered(AdminRoute("/broken", broken))

    assert (page.status_code, page.json["reason"]) == (500, "internal")
    assert "as the test asked" not in page.text
    assert "as the test asked" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/health", "200 OK", "healthy\n"),
        ("HEAD", "/health", "200 OK", "healthy\n"),
        ("GET", "/ready", "503 Service Unavailable", ("Not ready.", "draining")),
        (
            "POST",
            "/health",
            "405 Method Not Allowed",
            ("This page is read by GET.", "bad-head"),
        ),
        ("GET", "/other", "404 Not Found", ("No such page.", "not-found")),
    ],
)
def test_what_monitors_see_is_pinned(
    method: str, path: str, status: str, body: str | tuple[str, str]
) -> None:
    """Whoever contributes the pages, they and their errors are these bytes."""
    page = operator(ready=False).simulate_request(
        method, path, headers={"X-Request-Id": "given"}
    )
    kind = "text/plain; charset=utf-8"
    if isinstance(body, tuple):
        kind = "application/problem+json"
        body = (
            f'{{"type":"about:blank","title":"{status[4:]}","status":{status[:3]},'
            f'"detail":"{body[0]}","reason":"{body[1]}","instance":"given"}}'
        )

    assert page.status == status
    assert page.text == ("" if method == "HEAD" else body)
    assert dict(page.headers) == {
        "content-type": kind,
        "cache-control": "no-store",
        **({"retry-after": "1"} if status.startswith("503") else {}),
        "x-content-type-options": "nosniff",
        "allow": "GET, HEAD",
        "www-authenticate": "Bearer",
        "content-length": str(len(body)),
    }


def page_status(host: str, *, token: str | None = None, path: str = "/metrics") -> int:
    """How a request by this name is answered; ``edge.internal`` is a name we know."""
    metrics = Metrics(Counters(), dict)
    routes = [*probes(lambda: None), *metrics.routes()]
    app = create_admin_app(routes, token, frozenset({"edge.internal"}))
    answered = testing.TestClient(app).get(path, headers={"Host": host})
    if answered.status_code == 403:
        assert answered.json["reason"] == "host-not-known"
    return answered.status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8081", 200),
        ("10.1.2.3", 200),
        ("[::1]:8081", 200),
        ("localhost:8081", 200),
        ("LOCALHOST.", 200),
        ("edge.internal:8081", 200),
        ("evil.example:8081", 403),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8081", 403),
        ("localhost.evil.example", 403),
        ("0x7f000001", 403),
        ("127.1:8081", 403),
        ("", 403),
    ],
)
def test_without_a_token_only_known_names_lead_here(host: str, status: int) -> None:
    """A web page whose name was made to lead here would read it as its own."""
    assert page_status(host) == status


def test_a_token_or_a_page_that_tells_nothing_needs_no_known_name() -> None:
    """A page of another name has no token."""
    assert page_status("evil.example", token="s3cret-s3cret") == 401
    assert page_status("evil.example", path="/health") == 200
    assert page_status("evil.example", path="/other") == 403
