"""``ds-edge sign`` and ``ds-edge token``: what they make is what an edge takes."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import typer.main
from typer.testing import CliRunner, Result

from edge.access.credentials import SignedLink, find
from edge.access.keys import KeySet
from edge.access.signed import LinkGrant, verify
from edge.access.tokens import TokenClaims, permits
from edge.access.tokens import verify as verify_token
from edge.cli.access import making
from edge.cli.app import app
from edge.policy.http import request_target
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import (
    CredentialSource,
    JwtWay,
    PemFile,
    Right,
    Secret,
    SignedWay,
    TokenPlace,
)
from tests.cli.streams.test_manual import options_in, section

SECRET = "a secret of the tests, of 64 bytes: 0123456789abcdefghijklmnopqr"
URL = "https://edge.example/v1/stream/docs/7?lang=de"

Run = Callable[..., Result]


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with the secret, as an editor leaves it."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    return str(file)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("DS_EDGE_CONFIG", raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def judged(url: str, way: SignedWay, now: float) -> Any:
    parts = urlsplit(url)
    target = request_target.join(parts.path, parts.query)
    head = RequestHead.of("GET", target, lambda name: None)
    link = find(way, head)
    assert isinstance(link, SignedLink)
    own = (p for p in head.parameters if p.name not in way.parameters)
    extension = request_target.extension(own)
    return verify(link, way, head.path, extension, Right.READ, now)


def claims_in(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims, dict)
    return claims


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [((), 3600), (("--expires", "1d"), 86_400)]
)
def test_a_link_is_one_that_an_edge_takes(
    run: Run, secret: str, lifetime: tuple[str, ...], seconds: int
) -> None:
    before = time.time()
    result = run("sign", URL, "--key", "k1", "--secret-file", secret, *lifetime)
    after = time.time()

    assert result.exit_code == 0, result.output
    way = SignedWay((("k1", SECRET.encode()),))
    outcome = judged(result.stdout.strip(), way, after)
    assert isinstance(outcome, LinkGrant)
    assert before + seconds - 1 <= outcome.expires_at <= after + seconds
    assert result.stdout.startswith(URL + "&ds_key=k1&")


def test_a_token_is_one_that_an_edge_takes(run: Run, secret: str) -> None:
    result = run(
        *("token", "--sub", "alice", "--read", "/a/*", "--read", "/b"),
        *("--write", "/a/1", "--claim", "org=acme=x", "--secret-file", secret),
        *("--issuer", "https://issuer.example", "--audience", "streams"),
    )

    assert result.exit_code == 0, result.output
    way = JwtWay(
        (),
        ("HS256",),
        issuer="https://issuer.example",
        audience="streams",
        read="streams.read",
        write="streams.write",
    )
    token = result.stdout.strip()
    keys = KeySet.of_secret(SECRET.encode())
    claims = verify_token(token, way, keys, time.time())
    assert isinstance(claims, TokenClaims)
    assert claims.subject == "alice"
    assert claims_in(token)["org"] == "acme=x"
    for path, right, granted in (
        ("/a/1", Right.READ, True),
        ("/b", Right.READ, True),
        ("/a/1", Right.WRITE, True),
        ("/b", Right.WRITE, False),
        ("/c", Right.READ, False),
    ):
        assert (permits(claims, way, path, "/**", right) is None) is granted


def test_only_what_was_made_is_on_standard_output(run: Run, secret: str) -> None:
    """A shell puts it into a variable; that it is for trying out is on stderr."""
    link = run("sign", URL, "--key", "k1", "--secret-file", secret)
    token = run("token", "--sub", "a", "--secret-file", secret)

    assert len(link.stdout.split()) == len(token.stdout.split()) == 1
    assert link.stderr == ""
    assert "for trying out" in token.stderr


@pytest.mark.parametrize("name", ["sign", "token"])
def test_a_secret_is_never_an_argument(name: str) -> None:
    command: Any = vars(typer.main.get_command(app))["commands"][name]
    options = {one for parameter in command.params for one in parameter.opts}

    assert {one for one in options if "secret" in one} == {"--secret-file"}


@pytest.mark.parametrize("name", ["sign", "token"])
def test_every_option_is_in_the_manual_and_no_other(name: str) -> None:
    command: Any = vars(typer.main.get_command(app))["commands"][name]
    options = {one for parameter in command.params for one in parameter.opts}
    long = {one for one in options if one.startswith("--")} - {"--help"}

    assert options_in(section(f"## `ds-edge {name}`")) == long


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("sign", URL), 2, "--key"),
        (("sign", URL, "--key", "k1", "--expires", "soon"), 2, "expected a duration"),
        (("sign", URL, "--key", "k1", "--expires", "0s"), 2, "at least 1s"),
        (("sign", URL, "--key", "k 1"), 1, "a key's id has"),
        (("sign", URL + "&ds_sig=x", "--key", "k1"), 1, "signed already"),
        (("sign", "http://[::1/v1/a", "--key", "k1"), 1, "Invalid IPv6 URL"),
        (("sign", "/v1/../x", "--key", "k1"), 1, "the path is malformed"),
        (("token",), 2, "--sub"),
        (("token", "--sub", "a", "--read", "rooms/*"), 2, "expected a path"),
        (("token", "--sub", "a", "--claim", "org"), 2, "expected NAME=VALUE"),
        (("token", "--sub", "a", "--expires", "30d"), 1, "lives longer"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(
    run: Run, secret: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run(*arguments, "--secret-file", secret)

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""
    assert SECRET not in result.output


@pytest.mark.parametrize("name", ["sign", "token"])
@pytest.mark.parametrize(
    ("octets", "words"), [(b"short\n", "at least 32 bytes"), (None, "No such file")]
)
def test_a_file_without_a_secret_is_named(
    run: Run, tmp_path: Path, name: str, octets: bytes | None, words: str
) -> None:
    file = tmp_path / "other"
    if octets is not None:
        file.write_bytes(octets)
    given = {"sign": (URL, "--key", "k1"), "token": ("--sub", "a")}[name]

    result = run(name, *given, "--secret-file", str(file))

    assert result.exit_code == 1
    assert f"{file}: " in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize(
    "arguments", [("sign", URL, "--key", "k1"), ("token", "--sub", "a")]
)
def test_without_a_secret_nothing_is_made(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "give --secret-file, or settings" in result.stderr


# -- the way that settings declare --------------------------------------------

LINKS = SignedWay((("k1", SECRET.encode()),), signature="s", expires="e", key="k")
TOKENS = JwtWay(
    (PemFile("key.pem"), Secret(SECRET.encode(), "mine")),
    ("HS512",),
    typ="at+jwt",
    sources=(CredentialSource(TokenPlace.QUERY, "access_token"),),
    read="paths",
)
PUBLIC_ONLY = JwtWay((PemFile("key.pem"),), ("ES256",), read="paths")


def told(capsys: pytest.CaptureFixture[str], code: int, work: Callable[[], Any]) -> str:
    """What is told on stderr by work that ends with this code."""
    with pytest.raises(typer.Exit) as ended:
        work()
    assert ended.value.exit_code == code
    return capsys.readouterr().err


def test_a_link_is_signed_by_the_route_of_its_path() -> None:
    routes = (
        Route("/v1/stream/other/**", ways=(SignedWay(()),)),
        Route("/v1/stream/**", ways=(TOKENS, LINKS)),
    )

    assert making.way_of_links(routes, URL) == LINKS


@pytest.mark.parametrize(
    ("routes", "url", "words"),
    [
        ((), URL, "no route takes signed URLs"),
        ((Route(ways=(TOKENS,)),), URL, "no route takes signed URLs"),
        ((Route("/v2/**", ways=(LINKS,)),), URL, "no route takes signed URLs"),
        ((Route(ways=(LINKS,)),), "http://[::1/v1/a", "Invalid IPv6 URL"),
        (
            (Route(ways=(TOKENS, LINKS)),),
            URL + "&access_token=t",
            "a credential of another kind",
        ),
    ],
)
def test_a_link_that_no_route_would_take_is_not_made(
    capsys: pytest.CaptureFixture[str],
    routes: tuple[Route, ...],
    url: str,
    words: str,
) -> None:
    assert words in told(capsys, 1, lambda: making.way_of_links(routes, url))


def test_the_only_route_that_takes_tokens_needs_no_name() -> None:
    routes = (Route("/a"), Route("/b", ways=(PUBLIC_ONLY,)), Route(ways=(TOKENS,)))

    assert making.way_of_tokens(routes, None) == TOKENS
    assert making.way_of_tokens((*routes, Route("/c", ways=(TOKENS,))), None) == TOKENS


def test_of_several_routes_one_must_be_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = JwtWay((Secret(SECRET.encode()),), ("HS256",), read="other")
    routes = (Route("/a", ways=(other,)), Route(ways=(TOKENS,)))

    assert making.way_of_tokens(routes, "/a") == other
    words = told(capsys, 2, lambda: making.way_of_tokens(routes, None))
    assert "name one with --route" in words


def test_where_there_are_public_keys_only_no_token_can_be_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    routes = (Route(ways=(PUBLIC_ONLY, LINKS)),)

    words = told(capsys, 1, lambda: making.way_of_tokens(routes, None))
    assert "no route takes tokens that are made with a secret" in words


def test_a_token_is_made_as_its_way_says() -> None:
    said = {"sub": "a", "exp": 2_000, "paths": ["/a"]}

    token = making.make_token(TOKENS, said, 1_000)

    header = json.loads(urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": "HS512", "kid": "mine", "typ": "at+jwt"}
    keys = KeySet.of_secret(SECRET.encode(), "mine")
    assert isinstance(verify_token(token, TOKENS, keys, 1_000), TokenClaims)


def test_a_secret_that_fits_no_algorithm_makes_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = JwtWay((Secret(SECRET[:32].encode()),), ("HS512", "ES256"), read="paths")

    words = told(capsys, 1, lambda: making.make_token(short, {}, 0))
    assert "fits none of the algorithms: HS512, ES256" in words
