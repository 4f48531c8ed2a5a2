"""What of a request is a way's credential (A15, B4, B8, B19)."""

import pytest

from edge.access.credentials import (
    MAX_PARTS,
    Credential,
    CredentialSet,
    SignedLink,
    Token,
    find,
    find_first,
    names_of,
    without,
)
from edge.core.errors import AccessDenied, ClientFault
from edge.core.reasons import Reason
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    ForwardWay,
    JwtWay,
    OriginWay,
    SignedWay,
    TokenPlace,
)

QUERY = CredentialSource(TokenPlace.QUERY, "access_token")
COOKIE = CredentialSource(TokenPlace.COOKIE, "session")
JWT = JwtWay((), ("ES256",), sources=(AUTHORIZATION, QUERY, COOKIE))
SIGNED = SignedWay((("k1", b"1" * 32),))


def head(query: str = "", **fields: str) -> RequestHead:
    """A read with this query and these fields."""
    target = f"/v1/stream/a?{query}" if query else "/v1/stream/a"
    return RequestHead.of("GET", target, fields.get)


def text(credential: Credential | None) -> str | None:
    return credential.text if isinstance(credential, Token) else None


@pytest.mark.parametrize(
    "value", ["Bearer t.o.k", "bearer t.o.k", "BEARER   t.o.k", "Bearer t.o.k\t"]
)
def test_the_scheme_has_no_case(value: str) -> None:
    assert find(JWT, head(authorization=value)) == Token("t.o.k", AUTHORIZATION)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer    ",
        "Basic t.o.k",
        "Bearertoken",
        "t.o.k",
        "Bearer\tt",
    ],
)
def test_another_scheme_and_an_empty_token_are_none(value: str) -> None:
    assert find(JWT, head(authorization=value)) is None


@pytest.mark.parametrize(
    "query",
    [
        "access_token=t.o.k",
        "a=1&access%5Ftoken=t%2Eo%2Ek",
        "access_token=&access_token=t.o.k",
    ],
)
def test_a_parameter_is_found_by_its_decoded_name(query: str) -> None:
    assert find(JWT, head(query)) == Token("t.o.k", QUERY)


@pytest.mark.parametrize(
    "query", ["access_token=", "access_token", "Access_token=t", "token=t"]
)
def test_a_parameter_of_another_name_or_without_a_value_is_none(query: str) -> None:
    assert find(JWT, head(query)) is None


@pytest.mark.parametrize(
    "cookie", ["session=t.o.k", "a=1; session=t.o.k;b=2", " session=t.o.k "]
)
def test_a_cookie_counts_by_its_exact_name(cookie: str) -> None:
    assert find(JWT, head(cookie=cookie)) == Token("t.o.k", COOKIE)


@pytest.mark.parametrize(
    "cookie",
    ["Session=t", "xsession=t", "session", "session=", "a=session=t", "session =t", ""],
)
def test_no_other_cookie_counts(cookie: str) -> None:
    """Above all not those that another host of the domain may have set (B19)."""
    assert find(JWT, head(cookie=cookie)) is None


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("access_token=t", {"authorization": "Bearer t"}),
        ("access_token=t", {"cookie": "session=t"}),
        ("access_token=t&access_token=t", {}),
        ("access_token=t&%61ccess_token=u", {}),
        ("", {"cookie": "session=t; session=t"}),
        ("", {"authorization": "Bearer t, Bearer u"}),
        ("", {"authorization": "Bearer t,u"}),
        ("", {"authorization": "Bearer t", "cookie": "session=u"}),
    ],
)
def test_two_tokens_of_one_way_are_the_clients_fault(
    query: str, fields: dict[str, str]
) -> None:
    """Also equal ones: the next part of the system might read another place."""
    with pytest.raises(AccessDenied) as refused:
        find(JWT, head(query, **fields))

    assert refused.value.reason is Reason.TWO_TOKENS
    assert refused.value.status == 400
    assert 'error="invalid_request"' in (refused.value.challenge or "")


def test_a_place_that_the_way_does_not_name_is_not_looked_at() -> None:
    way = JwtWay((), ("ES256",), sources=(COOKIE,))
    seen = []

    def lookup(name: str) -> str | None:
        seen.append(name)
        return "session=t.o.k" if name == "cookie" else "Bearer other"

    found = find(way, RequestHead.of("GET", "/a?access_token=u", lookup))

    assert text(found) == "t.o.k"
    assert seen == ["cookie"]


def test_the_first_way_that_finds_its_kind_judges() -> None:
    request = head("ds_sig=s&ds_exp=1&ds_key=k", authorization="Bearer t")
    link = SignedLink("s", "1", "k")

    assert find_first([SIGNED, JWT], request) == (SIGNED, link)
    assert find_first([JWT, SIGNED], request) == (JWT, Token("t", AUTHORIZATION))
    assert find_first([SIGNED], head(authorization="Bearer t")) is None
    assert find_first([], request) is None


def test_a_way_without_its_kind_is_passed_over() -> None:
    found = find_first([SIGNED, JWT], head(authorization="Bearer t"))

    assert found == (JWT, Token("t", AUTHORIZATION))


@pytest.mark.parametrize(
    "query", ["ds_sig=s", "ds_exp=1", "ds_key=k", "ds_sig=s&ds_exp="]
)
def test_one_parameter_makes_a_link(query: str) -> None:
    """A bad one, which its way refuses: it falls through to no other way."""
    assert isinstance(find(SIGNED, head(query)), SignedLink)


@pytest.mark.parametrize("query", ["", "ds_sig=", "ds_sig=&ds_exp&ds_key=", "a=1"])
def test_without_any_value_there_is_no_link(query: str) -> None:
    assert find(SIGNED, head(query)) is None


def test_a_link_with_two_signatures_is_the_clients_fault() -> None:
    with pytest.raises(AccessDenied, match="more than one ds_sig") as refused:
        find(SIGNED, head("ds_sig=a&ds_sig=a&ds_exp=1&ds_key=k"))

    assert refused.value.status == 400


def test_all_names_are_told_for_comparing_and_stripping() -> None:
    names = names_of([JWT, SIGNED])

    assert names.headers == {"authorization", "cookie"}
    assert names.parameters == {"access_token", "ds_sig", "ds_exp", "ds_key"}
    assert names.cookies == {"session"}
    assert names_of([]) == names_of([JwtWay((), (), sources=())])


def test_what_is_no_credential_of_any_way_is_kept() -> None:
    request = head("b=2&access%5Ftoken=t&ds_sig=s&a=1")

    kept = without(request.parameters, names_of([JWT, SIGNED]))

    assert [parameter.raw for parameter in kept] == ["b=2", "a=1"]


def test_a_digest_stands_for_one_credential_alone() -> None:
    """Wherever it was, a token is judged the same; a link is no token."""
    credentials: list[Credential] = [
        Token("ab", AUTHORIZATION),
        Token("a", AUTHORIZATION),
        SignedLink("ab", "", ""),
        SignedLink("a", "b", ""),
        SignedLink("a", "", "b"),
        SignedLink("", "ab", ""),
    ]

    assert len({one.digest for one in credentials}) == len(credentials)
    assert Token("ab", QUERY).digest == Token("ab", AUTHORIZATION).digest
    assert "ab" not in repr(Token("ab", AUTHORIZATION)).replace("CredentialSource", "")


@pytest.mark.parametrize("way", [ForwardWay(""), OriginWay()])
@pytest.mark.parametrize("end", [";", ","])
def test_a_set_has_so_many_parts_and_no_more(
    way: ForwardWay | OriginWay, end: str
) -> None:
    """B18: for each of them more is remembered than it has characters itself."""
    cookies = [f"{number}=x" for number in range(MAX_PARTS)]
    found = find(way, head(cookie=end.join(cookies)))
    assert isinstance(found, CredentialSet)

    with pytest.raises(ClientFault) as fault:
        find(way, head(cookie=end.join([*cookies, "more=x"])))
    assert (fault.value.status, fault.value.reason) == (431, Reason.HEAD_TOO_LARGE)
