"""What keys must not say together: each a case, and its nearest allowed one."""

import json
from pathlib import Path

import pytest

from edge.settings import OriginSettings, SettingsError, cross_checks, load
from edge.settings.cross_checks import EMBEDDED_KEYS

LARGE = {"DS_EDGE_CACHE__MEMORY": "4GiB"}
ORIGIN = {"DS_EDGE_ORIGIN__URL": "http://origin.example:4437"}


def told(**variables: str) -> list[str]:
    """The problems of settings made of variables, without where they stand."""
    environ = ORIGIN | {f"DS_EDGE_{name}": text for name, text in variables.items()}
    try:
        load(None, environ)
    except SettingsError as error:
        return [f"{problem.key}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("workers", "keepers", "problem"),
    [
        ("1", "0", None),
        ("1", "auto", None),
        ("1", "1", "keepers: is for several workers, and workers is 1"),
        ("2", "0", "keepers: must be at least 1: workers share their streams by"),
        ("2", "auto", None),
        ("2", "3", None),
        ("auto", "0", None),
        ("auto", "2", None),
        ("auto", "auto", None),
    ],
)
def test_several_workers_have_keepers_and_one_has_none(
    workers: str, keepers: str, problem: str | None
) -> None:
    """E53: each would ask the origin for itself."""
    found = told(WORKERS=workers, KEEPERS=keepers)

    assert [f[: len(problem or "")] for f in found] == ([problem] if problem else [])


def test_each_process_must_hold_two_objects() -> None:
    """W13: or one would evict everything else there."""
    tight = {"CACHE__MEMORY": "256MiB", "CACHE__MAX_OBJECT": "16MiB"}
    (fronts,) = told(WORKERS="3", **tight)
    (keepers,) = told(WORKERS="2", KEEPERS="7", **tight)

    assert fronts.startswith("workers: 256MiB of cache.memory are too little for 3")
    assert "set at least 384MiB" in fronts
    assert "too little for 2 workers and 7 keepers" in keepers
    assert told(WORKERS="3", **tight | {"CACHE__MEMORY": "384MiB"}) == []
    assert told(WORKERS="auto", CACHE__MEMORY="32MiB") == []


def test_each_keeper_must_reach_the_origin() -> None:
    few = {"ORIGIN__CONNECTIONS": "12", "ORIGIN__MAX_FOLLOWERS": "4"}
    (problem,) = told(WORKERS="2", KEEPERS="4", **few)

    assert problem.startswith("keepers: origin.connections (12) and")
    assert told(WORKERS="2", KEEPERS="3", **few) == []


def test_a_full_share_of_the_memory_counts_for_recycling() -> None:
    """A front's cache is an eighth of the node's here, a keeper's three quarters."""
    memory = {"CACHE__MEMORY": "1GiB", "WORKERS": "2"}
    (problem,) = told(RECYCLE__MEMORY="800MiB", **memory)

    assert problem.startswith("recycle.memory: must be at least 896MiB")
    assert told(RECYCLE__MEMORY="896MiB", **memory) == []


@pytest.mark.parametrize(
    ("listen", "admin", "allowed"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", False),
        (":80", "127.0.0.1:80", False),
        ("127.0.0.1:0", "127.0.0.1:0", True),
        ("unix:/run/a.sock", "unix:/run/a.sock", False),
        ("unix:/run/a.sock", "127.0.0.1:80", True),
    ],
)
def test_clients_and_operators_have_their_own_addresses(
    listen: str, admin: str, allowed: bool
) -> None:
    problems = told(LISTEN=listen, ADMIN__LISTEN=admin)

    assert (problems == []) is allowed
    assert all(problem.startswith("admin.listen: is taken") for problem in problems)


@pytest.mark.parametrize(
    ("url", "listen"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080", ":8080"),
        ("http://localhost:8080", "[::]:8080"),
        ("http://0.0.0.0:8080", "127.0.0.1:8080"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_an_edge_is_not_put_before_itself(url: str, listen: str) -> None:
    (problem,) = told(ORIGIN__URL=url, LISTEN=listen)

    assert problem.startswith("origin.url: is this edge's own address (listen)")


@pytest.mark.parametrize("url", ["http://shield:8080", "http://10.0.0.7:8080"])
def test_another_machine_may_have_the_same_port(url: str) -> None:
    """As containers do; one that is this machine all the same answers 508."""
    assert told(ORIGIN__URL=url, LISTEN=":8080") == []


def test_an_origin_on_the_same_machine_is_none_of_the_edge() -> None:
    assert told(ORIGIN__URL="http://127.0.0.1:4437") == []
    assert told(ORIGIN__URL="unix:/run/o.sock", LISTEN="unix:/run/e.sock") == []


def test_a_page_fits_an_object_and_an_object_the_memory() -> None:
    (page,) = told(CACHE__MAX_PAGE="32MiB")
    (whole,) = told(CACHE__MAX_OBJECT="1GiB")

    assert page.startswith("cache.max_page: is above cache.max_object (16MiB)")
    assert whole.startswith("cache.max_object: is above cache.memory (256MiB)")
    assert told(CACHE__MAX_PAGE="16MiB", CACHE__MEMORY="16MiB") == []


def test_what_is_spooled_is_larger_than_what_is_held() -> None:
    """S1: a spool that nobody has sized grows with what is held."""
    (small,) = told(CACHE__SPOOL__SIZE="16MiB")
    (idle,) = told(CACHE__SPOOL__SIZE="null", CACHE__SPOOL__PATH="/var/tmp")

    assert small.startswith("cache.spool.size: must be at least 17MiB")
    assert idle.startswith("cache.spool.path: is of no use")
    assert told(CACHE__SPOOL__SIZE="17MiB") == told(CACHE__SPOOL__SIZE="null") == []
    assert told(CACHE__MAX_OBJECT="4GiB", CACHE__MEMORY="4GiB") == []
    grown = load(None, {"DS_EDGE_CACHE__MAX_OBJECT": "4GiB"} | LARGE)
    assert grown.cache.spool_size == 16 << 30


def test_a_disk_holds_more_than_the_memory_does() -> None:
    """S2."""
    (small,) = told(CACHE__DISK__PATH="/d", CACHE__DISK__SIZE="1MiB")

    assert small.startswith("cache.disk.size: is below cache.max_object (16MiB)")
    assert told(CACHE__DISK__PATH="/d") == told(CACHE__DISK__SIZE="1MiB") == []


def test_a_wrong_spool_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("cache:\n  spool:\n    path: /var/tmp\n    size: 1MiB\n")
    with pytest.raises(SettingsError) as caught:
        load(str(file), {})

    assert "edge.yaml:4: cache.spool.size: must be at least 17MiB" in str(caught.value)


def test_a_full_cache_alone_replaces_no_worker() -> None:
    """Or it would be replaced as often as its cache is full."""
    (problem,) = told(RECYCLE__MEMORY="300MiB")

    assert problem.startswith("recycle.memory: must be at least 384MiB")
    assert told(RECYCLE__MEMORY="384MiB") == []


def test_trust_ends_with_verification() -> None:
    """L6, L14."""
    (problem,) = told(CACHE__TRUST="2m")

    assert problem.startswith("cache.trust: is above cache.verify (1m)")
    assert told(CACHE__TRUST="60s") == []


def test_age_stays_below_max_age() -> None:
    """L16: Age counts from the last confirmation, at most verify ago."""
    (problem,) = told(CACHE__CLOSED_MAX_AGE="30s")

    assert problem.startswith("cache.closed_max_age: is below cache.verify (1m)")
    assert told(CACHE__CLOSED_MAX_AGE="0") == []
    assert told(CACHE__CLOSED_MAX_AGE="30s", CACHE__VERIFY="30s") == []


def test_followers_leave_connections_for_everything_else() -> None:
    """L24."""
    (problem,) = told(ORIGIN__CONNECTIONS="514")

    assert problem.startswith("origin.max_followers: must be at least 3 below")
    assert told(ORIGIN__CONNECTIONS="515") == []


def test_the_pools_add_up_to_all_connections() -> None:
    """L24: each kind of call is bounded by itself."""
    origin = load(None, ORIGIN | {"DS_EDGE_ORIGIN__CONNECTIONS": "516"}).origin

    reads, writes = origin.catch_up_connections, origin.write_connections
    pools = (reads, writes, origin.relay_connections)

    assert pools == (2, 1, 1)
    assert sum(pools) + origin.max_followers == origin.connections


@pytest.mark.parametrize(
    ("connections", "left"), [("515", 0), ("527", 2), ("1024", 43)]
)
def test_reads_that_pass_leave_connections_to_what_is_no_stream(
    connections: str, left: int
) -> None:
    """L24: a quarter of those for what passes one to one, if there are that many."""
    origin = load(None, ORIGIN | {"DS_EDGE_ORIGIN__CONNECTIONS": connections}).origin

    assert origin.max_relays >= 1
    assert origin.relay_connections - origin.max_relays == left


def test_a_route_that_is_never_met_is_told() -> None:
    (problem,) = told(ROUTES="[{match: /a}, {match: /b}, {match: /a}]")

    assert problem.startswith("routes[2].match: is the same as routes[0].match")


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ("request_headers: [If-None-Match]", "request_headers: cannot hold if-none"),
        ("request_headers: [Traceparent]", "request_headers: cannot hold traceparent"),
        ("request_headers: [X-Request-Id]", "request_headers: cannot hold x-request"),
        ("request_headers: [range]", "request_headers: cannot hold range: the edge"),
        (
            "access: public, request_headers: [Authorization]",
            "request_headers: cannot hold authorization: a public route sends no",
        ),
        ("response_headers: [ETag]", "response_headers: cannot hold etag: the edge"),
        (
            "response_headers: [Access-Control-Allow-Origin]",
            "response_headers: cannot hold access-control-allow-origin: the edge",
        ),
        (
            "response_headers: [cross-origin-resource-policy]",
            "response_headers: cannot hold cross-origin-resource-policy: the edge",
        ),
        (
            "response_headers: [set-cookie]",
            "response_headers: cannot hold set-cookie: an answer that sets a cookie",
        ),
    ],
)
def test_a_route_cannot_forward_what_the_edge_builds(route: str, problem: str) -> None:
    """L12, L13, L15, L18; E26, E30, E31, E33."""
    (told_of,) = told(ROUTES=f"[{{{route}}}]")

    assert told_of.startswith(f"routes[0].{problem}")


def test_a_template_of_tags_names_what_its_route_names() -> None:
    """L28; and no space or comma parts a tag."""
    room = {"match": "/v1/rooms/{room}/**", "tags": ["room-{room}", "rooms"]}
    assert told(ROUTES=json.dumps([room])) == []
    (lost,) = told(ROUTES=json.dumps([room | {"tags": ["{user}"]}]))
    (many,) = told(ROUTES=json.dumps([{"tags": list("abcdefghijklmnopq")}]))

    assert lost == "routes[0].tags: match has no segment {user}"
    assert many == "routes[0].tags: expected at most 16 of them"


@pytest.mark.parametrize("tag", ["a b", "a,b", '"', "{room", "", "é"])
def test_no_template_parts_a_field(tag: str) -> None:
    (told_of,) = told(ROUTES=json.dumps([{"tags": [tag]}]))

    assert told_of.startswith("routes[0].tags[0]: expected a tag")


def test_a_route_may_forward_what_is_its_own() -> None:
    assert told(ROUTES="[{request_headers: [x-a], response_headers: [x-b]}]") == []


@pytest.mark.parametrize(
    ("origins", "problem"),
    [
        ("", 'cors_credentials: cannot be with "*": every page on the web could read'),
        ("cors_origins: ['*'], ", 'cors_credentials: cannot be with "*": every page'),
        ("cors_origins: '*', ", 'cors_credentials: cannot be with "*": every page'),
        ("cors_origins: [], ", "cors_credentials: is without effect: cors_origins"),
    ],
)
def test_pages_that_may_send_cookies_are_named(origins: str, problem: str) -> None:
    """A11: a browser sends them by itself, whichever page asks."""
    (told_of,) = told(ROUTES=f"[{{{origins}cors_credentials: true}}]")

    assert told_of.startswith(f"routes[0].{problem}")


def test_a_list_allows_credentials_and_needs_none() -> None:
    listed = "cors_origins: [https://app.example, 'https://*.app.example']"

    assert told(ROUTES=f"[{{{listed}, cors_credentials: true}}]") == []
    assert told(ROUTES=f"[{{{listed}}}]") == []
    assert told(ROUTES="[{cors_origins: []}]") == []
    assert told(ROUTES="[{cors_origins: '*'}]") == []


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("data", "elsewhere"),
        ("durability", "os"),
        ("retention_age", "30d"),
        ("retention_size", "1GiB"),
        ("max_body", "1MiB"),
        ("local_webhooks", "true"),
    ],
)
def test_what_only_the_embedded_origin_understands_is_said_to_no_other(
    key: str, text: str
) -> None:
    """A durability that another origin does not keep would be a false promise."""
    assert told(**{f"ORIGIN__{key.upper()}": text}) == [
        f"origin.{key}: is for the embedded origin, and origin.url names another"
    ]
    assert told(**{f"ORIGIN__{key.upper()}": text}, ORIGIN__URL="embedded") == []


def test_the_list_of_embedded_keys_is_whole() -> None:
    """The schema has them side by side, between ``url`` and ``host``."""
    keys = list(OriginSettings.model_fields)

    assert tuple(keys[1 : keys.index("host")]) == EMBEDDED_KEYS


def test_an_edge_does_not_listen_at_its_origin_s_socket() -> None:
    problems = told(
        ORIGIN__URL="embedded", ORIGIN__DATA="/d", LISTEN="unix:/d/origin.sock"
    )

    assert len(problems) == 1
    assert problems[0].startswith("origin.url: is this edge's own address (listen)")


def test_a_listener_where_anybody_may_say_that_it_is_anybody_is_told() -> None:
    """P14: it works, and only a network that nobody else reaches makes it safe."""
    listen = {"DS_EDGE_LISTEN": "[{address: ':1', proxy_protocol: true}]"}
    [warning] = cross_checks.warnings(load(None, listen))

    assert warning.path == ("listen",) and "trusted_proxies" in warning.message
    proxies = {"DS_EDGE_TRUSTED_PROXIES": "[10.0.0.0/8]"}
    assert not list(cross_checks.warnings(load(None, listen | proxies)))
