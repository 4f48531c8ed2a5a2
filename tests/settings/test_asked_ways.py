"""Settings of the ways that ask: what they come to, and what must not be.

A16, B7, B11.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.policy.streams.routes import UpstreamCredential
from edge.policy.streams.ways import ForwardWay, OriginWay
from edge.settings import Settings, SettingsError, load
from edge.settings.dump import as_data

URL = "https://app.example/authorize?a=1"
JWT = {
    "keys": [{"secret": "0123456789abcdef0123456789abcdef"}],
    "algorithms": ["HS256"],
    "read_claim": "read",
}


def settings(access: Any, tmp_path: Path, **route: Any) -> Settings:
    path = tmp_path / "edge.yaml"
    tree = {"routes": [{"match": "/v1/stream/**", "access": access, **route}]}
    path.write_text(json.dumps(tree))
    return load(path, {})


def wrong(access: Any, tmp_path: Path, **route: Any) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        settings(access, tmp_path, **route)
    return [f"{one.key}: {one.message}" for one in raised.value.problems]


def test_an_endpoint_is_asked_about_what_it_lists(tmp_path: Path) -> None:
    access = {
        "forward": {
            "url": URL,
            "headers": ["Authorization", "X-Session"],
            "parameters": ["ticket"],
            "cache": "5s",
            "timeout": "500ms",
            "identity_header": "X-User",
        }
    }
    made = settings(access, tmp_path)
    [route] = made.route_table

    assert route.ways == (
        ForwardWay(
            URL, ("authorization", "x-session"), ("ticket",), 5.0, 0.5, "x-user"
        ),
    )
    assert route.credential_headers == ("authorization", "x-session")
    assert route.credential_parameters == ("ticket",)
    assert route.judged_headers == ("host",)
    assert route.upstream is UpstreamCredential.OWN
    assert as_data(made)["routes"][0]["access"]["forward"]["url"] == URL


def test_the_origin_is_asked_about_whole_credentials(tmp_path: Path) -> None:
    [route] = settings({"origin": {}}, tmp_path).route_table

    assert route.ways == (OriginWay(),)
    assert route.credential_headers == ("authorization", "cookie")
    assert route.credential_parameters == ("secret", "signature", "token")
    assert route.judged_headers == ()


@pytest.mark.parametrize(
    ("access", "written", "credential"),
    [
        ({"origin": {}}, {}, UpstreamCredential.LENT),
        ({"origin": {}}, {"upstream": "lent"}, UpstreamCredential.LENT),
        ({"origin": {}}, {"upstream": "own"}, UpstreamCredential.OWN),
        ({"jwt": JWT, "origin": {"parameters": []}}, {"upstream": "own"}, None),
        ({"forward": {"url": URL}}, {}, UpstreamCredential.OWN),
        ({"jwt": JWT}, {"upstream": "own"}, UpstreamCredential.OWN),
        ("partitioned", {}, UpstreamCredential.OWN),
    ],
)
def test_who_is_let_in_by_the_origin_lends(
    access: Any, written: dict[str, str], credential: Any, tmp_path: Path
) -> None:
    """B7: unless the operator says otherwise."""
    [route] = settings(access, tmp_path, **written).route_table

    assert route.upstream is (credential or UpstreamCredential.OWN)


@pytest.mark.parametrize(
    ("access", "written", "message"),
    [
        ({"jwt": JWT, "origin": {}}, {}, "must be own where origin stands beside"),
        ({"jwt": JWT}, {"upstream": "lent"}, "lent is for the way origin alone"),
        (
            {"jwt": JWT, "origin": {}},
            {"upstream": "lent"},
            "lent is for the way origin alone",
        ),
        ("public", {"upstream": "own"}, "is for routes with ways"),
        ("public", {"upstream": "lent"}, "lent is for the way origin alone"),
    ],
)
def test_nobody_lends_who_has_nothing_to_lend(
    access: Any, written: dict[str, str], message: str, tmp_path: Path
) -> None:
    """B7."""
    [said] = wrong(access, tmp_path, **written)

    assert said.startswith("routes[0].upstream: ") and message in said


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://app.example/authorize", "must be https, or http on this machine"),
        ("http://127.0.0.1.example/", "must be https, or http on this machine"),
        ("http://localhost@app.example/", "expected a URL"),
        ("ftp://app.example/", "expected a URL"),
        ("https:///authorize", "expected a URL"),
        ("https://me@app.example/", "without user and fragment"),
        ("https://app.example/#a", "without user and fragment"),
        ("https://app.example:99999/", "without user and fragment"),
        ("https://app.example/a b", "expected a URL"),
        ("http://127.0.0.1:8080/authorize", "is this edge's own address (listen)"),
        ("http://127.0.0.1:8081/", "is this edge's own address (admin.listen)"),
        (7, "expected a URL"),
    ],
)
def test_an_endpoint_that_anybody_could_answer_for_is_refused(
    url: Any, message: str, tmp_path: Path
) -> None:
    """A16: and one that would ask itself."""
    [said] = wrong({"forward": {"url": url}}, tmp_path)

    assert said.startswith("routes[0].access.forward") and message in said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3000/a", "http://localhost:3000", "http://[::1]:3000/a"]
)
def test_this_machine_may_answer_in_the_clear(url: str, tmp_path: Path) -> None:
    settings({"forward": {"url": url}}, tmp_path)


def test_a_trusted_network_may_too_if_it_is_said(tmp_path: Path) -> None:
    url = "http://app:3000/authorize"
    settings({"forward": {"url": url, "allow_insecure": True}}, tmp_path)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ({"forward": {"url": URL, "headers": ["Via"]}}, "the edge builds its own"),
        (
            {"forward": {"url": URL, "headers": ["X-Forwarded-For"]}},
            "the edge builds its own",
        ),
        ({"forward": {"url": URL, "headers": ["a", "A"]}}, "stands twice"),
        ({"forward": {"url": URL, "parameters": ["a", "a"]}}, "stands twice"),
        ({"forward": {"url": URL, "parameters": ["offset"]}}, "of the protocol"),
        ({"forward": {"url": URL, "cache": "0s"}}, "at least 1s"),
        ({"origin": {"headers": ["range"]}}, "the edge builds its own"),
        ({"origin": {"headers": [], "parameters": []}}, "what is a credential?"),
        ({"origin": {"trust": "0s"}}, "at least 1s"),
        ({"forward": {}}, "required"),
    ],
)
def test_what_would_not_mean_what_it_seems_is_refused(
    way: Any, message: str, tmp_path: Path
) -> None:
    [said] = wrong(way, tmp_path)

    assert message.lower() in said.lower()


def test_who_judges_everybody_is_the_last_to_be_tried(tmp_path: Path) -> None:
    """B11: no request would come to the ways behind it."""
    forward = {"url": URL}
    settings({"jwt": JWT, "forward": forward}, tmp_path)
    [said] = wrong({"forward": forward, "jwt": JWT}, tmp_path)

    assert said.startswith("routes[0].access: forward must be the last way")


def test_two_ways_do_not_look_at_one_parameter(tmp_path: Path) -> None:
    jwt = JWT | {"sources": [{"query": "token"}]}
    said, *_ = wrong({"jwt": jwt, "origin": {}}, tmp_path, upstream="own")

    assert "two ways look at one parameter" in said
