"""Signed URLs: made, verified, and nothing else let through (B21, B23)."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access import signed
from edge.access.challenges import Failure, denied
from edge.access.credentials import SignedLink, find, names_of, without
from edge.access.signed import LinkGrant, sign, signed_text, verify
from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.policy.http import request_target
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.ways import Right, SignedWay

NOW = 1_800_000_000.0
END = 1_800_003_600
WAY = SignedWay((("k1", b"1" * 32), ("k2", b"2" * 32)))
URL = "https://edge.example/v1/stream/docs/a%2Fb?lang=de&page=2"


def judged(
    url: str, way: SignedWay = WAY, right: Right = Right.READ, now: float = NOW
) -> LinkGrant | Failure | None:
    """What the door makes of a URL; None: it is no signed one."""
    parts = urlsplit(url)
    target = request_target.join(parts.path, parts.query)
    head = RequestHead.of("GET", target, lambda name: None)
    link = find(way, head)
    if not isinstance(link, SignedLink):
        return None
    rest = without(head.parameters, names_of([way]))
    extension = request_target.extension(rest)
    return verify(link, way, head.path, extension, right, now)


def reason(outcome: LinkGrant | Failure | None) -> Reason | None:
    return outcome.reason if isinstance(outcome, Failure) else None


def test_who_has_the_url_may_read_until_its_time() -> None:
    assert judged(sign(URL, WAY, "k1", END)) == LinkGrant("k1", END)


def test_a_reader_adds_what_the_protocol_defines() -> None:
    link = sign(URL, WAY, "k1", END)

    assert judged(link + "&offset=12&live=sse&cursor=7") == LinkGrant("k1", END)
    assert judged(sign(URL + "&offset=-1", WAY, "k1", END)) == LinkGrant("k1", END)


def test_the_order_of_parameters_is_not_signed() -> None:
    """A canonical text is: a client may sort its URL."""
    link = urlsplit(sign(URL, WAY, "k1", END))
    turned = "&".join(reversed(link.query.split("&")))

    assert judged(link._replace(query=turned).geturl()) == LinkGrant("k1", END)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a%2Fb", "a%2fb"),
        ("a%2Fb", "a%2Fc"),
        ("a%2Fb", "a%2Fb/"),
        ("lang=de", "lang=en"),
        ("lang=de", "l%61ng=de"),
        ("&page=2", ""),
        ("&page=2", "&page=2&more"),
        ("&page=2", "&page=2&page=2"),
        (str(END), str(END + 1)),
        (str(END), f"0{END}"),
        ("ds_key=k1", "ds_key=k2"),
        ("ds_key=k1", "ds_key=k3"),
    ],
)
def test_nothing_of_what_is_signed_can_be_changed(old: str, new: str) -> None:
    link = sign(URL, WAY, "k1", END)
    assert old in link

    assert isinstance(judged(link.replace(old, new)), Failure)


def test_no_octet_of_a_link_can_be_changed() -> None:
    """All of them, each into every other one that may stand in a URL."""
    link = sign(URL, WAY, "k1", END)
    first = len("https://edge.example/")
    let_in = [
        (at, code)
        for at in range(first, len(link))
        for code in range(0x21, 0x7F)
        if chr(code) != link[at] and _lets_in(link[:at] + chr(code) + link[at + 1 :])
    ]

    assert len(link) - first > 100
    assert let_in == []


def _lets_in(url: str) -> bool:
    try:
        return isinstance(judged(url), LinkGrant)
    except ClientFault:
        return False


keys = st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True)
paths = st.lists(
    st.sampled_from(["a", "%2F", "%61", "/b", ":", "1:"]), min_size=1, max_size=6
).map(lambda parts: "/v" + "".join(parts))
queries = st.lists(
    st.sampled_from(["a=1", "a", "b=%20", "%61=2", "a=1=2", "1:a"]), max_size=4
).map("&".join)
times = st.integers(1, 10**12 - 1)


@given(keys, paths, queries, times)
def test_what_is_signed_is_verified(
    key: str, path: str, query: str, expires: int
) -> None:
    way = SignedWay(((key, b"s" * 32),))
    link = sign(request_target.join(path, query), way, key, expires)

    assert judged(link, way, now=expires - 1) == LinkGrant(key, expires)
    assert reason(judged(link, way, now=expires)) is Reason.LINK_EXPIRED


texts = st.text(st.sampled_from("1:a%"), max_size=6)
inputs = st.tuples(texts, texts, texts, texts)


@given(inputs, inputs)
def test_no_two_inputs_give_one_text(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    assert (signed_text(*one) == signed_text(*two)) is (one == two)


def test_the_text_is_the_one_that_is_documented() -> None:
    """Any other program may make links: this is what it has to sign."""
    text = signed_text("k1", "/v1/stream/a", "x=1", "1800003600")

    assert text == b"3:ds12:k112:/v1/stream/a3:x=110:1800003600"
    assert sign("/v1/stream/a?x=1", WAY, "k1", END).endswith(
        "?x=1&ds_key=k1&ds_exp=1800003600&ds_sig=" + KNOWN
    )


# By openssl: printf '%s' TEXT | openssl dgst -sha256 -hmac "$(printf '1%.0s' {1..32})"
# -binary | basenc --base64url | tr -d '='
KNOWN = "b9-K3jTGIxJb1X1iRSahXQ6liZP5_68a0jYzVe13uNc"


@pytest.mark.parametrize("missing", ["ds_sig", "ds_exp", "ds_key"])
def test_a_part_alone_is_a_bad_link_and_not_none(missing: str) -> None:
    """It must not fall through to another way (A15)."""
    link = urlsplit(sign(URL, WAY, "k1", END))
    kept = "&".join(p for p in link.query.split("&") if not p.startswith(missing))

    outcome = judged(link._replace(query=kept).geturl())

    assert reason(outcome) is Reason.LINK_MALFORMED


@pytest.mark.parametrize("expires", ["-1", "0", "1e9", "1.5", "%31", "٣", "9" * 13])
def test_a_time_has_one_spelling(expires: str) -> None:
    link = SignedLink("x", expires, "k1")

    assert reason(verify(link, WAY, "/a", "", Right.READ, NOW)) is Reason.LINK_MALFORMED


def test_an_expired_link_with_a_wrong_signature_is_told_nothing_of_its_time() -> None:
    link = sign(URL, WAY, "k1", END).replace("page=2", "page=3")

    assert reason(judged(link, now=END + 1)) is Reason.LINK_SIGNATURE


def test_an_unknown_key_is_told_as_a_wrong_signature() -> None:
    link = sign(URL, SignedWay((("k9", b"9" * 32),)), "k9", END)

    assert reason(judged(link)) is Reason.LINK_SIGNATURE


@pytest.mark.parametrize("right", [Right.WRITE, Right.MANAGE])
def test_a_link_only_reads(right: Right) -> None:
    outcome = judged(sign(URL, WAY, "k1", END), right=right)

    assert reason(outcome) is Reason.PATH_NOT_GRANTED


def test_who_is_refused_gets_403_and_no_challenge() -> None:
    outcome = judged(sign(URL, WAY, "k1", END), now=END)

    assert isinstance(outcome, Failure)
    assert denied(outcome).status == 403
    assert denied(outcome).challenge is None


def test_other_names_may_be_given_to_the_parameters() -> None:
    way = replace(WAY, signature="s[ig", expires="e", key="k")
    link = sign(URL, way, "k1", END)

    assert judged(link, way) == LinkGrant("k1", END)
    assert judged(link, WAY) is None


@pytest.mark.parametrize(
    ("url", "key", "expires"),
    [
        (URL, "k3", END),
        (URL, "k1", 0),
        (URL, "k1", 10**12),
        (URL + "#top", "k1", END),
        (URL + "&ds_key=k1", "k1", END),
    ],
)
def test_what_would_not_be_verified_is_not_signed(
    url: str, key: str, expires: int
) -> None:
    with pytest.raises(ValueError, match=r"."):
        sign(url, WAY, key, expires)


def test_a_key_whose_id_needs_encoding_signs_nothing() -> None:
    with pytest.raises(ValueError, match="a key's id"):
        sign(URL, SignedWay((("k 1", b"1" * 32),)), "k 1", END)


@pytest.mark.parametrize("url", ["/v1/../a", "/v1//a%", "/v1/a?b=%", "//host/.."])
def test_a_path_that_an_edge_would_refuse_is_not_signed(url: str) -> None:
    with pytest.raises(ClientFault):
        sign(url, WAY, "k1", END)


def test_no_secret_and_no_signature_is_shown() -> None:
    link = find(WAY, RequestHead.of("GET", sign("/a", WAY, "k1", END), lambda n: None))

    assert "111" not in repr(WAY)
    assert isinstance(link, SignedLink)
    assert link.signature not in repr(link)
    assert signed.VERSION == "ds1"
