"""Settings of ways: what they come to, and what would let in by mistake (B8, B14)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.access.authorizer import AccessAuthorizer
from edge.core.counters import Counters
from edge.policy.streams.authorize import authorize
from edge.policy.streams.routes import Access
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    JwksFile,
    JwksUrl,
    JwtWay,
    PemFile,
    Secret,
    SignedWay,
    TokenPlace,
)
from edge.settings import Settings, SettingsError, cross_checks, load
from edge.settings.dump import as_data, as_text
from edge.wiring import SystemClock, judging
from tests.access.issuer import jwk, jwks, pem

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
HS: dict[str, Any] = {
    "keys": [{"secret": SECRET}],
    "algorithms": ["HS256"],
    "read_claim": "streams.read",
}
ES: dict[str, Any] = {
    "keys": [{"jwks": "https://issuer.example/keys"}],
    "algorithms": ["ES256"],
    "issuer": "https://issuer.example",
    "audience": "streams",
    "read_claim": "streams.read",
}
SIGNED: dict[str, Any] = {"keys": {"k1": {"secret": OTHER}}}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with keys, where the settings look for them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "short").write_text("short")
    (tmp_path / "public.pem").write_bytes(pem("p256"))
    (tmp_path / "rsa.pem").write_bytes(pem("rsa"))
    (tmp_path / "keys.json").write_bytes(jwks(jwk("p256", kid="a")))


def settings(access: Any, **route: Any) -> Settings:
    """What these settings come to; problems are told by the file's name."""
    path = Path("edge.yaml")
    tree = {"routes": [{"match": "/v1/stream/**", "access": access, **route}]}
    path.write_text(json.dumps(tree))
    return load(path, {})


def wrong(access: Any, **route: Any) -> list[str]:
    """What is wrong with them, as ``key: message``."""
    with pytest.raises(SettingsError) as raised:
        settings(access, **route)
    return [f"{one.key}: {one.message}" for one in raised.value.problems]


# What they come to.


def test_a_route_with_ways_judges_by_them_in_the_order_in_which_they_stand() -> None:
    """B8, B19: and what they look at is the credential; nothing else is."""
    jwt = HS | {"sources": ["authorization", {"query": "t"}, {"cookie": "session"}]}
    for access in ({"jwt": jwt, "signed": SIGNED}, {"signed": SIGNED, "jwt": jwt}):
        [route] = settings(access).route_table

        assert route.access is Access.GRANTED
        kinds = [JwtWay if name == "jwt" else SignedWay for name in access]
        assert [type(way) for way in route.ways] == kinds
        assert route.credential_headers == ("authorization", "cookie")
        assert route.credential_parameters == ("ds_exp", "ds_key", "ds_sig", "t")
        assert route.expires_parameters == ()


def test_every_setting_of_a_token_reaches_its_judge() -> None:
    jwt = ES | {
        "typ": "at+jwt",
        "leeway": "5s",
        "max_lifetime": "1h",
        "sources": [{"cookie": "session"}, {"query": "access_token"}],
        "write_claim": "w",
        "manage_claim": "m",
        "bind": ["sub"],
        "extension": ["x", "y"],
    }
    [route] = settings({"jwt": jwt}, match="/v1/users/{sub}/**").route_table

    assert route.ways == (
        JwtWay(
            keys=(JwksUrl("https://issuer.example/keys", 600.0),),
            algorithms=("ES256",),
            issuer="https://issuer.example",
            audience="streams",
            leeway=5.0,
            sources=(
                CredentialSource(TokenPlace.COOKIE, "session"),
                CredentialSource(TokenPlace.QUERY, "access_token"),
            ),
            read="streams.read",
            write="w",
            manage="m",
            bind=("sub",),
            max_lifetime=3600.0,
            typ="at+jwt",
            extension=("x", "y"),
        ),
    )


def test_without_more_a_token_is_looked_for_where_tokens_are() -> None:
    [route] = settings({"jwt": HS}).route_table
    [way] = route.ways
    assert isinstance(way, JwtWay)

    assert way.sources == (AUTHORIZATION,)
    assert (way.leeway, way.max_lifetime) == (30.0, 86_400.0)


@pytest.mark.parametrize(
    ("key", "algorithm", "source"),
    [
        ({"secret": SECRET, "kid": "a"}, "HS256", Secret(SECRET.encode(), "a")),
        ({"secret_file": "secret"}, "HS256", Secret(SECRET.encode())),
        ({"public_key": "public.pem"}, "ES256", PemFile("public.pem")),
        ({"jwks": "keys.json"}, "ES256", JwksFile("keys.json")),
        (
            {"jwks": "https://i.example/k?v=1", "refresh": "5m"},
            "ES256",
            JwksUrl("https://i.example/k?v=1", 300.0),
        ),
        (
            {"jwks": "http://127.0.0.1:99/k"},
            "ES256",
            JwksUrl("http://127.0.0.1:99/k"),
        ),
    ],
)
def test_a_key_is_a_secret_a_file_or_a_url(
    key: dict[str, str], algorithm: str, source: object
) -> None:
    [route] = settings(
        {"jwt": ES | {"keys": [key], "algorithms": [algorithm]}}
    ).route_table
    [way] = route.ways
    assert isinstance(way, JwtWay)

    assert way.keys == (source,)


def test_public_keys_are_those_that_were_there_when_the_settings_were_read() -> None:
    """A worker that starts later does not depend on the files."""
    keys = [{"public_key": "public.pem"}, {"jwks": "keys.json"}]
    made = settings({"jwt": ES | {"keys": keys}})
    for name in ("public.pem", "keys.json"):
        Path(name).unlink()
    clock = SystemClock()
    judge = judging(made, made.route_table, clock, Counters()).authorizer

    assert isinstance(judge, AccessAuthorizer)
    assert made.key_files["public.pem"] == pem("p256")


def test_without_ways_only_the_origin_judges() -> None:
    """A12."""
    made = settings("public")

    judged = judging(made, made.route_table, SystemClock(), Counters())
    assert judged.authorizer is authorize and judged.revoker is None


def test_a_signed_url_is_judged_by_its_keys_and_names() -> None:
    signed = {
        "keys": {"k1": {"secret_file": "secret"}, "k2": {"secret": OTHER}},
        "signature": "sig",
    }
    [route] = settings({"signed": signed}).route_table

    keys = (("k1", SECRET.encode()), ("k2", OTHER.encode()))
    assert route.ways == (SignedWay(keys, signature="sig"),)


@pytest.mark.parametrize("order", [("signed", "jwt"), ("jwt", "signed")])
def test_links_are_public_only_where_nobody_else_is_let_in(
    order: tuple[str, str],
) -> None:
    """A6: caches downstream share what is public, and judge no token."""
    public = SIGNED | {"public": True}
    [route] = settings({"signed": public}).route_table
    ways = {"signed": public, "jwt": HS}
    [said] = wrong({name: ways[name] for name in order})

    assert route.is_public
    assert not settings({"signed": SIGNED}).route_table[0].is_public
    assert said.startswith(
        "routes[0].access.signed.public: is for routes with no other"
    )


def test_no_secret_is_shown() -> None:
    """And what is shown can be read again."""
    jwt = HS | {"keys": [{"secret": SECRET}], "sources": [{"query": "t"}]}
    made = settings({"jwt": jwt, "signed": SIGNED})
    for shown in (as_text(made), repr(as_data(made)), repr(made)):
        assert SECRET not in shown and OTHER not in shown
    [route] = yaml.safe_load(as_text(made))["routes"]

    assert list(route["access"]) == ["jwt", "signed"]
    assert route["access"]["jwt"]["sources"] == [{"query": "t"}]
    assert SECRET not in repr(made.route_table)


# What must not be.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": []}, "keys: expected at least one"),
        ({"algorithms": []}, "algorithms: expected at least one"),
        ({"algorithms": ["HS256", "ES256"]}, "must not be mixed"),
        ({"algorithms": ["ES256"]}, "issuer and audience are required"),
        ({"keys": [{"public_key": "public.pem"}]}, "none of the algorithms fits"),
        (
            {"keys": [{"secret": SECRET}, {"jwks": "https://i.example/k"}]},
            "fits no algorithm with a secret",
        ),
        ({"keys": [{"secret": SECRET}, {"secret": OTHER}]}, "two of them fit the same"),
        ({"read_claim": None}, "expected read_claim or bind"),
        ({"sources": []}, "sources: expected at least one"),
        ({"sources": ["authorization", "authorization"]}, "stands twice"),
    ],
)
def test_a_token_that_would_be_judged_by_mistake_is_refused(
    change: dict[str, Any], message: str
) -> None:
    """B14."""
    [said] = wrong({"jwt": HS | change})

    assert said.startswith("routes[0].access.jwt: ") and message in said


@pytest.mark.parametrize("missing", ["issuer", "audience"])
def test_public_keys_take_an_issuer_and_an_audience(missing: str) -> None:
    """B14: the same keys sign tokens that are meant for others."""
    [said] = wrong({"jwt": {k: v for k, v in ES.items() if k != missing}})

    assert "issuer and audience are required" in said


@pytest.mark.parametrize(
    ("key", "where", "message"),
    [
        ({"secret": "short"}, ".secret", "at least 32 bytes"),
        ({"secret_file": "short"}, ".secret_file", "at least 32 bytes"),
        ({"secret_file": "nowhere"}, ".secret_file", "cannot be read"),
        ({"secret": pem("p256").decode()}, ".secret", "no secret"),
        ({"public_key": "secret"}, ".public_key", "expected a public key"),
        ({"jwks": "secret"}, ".jwks", "expected a JSON object"),
        ({"jwks": "http://issuer.example/k"}, ".jwks", "must be https"),
        ({"jwks": "ftp://issuer.example/k"}, ".jwks", "must be https"),
        ({"jwks": "https://me@issuer.example/k"}, ".jwks", "expected a file, or a URL"),
        ({}, "", "exactly one of"),
        ({"secret": SECRET, "public_key": "public.pem"}, "", "exactly one of"),
        ({"jwks": "keys.json", "kid": "a"}, "", "kid is for single keys"),
        ({"jwks": "keys.json", "refresh": "5m"}, "", "refresh is for keys at a URL"),
    ],
)
def test_what_is_no_key_is_told_where_it_stands(
    key: dict[str, str], where: str, message: str
) -> None:
    """And never repeated."""
    [said] = wrong({"jwt": ES | {"keys": [key]}})

    assert said.startswith(f"routes[0].access.jwt.keys[0]{where}: ")
    assert message in said and SECRET not in said


@pytest.mark.parametrize(
    ("signed", "message"),
    [
        ({"keys": {}}, "expected at least one"),
        ({"keys": {"k 1": {"secret": OTHER}}}, "up to 64 letters"),
        ({"keys": {"k1": {"secret": "short"}}}, "at least 32 bytes"),
        (SIGNED | {"signature": "offset"}, "not the protocol's"),
        (SIGNED | {"signature": "ds_exp"}, "expected three names"),
    ],
)
def test_a_link_that_would_be_judged_by_mistake_is_refused(
    signed: dict[str, Any], message: str
) -> None:
    [said] = wrong({"signed": signed})

    assert said.startswith("routes[0].access.signed") and message in said


@pytest.mark.parametrize(
    ("access", "message"),
    [
        ("granted", "expected partitioned or public, or a mapping of ways"),
        ("open", "got 'open'"),
        ({}, "expected at least one way"),
        ({"jwt": None}, "expected at least one way"),
        (
            {"jwt": HS | {"sources": [{"query": "ds_sig"}]}, "signed": SIGNED},
            "two ways look at one parameter",
        ),
    ],
)
def test_access_is_a_word_or_ways(access: Any, message: str) -> None:
    [said] = wrong(access)

    assert said.startswith("routes[0].access: ") and message in said


def test_a_wrong_key_is_told_with_what_it_may_mean() -> None:
    [said] = wrong({"jwt": HS | {"isuer": "x"}})

    assert said.endswith("did you mean routes[0].access.jwt.issuer?")


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"credential_headers": ["x-key"]}, "the ways say what is a credential"),
        ({"credential_parameters": []}, "the ways say what is a credential"),
        ({"expires_parameters": ["until"]}, "the ways say what is a credential"),
        ({"request_headers": ["cookie"]}, "no client's credential goes upstream"),
        ({"match": "/v1/**/{sub}"}, "before every **"),
        ({"match": "/v1/{sub}/{sub}"}, "stands once"),
    ],
)
def test_the_rest_of_a_route_must_fit_its_ways(
    route: dict[str, Any], message: str
) -> None:
    """B8, B20."""
    [said] = wrong({"jwt": HS}, **route)

    assert message in said


@pytest.mark.parametrize(
    ("access", "route", "message"),
    [
        ("public", {"identity": ["x-user"]}, "is for routes with ways"),
        (
            {"jwt": HS},
            {"identity": ["x-user"], "request_headers": ["X-User"]},
            "cannot hold x-user",
        ),
        (
            {"jwt": HS},
            {"identity": ["x-user"], "origin_headers": {"X-User": "edge"}},
            "cannot hold x-user",
        ),
        (
            {"jwt": HS},
            {"identity": ["authorization"]},
            "routes[0].credential_headers: cannot hold authorization",
        ),
    ],
)
def test_who_asks_is_told_by_the_edge_alone(
    access: Any, route: dict[str, Any], message: str
) -> None:
    """B9."""
    [said] = wrong(access, **route)

    assert message in said


def test_a_bound_name_stands_in_the_route() -> None:
    """B20."""
    [said] = wrong({"jwt": HS | {"bind": ["sub"]}})

    assert said == "routes[0].access.jwt: bind: match has no segment {sub}"


def test_a_key_belongs_to_one_issuer() -> None:
    """B14: what another issuer signs must not pass for this one's."""
    path = Path("edge.yaml")
    other = ES | {"issuer": "https://other.example"}
    tree = [
        {"match": "/a/**", "access": {"jwt": ES}},
        {"match": "/b/**", "access": {"jwt": ES}},
        {"match": "/c/**", "access": {"jwt": other}},
    ]
    path.write_text(json.dumps({"routes": tree}))
    with pytest.raises(SettingsError) as raised:
        load(path, {})

    [problem] = raised.value.problems
    assert problem.key == "routes[2].access.jwt"


def test_it_is_told_where_signed_is_not_first() -> None:
    """B19: it works, and may not be what was meant."""
    first = settings({"signed": SIGNED, "jwt": HS})
    last = settings({"jwt": HS, "signed": SIGNED})

    assert not list(cross_checks.warnings(first))
    [warning] = cross_checks.warnings(last)
    assert warning.path == ("routes", 0, "access", "signed")
