"""Tokens: which are believed, why others are not, what they grant (A9, B14, B23)."""

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import HMACAlgorithm

from edge.access.challenges import Failure
from edge.access.keys import KeySet
from edge.access.tokens import (
    MAX_BYTES,
    TokenClaims,
    permits,
    permits_below,
    verify,
)
from edge.core.reasons import Reason
from edge.policy.streams.ways import JwtWay, Right
from tests.access import issuer
from tests.access.issuer import NOW, SECRET, WAY, jwk, jwks, said, segment, token

KEYS = KeySet.of_jwks(
    jwks(jwk("p256", kid="p256"), jwk("rsa", kid="rsa"), jwk("ed25519", kid="ed25519"))
)
SHARED = KeySet.of_secret(SECRET)
HS = replace(WAY, algorithms=("HS256",))
MATCH = "/v1/stream/**"


def judged(
    text: str, way: JwtWay = WAY, keys: KeySet = KEYS, now: float = NOW
) -> Reason | None:
    """Why a token is not believed; None: it is."""
    outcome = verify(text, way, keys, now)
    return outcome.reason if isinstance(outcome, Failure) else None


def claims_of(way: JwtWay = WAY, **changes: Any) -> TokenClaims:
    """What a good token claims, with changes."""
    outcome = verify(token(said(**changes)), way, KEYS, NOW)
    assert isinstance(outcome, TokenClaims)
    return outcome


# -- good ones ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["p256", "rsa", "ed25519"])
def test_a_good_token_is_believed(kind: str) -> None:
    outcome = verify(token(kind=kind), WAY, KEYS, NOW)

    assert isinstance(outcome, TokenClaims)
    assert outcome.subject == "alice"
    assert outcome.expires_at == NOW + 600 + WAY.leeway


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_good_token_of_a_shared_secret_is_believed(algorithm: str) -> None:
    way = replace(HS, algorithms=("HS256", "HS384", "HS512"))

    assert judged(issuer.shared(algorithm=algorithm), way, SHARED) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "streams"]},
        {"sub": None},
        {"iat": None},
        {"nbf": int(NOW) + 30},
        {"iat": int(NOW) + 30},
        {"exp": int(NOW) - 29},
        {"exp": NOW + 0.5},
        {"exp": int(NOW) + 86_420},
        {"exp": int(NOW) + 86_430, "iat": None},
        {"jti": "one"},
        {"streams": None},
        {"odd": {"nested": [1]}},
    ],
)
def test_what_is_within_the_rules_is_believed(changes: dict[str, Any]) -> None:
    assert judged(token(said(**changes))) is None


# -- bad ones: the corpus -----------------------------------------------------


def with_header(**members: Any) -> str:
    return token(header=members)


def unsigned(header: bytes) -> str:
    """This header and good claims, without a signature."""
    return f"{segment(header)}.{segment(json.dumps(said()).encode())}"


def none_algorithm() -> str:
    return unsigned(b'{"alg":"none"}') + "."


def confused() -> str:
    """Signed by HMAC with the public key as the secret, as anybody can."""
    text = unsigned(b'{"alg":"HS256","kid":"rsa"}')
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(
        text.encode(), issuer.pem("rsa")
    )
    return f"{text}.{segment(signature)}"


def by_hand(header: bytes, payload: bytes = b"") -> str:
    return issuer.signed_by_hand(header, payload or json.dumps(said()).encode())


def cut(text: str) -> str:
    return text[:-6]


def last_changed(text: str) -> str:
    """The same octets of a signature, with a bit set that stands for none of them."""
    return text[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[text[-1]]


HEADER = b'{"alg":"ES256","kid":"p256"}'

BEFORE_ITS_SIGNATURE = {
    "empty": ("", Reason.TOKEN_MALFORMED),
    "a word": ("secret", Reason.TOKEN_MALFORMED),
    "two parts": ("e30.e30", Reason.TOKEN_MALFORMED),
    "four parts": (token() + ".e30", Reason.TOKEN_MALFORMED),
    "five parts, encrypted": ("e30.e30.e30.e30.e30", Reason.TOKEN_MALFORMED),
    "padded": (token() + "=", Reason.TOKEN_MALFORMED),
    "space": (token() + " ", Reason.TOKEN_MALFORMED),
    "line end": (token() + "\n", Reason.TOKEN_MALFORMED),
    "not ascii": (token()[:-1] + "\xe4", Reason.TOKEN_MALFORMED),
    "standard base64": ("+/+/." + token().partition(".")[2], Reason.TOKEN_MALFORMED),
    "huge": (token(said(odd="x" * MAX_BYTES)), Reason.TOKEN_MALFORMED),
    "header of no JSON": (by_hand(b"alg"), Reason.TOKEN_MALFORMED),
    "header of no object": (by_hand(b"[]"), Reason.TOKEN_MALFORMED),
    "header that nests deeply": (by_hand(b"[" * 4000), Reason.TOKEN_MALFORMED),
    "header of bad UTF-8": (by_hand(b'{"alg":"\xff"}'), Reason.TOKEN_MALFORMED),
    "jku": (with_header(jku="https://evil.example/jwks"), Reason.TOKEN_MALFORMED),
    "jwk": (with_header(jwk=jwk("other-p256")), Reason.TOKEN_MALFORMED),
    "x5u": (with_header(x5u="https://evil.example/"), Reason.TOKEN_MALFORMED),
    "x5c": (with_header(x5c=["MII"]), Reason.TOKEN_MALFORMED),
    "crit": (
        by_hand(HEADER[:-1] + b',"crit":["exp"],"exp":1}'),
        Reason.TOKEN_MALFORMED,
    ),
    "crit that is known to the library": (
        by_hand(HEADER[:-1] + b',"crit":["b64"],"b64":true}'),
        Reason.TOKEN_MALFORMED,
    ),
    "b64": (by_hand(HEADER[:-1] + b',"b64":true}'), Reason.TOKEN_MALFORMED),
    "zip": (with_header(zip="DEF"), Reason.TOKEN_MALFORMED),
    "kid of another type": (
        by_hand(b'{"alg":"ES256","kid":7}'),
        Reason.TOKEN_MALFORMED,
    ),
    "none": (none_algorithm() + "AA", Reason.TOKEN_ALGORITHM),
    "none without a signature": (none_algorithm(), Reason.TOKEN_MALFORMED),
    "None": (by_hand(b'{"alg":"None"}'), Reason.TOKEN_ALGORITHM),
    "no alg": (by_hand(b'{"kid":"p256"}'), Reason.TOKEN_ALGORITHM),
    "alg of another type": (by_hand(b'{"alg":["ES256"]}'), Reason.TOKEN_ALGORITHM),
    "alg that is not listed": (by_hand(b'{"alg":"ES384"}'), Reason.TOKEN_ALGORITHM),
    "RS/HS confusion": (confused(), Reason.TOKEN_ALGORITHM),
    "unknown kid": (with_header(kid="gone"), Reason.TOKEN_UNKNOWN_KEY),
    "kid with a path": (with_header(kid="../../dev/null"), Reason.TOKEN_UNKNOWN_KEY),
    "kid with SQL": (with_header(kid="x' UNION SELECT 'k"), Reason.TOKEN_UNKNOWN_KEY),
    "kid of another kind of key": (with_header(kid="rsa"), Reason.TOKEN_UNKNOWN_KEY),
    "alg of another kind of key": (
        by_hand(b'{"alg":"RS256","kid":"p256"}'),
        Reason.TOKEN_UNKNOWN_KEY,
    ),
    "wrong key": (
        token(kind="other-p256", header={"kid": "p256"}),
        Reason.TOKEN_SIGNATURE,
    ),
    "cut": (cut(token()), Reason.TOKEN_SIGNATURE),
    "signature of one octet": (
        token().rpartition(".")[0] + ".AA",
        Reason.TOKEN_SIGNATURE,
    ),
    "signature spelt otherwise": (last_changed(token()), Reason.TOKEN_MALFORMED),
    "claims of another token": (
        ".".join(
            [
                *token().split(".")[:1],
                token(said(sub="bob")).split(".")[1],
                token().split(".")[2],
            ]
        ),
        Reason.TOKEN_SIGNATURE,
    ),
}
"""Nobody need have seen a good token to send these."""

AFTER_ITS_SIGNATURE = {
    "claims of no JSON": (by_hand(HEADER, b"x"), Reason.TOKEN_MALFORMED),
    "claims of no object": (by_hand(HEADER, b'["exp"]'), Reason.TOKEN_MALFORMED),
    "claims that nest deeply": (by_hand(HEADER, b"[" * 4000), Reason.TOKEN_MALFORMED),
    "claims of bad UTF-8": (by_hand(HEADER, b'{"sub":"\xff"}'), Reason.TOKEN_MALFORMED),
    "nested token": (by_hand(HEADER, token().encode()), Reason.TOKEN_MALFORMED),
    "no exp": (token(said(exp=None)), Reason.TOKEN_CLAIMS),
    "exp of a string": (token(said(exp=str(int(NOW) + 60))), Reason.TOKEN_CLAIMS),
    "exp of true": (token(said(exp=True)), Reason.TOKEN_CLAIMS),
    "exp of null": (by_hand(HEADER, b'{"exp":null}'), Reason.TOKEN_CLAIMS),
    "exp without end": (by_hand(HEADER, b'{"exp":Infinity}'), Reason.TOKEN_CLAIMS),
    "exp of no number": (by_hand(HEADER, b'{"exp":NaN}'), Reason.TOKEN_CLAIMS),
    "exp of 1e999": (by_hand(HEADER, b'{"exp":1e999}'), Reason.TOKEN_CLAIMS),
    "exp of 400 digits": (
        by_hand(HEADER, b'{"exp":' + b"9" * 400 + b"}"),
        Reason.TOKEN_CLAIMS,
    ),
    "exp of 5000 digits": (
        by_hand(HEADER, b'{"exp":' + b"9" * 5000 + b"}"),
        Reason.TOKEN_MALFORMED,
    ),
    "nbf of a string": (token(said(nbf="0")), Reason.TOKEN_CLAIMS),
    "iat of a list": (token(said(iat=[])), Reason.TOKEN_CLAIMS),
    "sub of a number": (token(said(sub=7)), Reason.TOKEN_CLAIMS),
    "sub of half a character": (token(said(sub="\ud800")), Reason.TOKEN_CLAIMS),
    "expired": (token(said(exp=int(NOW) - 30)), Reason.TOKEN_EXPIRED),
    "expired for years": (token(said(exp=1)), Reason.TOKEN_EXPIRED),
    "not yet": (token(said(nbf=int(NOW) + 31)), Reason.TOKEN_NOT_YET),
    "lives too long since it was issued": (
        token(said(iat=int(NOW) - 86_400, exp=int(NOW) + 31)),
        Reason.TOKEN_LIFETIME,
    ),
    "issued in the future": (token(said(iat=int(NOW) + 31)), Reason.TOKEN_NOT_YET),
    "lives too long": (token(said(exp=int(NOW) + 86_431)), Reason.TOKEN_LIFETIME),
    "no issuer": (token(said(iss=None)), Reason.TOKEN_ISSUER),
    "another issuer": (token(said(iss="https://issuer.example/")), Reason.TOKEN_ISSUER),
    "issuers": (token(said(iss=[issuer.ISSUER])), Reason.TOKEN_ISSUER),
    "no audience": (token(said(aud=None)), Reason.TOKEN_AUDIENCE),
    "another audience": (token(said(aud="payments")), Reason.TOKEN_AUDIENCE),
    "audiences without ours": (token(said(aud=["a", "b"])), Reason.TOKEN_AUDIENCE),
    "audience of an object": (token(said(aud={"streams": 1})), Reason.TOKEN_AUDIENCE),
    "part of our audience": (token(said(aud="stream")), Reason.TOKEN_AUDIENCE),
    "globs of a number": (token(said(streams={"read": 7})), Reason.TOKEN_CLAIMS),
    "globs with a number": (
        token(said(streams={"read": ["/a", 7]})),
        Reason.TOKEN_CLAIMS,
    ),
    "globs of an object": (token(said(streams={"read": {}})), Reason.TOKEN_CLAIMS),
    "too many globs": (
        token(said(streams={"read": ["/a"] * 257})),
        Reason.TOKEN_CLAIMS,
    ),
}
"""Only who holds what the issuer signed can send these."""


@pytest.mark.parametrize("name", BEFORE_ITS_SIGNATURE)
def test_a_bad_token_is_not_believed_and_nothing_of_its_claims_is_told(
    name: str,
) -> None:
    text, reason = BEFORE_ITS_SIGNATURE[name]
    outcome = verify(text, WAY, KEYS, NOW)

    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.status, outcome.subject) == (reason, 401, None)


@pytest.mark.parametrize("name", AFTER_ITS_SIGNATURE)
def test_a_token_that_claims_too_little_or_wrongly_is_not_believed(name: str) -> None:
    text, reason = AFTER_ITS_SIGNATURE[name]
    outcome = verify(text, WAY, KEYS, NOW)

    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.status) == (reason, 401)


def test_the_subject_of_a_signed_token_is_told_to_the_log() -> None:
    outcome = verify(token(said(exp=1)), WAY, KEYS, NOW)

    assert isinstance(outcome, Failure)
    assert outcome.subject == "alice"
    assert "alice" not in outcome.words


@pytest.mark.parametrize(
    "change", [{"exp": 1}, {"aud": "x"}, {"iss": "x"}, {"exp": None}]
)
def test_with_a_wrong_signature_every_token_fails_alike(change: dict[str, Any]) -> None:
    """B23: what it claims is told only to who holds a real one."""
    forged = token(said(**change), "other-p256", {"kid": "p256"})

    assert judged(forged) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "text", [token(), *(t for t, _ in AFTER_ITS_SIGNATURE.values())]
)
def test_no_failure_repeats_anything_of_a_token(text: str) -> None:
    outcome = verify(text, replace(WAY, audience="elsewhere"), KEYS, NOW)

    assert isinstance(outcome, Failure)
    assert not any(word in outcome.words for word in ("alice", "issuer.example", "/a"))


@given(st.integers(0, len(token()) - 1), st.characters(max_codepoint=0x7F))
def test_no_octet_of_a_token_can_be_changed(at: int, other: str) -> None:
    good = token()
    changed = good[:at] + other + good[at + 1 :]

    assert (judged(changed) is None) is (changed == good)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_header_and_no_claims_raise(header: bytes, payload: bytes) -> None:
    """Whatever somebody sends, and whatever an issuer signs."""
    assert judged(issuer.signed_by_hand(header, payload))
    assert judged(issuer.signed_by_hand(HEADER, payload))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(["exp", "nbf", "iat", "sub", "aud", "iss", "jti", "streams"]),
    json_values,
)
def test_no_value_of_a_claim_raises(name: str, value: object) -> None:
    outcome = verify(issuer.shared({**said(), name: value}), HS, SHARED, NOW)

    if isinstance(outcome, TokenClaims):
        assert permits(outcome, HS, "/v1/stream/z", MATCH, Right.READ)


def test_a_token_is_judged_up_to_the_largest_size() -> None:
    """One octet more, and nobody looks into it."""
    least = len(token(said(odd="")))
    start = (MAX_BYTES - least) * 3 // 4
    sizes = {
        len(text): text
        for more in range(-6, 6)
        if (text := token(said(odd="x" * (start + more))))
    }
    within = max(size for size in sizes if size <= MAX_BYTES)
    beyond = min(size for size in sizes if size > MAX_BYTES)

    assert beyond - within <= 2
    assert judged(sizes[within]) is None
    assert judged(sizes[beyond]) is Reason.TOKEN_MALFORMED


# -- settings of the way ------------------------------------------------------


def test_a_token_of_the_secret_is_none_where_public_keys_judge() -> None:
    """Not even if an operator listed both, which settings refuse."""
    way = replace(WAY, algorithms=("ES256", "HS256"))

    assert judged(issuer.shared(), way) is Reason.TOKEN_UNKNOWN_KEY


def test_an_algorithm_that_nothing_here_can_judge_is_not_accepted() -> None:
    """Though the library could."""
    way = replace(WAY, algorithms=("none", "ES256K"))

    assert judged(none_algorithm() + "AA", way) is Reason.TOKEN_ALGORITHM
    assert judged(by_hand(b'{"alg":"ES256K"}'), way) is Reason.TOKEN_ALGORITHM


def test_without_an_audience_of_its_own_an_edge_takes_no_token_for_anybody() -> None:
    """RFC 7519 section 4.1.3: a token that names others is for others."""
    way = replace(HS, audience=None, issuer=None)

    assert judged(issuer.shared(said(aud=None, iss=None)), way, SHARED) is None
    assert judged(issuer.shared(), way, SHARED) is Reason.TOKEN_AUDIENCE


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_type_is_compared_as_a_media_type(typ: str) -> None:
    way = replace(WAY, typ="at+jwt")

    assert judged(with_header(typ=typ), way) is None
    assert judged(token(), way) is Reason.TOKEN_TYPE
    assert judged(by_hand(HEADER), way) is Reason.TOKEN_TYPE


def test_times_end_with_the_leeway_and_not_before() -> None:
    text = token(said(exp=int(NOW) + 60))

    assert judged(text, now=NOW + 89.9) is None
    assert judged(text, now=NOW + 90) is Reason.TOKEN_EXPIRED


# -- what a token grants ------------------------------------------------------


def refused(
    claims: TokenClaims,
    path: str,
    right: Right = Right.READ,
    way: JwtWay = WAY,
    match: str = MATCH,
    extension: tuple[str, ...] = (),
) -> Reason | None:
    outcome = permits(claims, way, path, match, right, extension)
    if outcome is None:
        return None
    assert outcome.status == 403
    assert outcome.subject == claims.subject
    return outcome.reason


@pytest.mark.parametrize(
    ("path", "granted"),
    [
        ("/v1/stream/a", True),
        ("/v1/stream/rooms/1", True),
        ("/v1/stream/b", False),
        ("/v1/stream/a/b", False),
        ("/v1/stream/ab", False),
        ("/v1/stream/a%2Fb", False),
        ("/v1/stream/%61", False),
        ("/v1/stream/rooms", False),
        ("/v1/stream/rooms%2F1", False),
        ("/v1/stream/ROOMS/1", False),
    ],
)
def test_a_token_reaches_the_paths_that_it_names(path: str, granted: bool) -> None:
    assert (refused(claims_of(), path) is None) is granted


def test_reading_and_writing_are_two_rights() -> None:
    """A5: neither contains the other."""
    reader = claims_of(streams={"read": ["/a"]})
    writer = claims_of(streams={"write": ["/a"]})

    assert refused(reader, "/a") is None
    assert refused(reader, "/a", Right.WRITE) is Reason.PATH_NOT_GRANTED
    assert refused(writer, "/a", Right.WRITE) is None
    assert refused(writer, "/a") is Reason.PATH_NOT_GRANTED


def test_managing_is_writing_unless_it_has_a_claim() -> None:
    own = replace(WAY, manage="streams.manage")
    grants = {"write": ["/a"], "manage": ["/b"]}
    claims, strict = claims_of(streams=grants), claims_of(own, streams=grants)

    assert refused(claims, "/a", Right.MANAGE) is None
    assert refused(claims, "/b", Right.MANAGE) is Reason.PATH_NOT_GRANTED
    assert refused(strict, "/b", Right.MANAGE, own) is None
    assert refused(strict, "/a", Right.MANAGE, own) is Reason.PATH_NOT_GRANTED


@pytest.mark.parametrize(
    "streams", [None, {}, {"read": []}, {"read": ""}, {"read": None}, "read", ["read"]]
)
def test_a_missing_claim_grants_nothing(streams: object) -> None:
    """403, not 401: another token would be needed, and a new one is the same (B14)."""
    assert (
        refused(claims_of(streams=streams), "/v1/stream/a") is Reason.PATH_NOT_GRANTED
    )


def test_globs_may_be_one_string() -> None:
    claims = claims_of(streams={"read": "/a  /b/*"})

    assert [refused(claims, path) is None for path in ("/a", "/b/c", "/", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_claim_is_looked_up_by_its_whole_name_first() -> None:
    """Names with dots are common: they are URLs."""
    both: dict[str, Any] = {
        "streams.read": ["/whole"],
        "streams": {"read": ["/dots"]},
    }
    url = replace(WAY, read="https://app.example/read")

    assert refused(claims_of(**both), "/whole") is None
    assert refused(claims_of(**both), "/dots") is Reason.PATH_NOT_GRANTED
    claims = claims_of(url, **{"https://app.example/read": ["/a"]})
    assert refused(claims, "/a", way=url) is None


BOUND = replace(WAY, read=None, write=None, bind=("sub",))
USERS = "/v1/stream/users/{sub}/**"


@pytest.mark.parametrize(
    ("subject", "path", "granted"),
    [
        ("alice", "/v1/stream/users/alice/x", True),
        ("alice", "/v1/stream/users/alice/", True),
        ("alice", "/v1/stream/users/bob/x", False),
        ("alice", "/v1/stream/users/alice2/x", False),
        ("alice", "/v1/stream/users/bob%2Falice/x", False),
        ("alice", "/v1/stream/users/bob/alice/x", False),
        ("a@b", "/v1/stream/users/a%40b/x", True),
        ("a%40b", "/v1/stream/users/a%40b/x", False),
        ("*", "/v1/stream/users/bob/x", False),
        ("**", "/v1/stream/users/bob/x", False),
        ("{sub}", "/v1/stream/users/bob/x", False),
        ("", "/v1/stream/users//x", False),
        ("alice", "/v1/stream/elsewhere/alice/x", False),
    ],
)
def test_a_bound_name_is_the_claims_value(
    subject: str, path: str, granted: bool
) -> None:
    claims = claims_of(BOUND, sub=subject)

    assert (refused(claims, path, way=BOUND, match=USERS) is None) is granted


def test_without_the_bound_claim_nothing_is_granted() -> None:
    way = replace(BOUND, bind=("org.id",))
    match = "/v1/stream/{org.id}/**"

    for org in (None, {}, {"id": 7}, {"id": ["acme"]}, "id"):
        claims = claims_of(way, org=org)
        assert refused(claims, "/v1/stream/7/x", way=way, match=match)
    claims = claims_of(way, org={"id": "acme"})
    assert refused(claims, "/v1/stream/acme/x", way=way, match=match) is None


def test_a_name_that_the_route_does_not_have_grants_nothing() -> None:
    assert refused(claims_of(BOUND), "/v1/stream/users/alice/x", way=BOUND)


def test_binding_alone_lets_read_and_never_write() -> None:
    claims, path = claims_of(BOUND), "/v1/stream/users/alice/x"

    for right in (Right.WRITE, Right.MANAGE):
        assert refused(claims, path, right, BOUND, USERS) is Reason.PATH_NOT_GRANTED


def test_globs_and_bound_names_must_both_hold() -> None:
    both = replace(WAY, bind=("sub",))
    claims = claims_of(both, streams={"read": ["/v1/stream/users/*/x"]})

    assert refused(claims, "/v1/stream/users/alice/x", way=both, match=USERS) is None
    assert refused(claims, "/v1/stream/users/alice/y", way=both, match=USERS)
    assert refused(claims, "/v1/stream/users/bob/x", way=both, match=USERS)


def test_a_bound_name_is_no_substitute_for_a_missing_claim() -> None:
    """Where the way names a claim of paths, binding alone lets nobody read."""
    both = replace(WAY, bind=("sub",))
    claims = claims_of(both, streams=None)

    assert refused(claims, "/v1/stream/users/alice/x", way=both, match=USERS)


def test_a_way_without_any_claim_grants_nothing() -> None:
    """Settings refuse it; were they wrong, nobody gets in."""
    bare = replace(WAY, read=None)

    assert refused(claims_of(bare), "/v1/stream/a", way=bare)


def test_extension_parameters_are_covered_unless_the_way_lists_which() -> None:
    claims = claims_of()
    listed = replace(WAY, extension=("lang",))

    assert refused(claims, "/v1/stream/a", extension=("lang", "page")) is None
    assert refused(claims, "/v1/stream/a", way=listed, extension=("lang",)) is None
    assert (
        refused(claims, "/v1/stream/a", way=listed, extension=("lang", "page"))
        is Reason.PARAMETER_NOT_GRANTED
    )


@pytest.mark.parametrize(
    ("globs", "granted"),
    [
        (["/v1/stream/**"], True),
        (["/**"], True),
        (["/v1/stream/*"], False),
        (["/v1/stream/a/**"], False),
        (["/v1/stream/__ds/**"], False),
        ([], False),
    ],
)
def test_a_control_path_takes_a_grant_as_wide_as_what_it_may_name(
    globs: list[str], granted: bool
) -> None:
    """B5: a subscription delivers news of every stream below its path."""
    claims = claims_of(streams={"write": globs})
    path = "/v1/stream/__ds/subscriptions/one"

    outcome = permits_below(claims, path, MATCH, "/v1/stream", Right.MANAGE)

    assert (outcome is None) is granted


def test_a_control_path_of_somebody_else_is_not_granted_by_a_wide_glob() -> None:
    both = replace(WAY, bind=("sub",))
    claims = claims_of(both, streams={"write": ["/**"]})

    for name, granted in (("alice", True), ("bob", False)):
        root = f"/v1/stream/users/{name}"
        outcome = permits_below(claims, f"{root}/__ds/x", USERS, root, Right.WRITE)
        assert (outcome is None) is granted


def test_a_refused_path_is_no_reason_to_fetch_a_new_token() -> None:
    """RFC 6750 section 3.1: insufficient_scope, 403."""
    outcome = permits(claims_of(), WAY, "/v1/stream/b", MATCH, Right.WRITE)

    assert outcome is not None
    assert outcome.status == 403
    assert outcome.words == "The token does not grant the right to write here."


def test_the_issuer_of_the_tests_signs_as_the_library_does() -> None:
    """Else every corpus above might fail for another reason than its own."""
    text = by_hand(HEADER)

    assert judged(text) is None
    assert (
        jwt.decode(
            text,
            issuer.private("p256").public_key(),
            ["ES256"],
            audience="streams",
            options={"verify_exp": False, "verify_iat": False},
        )
        == said()
    )
