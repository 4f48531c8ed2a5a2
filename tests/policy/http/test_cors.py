"""CORS as a setting of the route, and the browser's security fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Headers
from edge.policy.http.cors import (
    CorsPolicy,
    is_listed,
    preflight,
    request_fields,
    route_fields,
    serialised,
)
from edge.protocol import names

ANYBODY = CorsPolicy()
SHUT = CorsPolicy(())
LISTED = CorsPolicy(("https://app.example", "https://*.sub.example:8443"))
TRUSTED = CorsPolicy(LISTED.origins, credentials=True)
PAGE = "https://app.example"
ELSEWHERE = "https://evil.example"

POLICIES = [ANYBODY, SHUT, LISTED, TRUSTED, CorsPolicy(LISTED.origins, embeds=False)]
every_policy = pytest.mark.parametrize("policy", POLICIES)


def fields_of(policy: CorsPolicy, origin: str | None = None) -> dict[str, str]:
    """All fields of an answer to a request with this Origin, each there once."""
    fields: Headers = route_fields(policy)
    if policy.by_list:
        fields += request_fields(policy, origin)
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def listed(
    name: str,
    method: str | None = "GET",
    asked: str | None = None,
    sent: tuple[str, ...] = (),
) -> list[str]:
    """The members of one list field of a preflight's answer."""
    return dict(preflight(ANYBODY, sent, None, method, asked))[name].split(", ")


@every_policy
@pytest.mark.parametrize("origin", [None, PAGE, ELSEWHERE])
def test_every_answer_forbids_sniffing(policy: CorsPolicy, origin: str | None) -> None:
    """PROTOCOL.md section 12.7; E4."""
    fields = fields_of(policy, origin)

    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Cross-Origin-Resource-Policy"] in ("cross-origin", "same-origin")


def test_anybody_may_read_without_credentials() -> None:
    """L18: ``*`` and credentials never go together; who asks makes no difference."""
    fields = fields_of(ANYBODY)

    assert fields["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in fields
    assert not ANYBODY.by_list
    for origin in (PAGE, "null", "*", ""):
        assert fields_of(ANYBODY, origin) == fields


@pytest.mark.parametrize("origin", [PAGE, "https://a.sub.example:8443"])
def test_a_listed_page_is_told_its_own_name(origin: str) -> None:
    """A11: and what it may read; with credentials only where the route says so."""
    fields = fields_of(LISTED, origin)

    assert fields["Access-Control-Allow-Origin"] == origin
    assert "ETag" in fields["Access-Control-Expose-Headers"].split(", ")
    assert "Access-Control-Allow-Credentials" not in fields
    assert fields_of(TRUSTED, origin) == (
        {**fields, "Access-Control-Allow-Credentials": "true"}
    )


@pytest.mark.parametrize("policy", [LISTED, TRUSTED])
@pytest.mark.parametrize("origin", [None, "", "null", "*", ELSEWHERE])
def test_any_other_page_is_told_nothing(policy: CorsPolicy, origin: str | None) -> None:
    """A11, B10: ``null`` is whatever page hides its name."""
    fields = fields_of(policy, origin)

    assert "Access-Control-Allow-Origin" not in fields
    assert "Access-Control-Allow-Credentials" not in fields


@pytest.mark.parametrize("policy", [LISTED, TRUSTED])
def test_what_depends_on_the_page_is_in_no_field_of_the_route(
    policy: CorsPolicy,
) -> None:
    """B23: those of the route are kept with what many share."""
    shared = dict(route_fields(policy))

    assert not [name for name in shared if "Allow" in name]
    assert policy.by_list


def test_a_page_that_is_not_listed_embeds_nothing_of_a_route_with_cookies() -> None:
    """B10."""
    name = "Cross-Origin-Resource-Policy"
    closed = CorsPolicy(LISTED.origins, embeds=False)

    assert fields_of(closed, PAGE)[name] == "cross-origin"
    for origin in (None, "null", ELSEWHERE):
        assert fields_of(closed, origin)[name] == "same-origin"
    assert fields_of(CorsPolicy(embeds=False), PAGE)[name] == "same-origin"
    assert fields_of(CorsPolicy((), embeds=False), PAGE)[name] == "same-origin"


@pytest.mark.parametrize(
    "origin",
    [
        "HTTPS://app.example",
        "https://App.example",
        "https://app.example:443",
        "https://app.example:444",
        "https://app.example.",
        "https://app.example/",
        "https://app.example/x",
        "https://app.example?x",
        "https://u@app.example",
        "https://app.example@evil.example",
        "https://app.example, https://app.example",
        "https://app.example https://evil.example",
        "https://app.example\x00",
        " https://app.example",
        "http://app.example",
        "https://app.example.evil.example",
        "https://evilapp.example",
        "https://xn--pp-yia.example",
        "https://*.sub.example:8443",
        "https://sub.example:8443",
        "https://.sub.example:8443",
        "https://a..sub.example:8443",
        "https://a.sub.example",
        "https://a.sub.example:443",
        "http://a.sub.example:8443",
        "https://u@a.sub.example:8443",
        "https://evil.example/a.sub.example:8443",
        "https://evil.example:1.sub.example:8443",
        "https://evil.example#.sub.example:8443",
        "https://A.sub.example:8443",
        "https://a.sub.example:8443:8443",
        "https://a.sub-example:8443",
        "https://a.sub.example.evil.example:8443",
        "https://é.sub.example:8443",
        "https://[::1].sub.example:8443",
        "https://" + "a." * 4096 + "sub.example:8443",
    ],
)
def test_an_origin_is_compared_octet_by_octet(origin: str) -> None:
    """RFC 6454 section 6.2: browsers write it in one way, and nobody else needs it."""
    assert not is_listed(LISTED.origins, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.sub.example:8443",
        "https://a.b.sub.example:8443",
        "https://xn--bcher-kva.sub.example:8443",
        "https://a-1_2.sub.example:8443",
    ],
)
def test_a_wildcard_stands_for_one_or_more_labels(origin: str) -> None:
    assert is_listed(LISTED.origins, origin)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABEL, min_size=1, max_size=4), LABEL, st.text(max_size=9))
def test_a_wildcard_never_leaves_its_parent(
    labels: list[str], other: str, odd: str
) -> None:
    """Whatever stands before the parent's name: labels, or it is not listed."""
    listed_there = ("https://*.parent.example",)
    below = ".".join(labels)

    assert is_listed(listed_there, f"https://{below}.parent.example")
    assert not is_listed(listed_there, f"https://{below}.{other}")
    assert not is_listed(listed_there, f"https://{below}{odd}/.parent.example")
    assert not is_listed(listed_there, f"https://{below}@{odd}.parent.example")
    assert not is_listed(listed_there, f"https://parent.example{odd}")


@given(LABEL, st.sampled_from(["http", "https"]), st.integers(1, 65535))
def test_what_is_serialised_is_its_own_serialisation(
    host: str, scheme: str, port: int
) -> None:
    """RFC 6454 section 6.2."""
    origin = serialised(f"{scheme.upper()}://{host.upper()}:{port}/path?x#y")

    assert origin == serialised(origin) == origin.lower()
    assert origin.startswith(f"{scheme}://{host}")
    assert origin.endswith(f":{port}") is ((scheme, port) not in DEFAULTS)


DEFAULTS = (("http", 80), ("https", 443))


@pytest.mark.parametrize(
    "name",
    [
        names.NEXT_OFFSET,
        names.CURSOR,
        names.UP_TO_DATE,
        names.CLOSED,
        names.TTL,
        names.EXPIRES_AT,
        names.SSE_ENCODING,
        names.PRODUCER_EPOCH,
        names.PRODUCER_SEQ,
        names.PRODUCER_EXPECTED_SEQ,
        names.PRODUCER_RECEIVED_SEQ,
        "ETag",
        "Age",
        "Cache-Status",
        "Location",
        "Retry-After",
        "Content-Type",
        "Content-Encoding",
        "Vary",
        "X-Request-Id",
    ],
)
def test_a_script_can_read_what_the_protocol_says(name: str) -> None:
    """O19; the reference server hides the SSE encoding."""
    exposed = fields_of(ANYBODY)["Access-Control-Expose-Headers"]

    assert name in exposed.split(", ")


def test_a_script_can_read_what_the_route_keeps() -> None:
    fields = fields_of(CorsPolicy(kept=("x-shard", "etag")))
    exposed = fields["Access-Control-Expose-Headers"].split(", ")

    assert "x-shard" in exposed
    assert [name for name in exposed if name.lower() == "etag"] == ["ETag"]


@pytest.mark.parametrize(
    "name",
    [
        "If-None-Match",
        "Content-Type",
        "Authorization",
        names.SEQ,
        names.TTL,
        names.EXPIRES_AT,
        names.CLOSED,
        names.FORKED_FROM,
        names.FORK_OFFSET,
        names.FORK_SUB_OFFSET,
        names.PRODUCER_ID,
        names.PRODUCER_EPOCH,
        names.PRODUCER_SEQ,
    ],
)
def test_a_preflight_allows_what_clients_send(name: str) -> None:
    """O19: the reference server forgets If-None-Match."""
    assert name in listed("Access-Control-Allow-Headers")


def test_a_preflight_allows_every_method_of_the_protocol_and_patch() -> None:
    methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

    assert listed("Access-Control-Allow-Methods") == methods
    assert listed("Access-Control-Allow-Methods", None, None) == methods
    assert listed("Access-Control-Allow-Methods", "QUERY", None) == (
        [*methods, "QUERY"]
    )


@pytest.mark.parametrize("method", ["TRACE", "connect", "A B", "A\r\nB", "", "X" * 65])
def test_a_preflight_allows_no_method_that_a_script_must_not_use(method: str) -> None:
    allowed = listed("Access-Control-Allow-Methods", method, None)

    assert allowed == listed("Access-Control-Allow-Methods")


def test_a_preflight_allows_what_extensions_ask_for() -> None:
    allowed = listed(
        "Access-Control-Allow-Headers",
        asked="x-awareness,stream-seq , x-b",
        sent=("x-tenant",),
    )

    assert allowed[-3:] == ["x-tenant", "x-awareness", "x-b"]
    assert [name for name in allowed if name.lower() == "stream-seq"] == ["Stream-Seq"]


@pytest.mark.parametrize(
    "asked", ["*", "a b", "x\r\nset-cookie: a", 'x"', "x:y", "é", "x" * 65, ",,", ""]
)
def test_a_preflight_reflects_no_name_that_is_none(asked: str) -> None:
    """P7: response splitting."""
    allowed = listed("Access-Control-Allow-Headers", "GET", asked)

    assert allowed == listed("Access-Control-Allow-Headers")


def test_a_preflight_reflects_a_bounded_number_of_names() -> None:
    asked = ",".join(f"x-{number}" for number in range(5000))

    assert len(listed("Access-Control-Allow-Headers", "GET", asked)) < 64


def test_a_preflight_may_be_kept_and_says_what_it_was_chosen_by() -> None:
    fields = dict(preflight(ANYBODY, (), None, "GET", None))

    assert int(fields["Access-Control-Max-Age"]) > 0
    assert fields["Vary"] == (
        "Access-Control-Request-Method, Access-Control-Request-Headers"
    )


def test_a_page_that_is_not_listed_hears_nothing_from_a_preflight() -> None:
    """A11: neither what it may send, nor for how long it may believe so."""
    told = preflight(TRUSTED, (), ELSEWHERE, "PUT", "authorization")

    assert [name for name, _ in told] == ["Vary"]
    assert len(preflight(TRUSTED, (), PAGE, "PUT", "authorization")) > 1


def test_with_credentials_each_name_is_spelt_out() -> None:
    """The Fetch standard: ``*`` is no wildcard then, and never is for Authorization."""
    told = dict(preflight(TRUSTED, (), PAGE, "PUT", "authorization,x-own"))

    assert "*" not in "".join(told.values())
    assert {"Authorization", "x-own"} < {
        *told["Access-Control-Allow-Headers"].split(", ")
    }


def test_a_route_may_switch_cors_off() -> None:
    assert not [name for name, _ in route_fields(SHUT) if name.startswith("Access")]
    assert not SHUT.by_list
    assert preflight(SHUT, (), PAGE, "GET", "x-a") == ()
