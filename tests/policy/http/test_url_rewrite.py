"""The origin's addresses, made the edge's own; nothing else changed."""

import json
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.http.url_rewrite import (
    MAX_PLACES,
    OriginAddresses,
    public_base,
    redirected,
    rewrite_document,
    rewrite_location,
)

EDGE = "https://edge.example"
ORIGIN = "http://127.0.0.1:4437"
BASES = (ORIGIN, "http://origin.internal")
PATH = "/v1/stream/a%2Fb"


@pytest.mark.parametrize(
    ("scheme", "host", "configured", "base"),
    [
        ("http", "127.0.0.1:8080", None, "http://127.0.0.1:8080"),
        ("HTTPS", "edge.example", "", "https://edge.example"),
        ("http", "x", "https://edge.example/", "https://edge.example"),
        ("http", "", "https://edge.example/ds", "https://edge.example/ds"),
        ("http", "", None, ""),
    ],
)
def test_the_public_base_is_configured_or_what_the_request_came_by(
    scheme: str, host: str, configured: str | None, base: str
) -> None:
    assert public_base(scheme, host, configured) == base


@pytest.mark.parametrize(
    ("value", "rewritten"),
    [
        (f"{ORIGIN}{PATH}", f"{EDGE}{PATH}"),
        (f"{ORIGIN}/other?a=b#c", f"{EDGE}/other?a=b#c"),
        (ORIGIN, EDGE),
        (f"HTTP://Origin.Internal{PATH}", f"{EDGE}{PATH}"),
        (f"http://origin.internal:80{PATH}", f"{EDGE}{PATH}"),
        (f"http://user@origin.internal{PATH}", f"{EDGE}{PATH}"),
        (PATH, f"{EDGE}{PATH}"),
        ("c", f"{EDGE}/v1/stream/c"),
        ("../c?d", f"{EDGE}/v1/c?d"),
        ("?offset=5_snapshot", f"{EDGE}{PATH}?offset=5_snapshot"),
        ("//127.0.0.1:4437/x", f"{EDGE}/x"),
        (f" {PATH} ", f"{EDGE}{PATH}"),
        (f"http://0.0.0.0:4437{PATH}", f"{EDGE}{PATH}"),
        (f"http://ds-7c9f:4437{PATH}", f"{EDGE}{PATH}"),
    ],
)
def test_where_a_stream_was_made_is_told_by_the_edges_address(
    value: str, rewritten: str
) -> None:
    """O18: Node writes its listen address there, whatever Host says."""
    assert rewrite_location(value, PATH, EDGE, BASES) == rewritten


@pytest.mark.parametrize(
    "value",
    [
        "https://elsewhere.example/x",
        "http://127.0.0.1:4438/x",
        "https://127.0.0.1/x",
        "//elsewhere.example/x",
        "http://elsewhere.example/v1/stream/a/b",
        "mailto:a@b",
        "http://[::1/x",
        "http://origin.internal:port/x",
        "http://origin.internal:99999/x",
    ],
)
def test_other_addresses_are_left_alone(value: str) -> None:
    assert rewrite_location(value, PATH, EDGE, BASES) == value


HIDING = OriginAddresses((ORIGIN, "https://o.example", "http://[fd00::7]:81/base"))


def hidden(value: str, name: str = "location") -> str | None:
    """What is left of a field of an answer."""
    return dict(HIDING.hidden(((name, value),))).get(name)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (f"{ORIGIN}/a?b=c#d", "/a?b=c#d"),
        (ORIGIN, "/"),
        (f"{ORIGIN}?b", "/?b"),
        ("HTTP://127.0.0.1:4437/a", "/a"),
        ("http://user:pw@127.0.0.1:4437/a", "/a"),
        ("//127.0.0.1:4437/a", "/a"),
        ("https://O.example/a", "/a"),
        ("https://o.example:443/a", "/a"),
        ("http://o.example/a", "/a"),
        ("//o.example/a", "/a"),
        ("http://[fd00::7]:81/a", "/a"),
        ("http://localhost:4437/a", "/a"),
        ("http://0.0.0.0:4437/a", "/a"),
        ("http://[::]:81/a", "/a"),
        (f"<{ORIGIN}/a>; rel=next, <{ORIGIN}/b>", "</a>; rel=next, </b>"),
        (f"5; url={ORIGIN}/a", "5; url=/a"),
        (f'{{"url":"{ORIGIN}/a"}}', '{"url":"/a"}'),
        (f"https://login.example/?back={ORIGIN}/a", "https://login.example/?back=/a"),
    ],
)
def test_of_an_address_of_the_origin_its_path_is_left(value: str, left: str) -> None:
    """O18, in whatever field it is."""
    assert hidden(value) == hidden(value, "link") == left


@pytest.mark.parametrize(
    "value",
    [
        "/a//b",
        "a//127.0.0.1:4437/b",
        "https://elsewhere.example//o.example/a",
        "https://elsewhere.example/a",
        "https://o.example.elsewhere/a",
        "https://notto.example/a",
        "http://127.0.0.1:4438/a",
        "http://localhost:3000/login",
        "https://o.example:8443/a",
        "http://[fd00::7/a",
        "http://127.0.0.1:99999/a",
        "http://",
        "//",
        "mailto:a@o.example",
    ],
)
def test_no_other_address_is_touched(value: str) -> None:
    assert hidden(value) == value


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=b; Domain=o.example; Path=/", "a=b; Path=/"),
        ("a=b; domain=.O.example", "a=b"),
        ("a=b; Domain=example; Secure", "a=b; Domain=example; Secure"),
        ("a=b; Domain=app.o.example", "a=b; Domain=app.o.example"),
    ],
)
def test_a_cookie_for_the_origins_host_is_one_for_who_was_asked(
    cookie: str, left: str
) -> None:
    assert hidden(cookie, "set-cookie") == left


def test_pages_at_the_origins_own_address_are_none_that_may_read() -> None:
    name = "access-control-allow-origin"

    assert hidden("https://o.example", name) is None
    assert hidden("https://app.example", name) == "https://app.example"


@given(st.text(alphabet="htps:/@.oexample4437[]127;, <>=?#\"'", max_size=60))
def test_hiding_never_fails_and_hides_all(text: str) -> None:
    """Nothing that a client would take for such an address is left."""
    for value in (text, f"{text} {ORIGIN}/x", f"<{ORIGIN}/x>{text}"):
        left = hidden(value)
        assert left is not None
        assert "http://127.0.0.1:4437/x" not in left
        assert hidden(left) == left


def test_a_read_is_sent_on_by_the_edges_address_as_a_write_is() -> None:
    headers = (("location", "/b?c"), ("content-location", "d"), ("x", "/y"))

    assert redirected(headers, PATH, EDGE) == (
        ("location", f"{EDGE}/b?c"),
        ("content-location", f"{EDGE}/v1/stream/d"),
        ("x", "/y"),
    )


def test_a_redirect_to_the_same_path_elsewhere_is_a_redirect() -> None:
    """Only a 201 names the stream just made (PROTOCOL.md section 5.1)."""
    value = f"https://cdn.example{PATH}"

    assert rewrite_location(value, PATH, EDGE, BASES, created=False) == value
    assert rewrite_location(f"{ORIGIN}/x", PATH, EDGE, BASES, created=False) == (
        f"{EDGE}/x"
    )
    assert rewrite_location("?offset=1", PATH, EDGE, BASES, created=False) == (
        f"{EDGE}{PATH}?offset=1"
    )


def test_without_a_public_base_a_location_stays() -> None:
    assert rewrite_location(f"{ORIGIN}{PATH}", PATH, "", BASES) == f"{ORIGIN}{PATH}"


# -- documents below __ds -----------------------------------------------------


def subscription(jwks_url: str, hook: str = "http://127.0.0.1:9/hook") -> bytes:
    webhook = {"url": hook, "signing": {"alg": "ed25519", "jwks_url": jwks_url}}
    return json.dumps({"id": "s", "webhook": webhook}, separators=(",", ":")).encode()


JWKS = "/v1/stream/__ds/jwks.json"


@pytest.mark.parametrize(
    "base",
    [
        ORIGIN,
        "http://origin.internal",
        "https://origin.internal:80",
        "http://localhost:4437",
        "http://127.0.0.9:1",
        "http://[::1]:4437",
        "http://0.0.0.0:4437",
        "http://[::]:4437",
    ],
)
def test_the_keys_of_a_subscription_are_found_through_the_edge(base: str) -> None:
    """PROTOCOL.md section 6.5; the receiver's own address is not the origin's."""
    body = rewrite_document(subscription(f"{base}{JWKS}"), BASES, EDGE)

    assert body == subscription(f"{EDGE}{JWKS}")


@pytest.mark.parametrize(
    "url",
    [
        f"https://keys.example{JWKS}",
        f"http://10.0.0.1{JWKS}",
        "http://127.0.0.1:9/hook",
        "http://localhost:9/my__ds/x",
        "http://localhost:bad/__ds/x",
        f"ftp://127.0.0.1{JWKS}",
        f"see {ORIGIN}{JWKS}",
        f"127.0.0.1:4437{JWKS}",
    ],
)
def test_addresses_of_others_are_left_alone(url: str) -> None:
    body = subscription(url)

    assert rewrite_document(body, BASES, EDGE) == body


def test_all_other_bytes_stay_the_same() -> None:
    """White space, order, doubled names, numbers and member names included."""
    document = (
        '{ "n": 1.000000000000000001e2,\n\t"n" : [ "http://127.0.0.1:4437/x" ,'
        ' "\\u0068ttp:\\/\\/127.0.0.1:4437\\/y", "a\\"http://127.0.0.1:4437/z" ],'
        ' "http://127.0.0.1:4437/name" : "\\\\", "é":"é" }\n'
    )
    expected = (
        '{ "n": 1.000000000000000001e2,\n\t"n" : [ "https://edge.example/x" ,'
        ' "https://edge.example/y", "a\\"http://127.0.0.1:4437/z" ],'
        ' "http://127.0.0.1:4437/name" : "\\\\", "é":"é" }\n'
    )

    assert rewrite_document(document.encode(), BASES, EDGE) == expected.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json http://127.0.0.1:4437/x",
        b'{"a": "http://127.0.0.1:4437/x"',
        b'"http://127.0.0.1:4437/x" x',
        b'\xff"http://127.0.0.1:4437/x"',
        b'\xef\xbb\xbf"http://127.0.0.1:4437/x"',
        b"[" * 100_000 + b'"http://127.0.0.1:4437/x"' + b"]" * 100_000,
    ],
)
def test_what_is_no_json_is_left_alone(body: bytes) -> None:
    assert rewrite_document(body, BASES, EDGE) == body


def test_without_a_public_base_a_document_stays() -> None:
    body = subscription(f"{ORIGIN}{JWKS}")

    assert rewrite_document(body, BASES, "") == body


STRINGS = st.one_of(
    st.text(max_size=8),
    st.sampled_from([f"{ORIGIN}/x", f"http://localhost{JWKS}", "http://else/x"]),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner),
    max_leaves=8,
)


def expected(document: object) -> object:
    """The same rewriting on the parsed document."""
    if isinstance(document, list):
        return [expected(item) for item in document]
    if isinstance(document, dict):
        return {name: expected(value) for name, value in document.items()}
    if document == f"{ORIGIN}/x":
        return f"{EDGE}/x"
    return f"{EDGE}{JWKS}" if document == f"http://localhost{JWKS}" else document


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_rewriting_bytes_is_rewriting_values(
    document: object, escaped: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=escaped, indent=indent)

    rewritten = rewrite_document(body.encode(), BASES, EDGE)

    assert json.loads(rewritten) == expected(document)


@given(st.text("/.ab%2;?#:@~", max_size=12))
def test_a_relative_location_is_resolved_against_what_was_asked(rest: str) -> None:
    """Plain paths are not taken apart for that, and come to the same."""
    value = f"/a{rest}"

    assert rewrite_location(value, PATH, EDGE, BASES) == EDGE + urljoin(PATH, value)


places = st.sampled_from(["127.0.0.1:4437", "x.example", "127.0.0.1:1", "[", "@"])


@given(st.lists(places))
def test_what_an_authority_leads_to_is_the_same_each_time(named: list[str]) -> None:
    remembering = OriginAddresses(BASES)

    for authority in named:
        field = (("x-at", f"http://{authority}/p"),)
        assert remembering.hidden(field) == OriginAddresses(BASES).hidden(field)


def test_of_more_authorities_than_are_remembered_none_is_mistaken() -> None:
    addresses = OriginAddresses(BASES)
    for number in range(3 * MAX_PLACES):
        other = (("x-at", f"http://{number}.example/p"),)
        assert addresses.hidden(other) == other

    assert addresses.hidden((("x-at", f"{ORIGIN}/p"),)) == (("x-at", "/p"),)
