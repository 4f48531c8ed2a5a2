"""Who the client is: a trusted proxy's word, read from the right, and nobody else's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.http.client_address import (
    MAX_FORWARDED,
    NOBODY,
    Caller,
    Peer,
    TrustedProxies,
)

PROXIES = TrustedProxies.of(["10.0.0.0/8", "fd00::/8", "unix"])
NEAR = PROXIES.peer(("10.0.0.1", 4711))
CLIENT = "203.0.113.9"


def told(**fields: str) -> Caller:
    """Who it is, through a peer that is trusted."""
    return told_by(NEAR, PROXIES, **fields)


def told_by(peer: Peer, proxies: TrustedProxies, /, **fields: str) -> Caller:
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    return proxies.client(peer, given.get)


def test_without_trusted_proxies_the_client_is_the_peer() -> None:
    """Whatever it says."""
    peer = NOBODY.peer((CLIENT, 1))
    fields = {"x_forwarded_for": "1.2.3.4", "forwarded": "for=1.2.3.4;host=evil"}

    assert peer == Peer(CLIENT, believed=False) and not NOBODY.any
    assert told_by(peer, NOBODY, **fields) == Caller(CLIENT)


def test_a_peer_that_is_not_trusted_is_not_believed() -> None:
    """It may say that it is anybody: the log and every bound would believe it."""
    peer = PROXIES.peer((CLIENT, 1))
    fields = {
        "x_forwarded_for": "10.0.0.1",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "evil.test",
    }

    assert told_by(peer, PROXIES, **fields) == Caller(CLIENT)


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        (("10.1.2.3", 1), Peer("10.1.2.3", True)),
        (("::ffff:10.1.2.3", 1, 0, 0), Peer("10.1.2.3", True)),
        (("FD00:0:0::1", 1, 0, 0), Peer("fd00::1", True)),
        (("fe80::1%eth0", 1, 0, 3), Peer("fe80::1", False)),
        (("11.0.0.1", 1), Peer("11.0.0.1", False)),
        ("", Peer("", True)),
        (None, Peer("", True)),
    ],
)
def test_a_peer_is_known_by_its_address_in_one_spelling(
    name: object, peer: Peer
) -> None:
    assert PROXIES.peer(name) == peer


def test_a_unix_socket_is_trusted_only_if_it_is_named() -> None:
    assert TrustedProxies.of(["unix"]).peer("") == Peer("", True)
    assert TrustedProxies.of(["10.0.0.0/8"]).peer("") == Peer("", False)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (CLIENT, CLIENT),
        (f" {CLIENT}\t", CLIENT),
        (f"1.2.3.4, {CLIENT}", CLIENT),
        (f"1.2.3.4, {CLIENT}, 10.0.0.2, 10.0.0.3", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        (f"{CLIENT}:_obfuscated", CLIENT),
        ("10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("[2001:db8::1]:4711, 10.0.0.2", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", CLIENT),
        # What is no address ends the walk at the proxy that wrote it.
        (f"{CLIENT}, unknown", "10.0.0.1"),
        (f"{CLIENT}, unknown, 10.0.0.2", "10.0.0.2"),
        (f"{CLIENT}, _hidden", "10.0.0.1"),
        (f"{CLIENT}, garbage\x00, 10.0.0.2", "10.0.0.2"),
        (f"{CLIENT}, 999.1.1.1", "10.0.0.1"),
        (f"{CLIENT}, 010.0.0.2", "10.0.0.1"),
        (f"{CLIENT},", "10.0.0.1"),
        ("", "10.0.0.1"),
        (", , ,", "10.0.0.1"),
        ("a" * 20_000, "10.0.0.1"),
    ],
)
def test_the_first_from_the_right_that_is_not_trusted_is_the_client(
    chain: str, address: str
) -> None:
    assert told(x_forwarded_for=chain).address == address


@pytest.mark.parametrize("entry", ["10.0.0.2", CLIENT, "unknown", "", "x,y"])
def test_a_thousand_entries_are_a_bounded_walk(entry: str) -> None:
    """Whatever they are: the client's own text stands on the left."""
    chain = ",".join(["1.2.3.4", *[entry] * 1000, "10.0.0.3"])

    assert told(x_forwarded_for=chain).address in ("10.0.0.2", "10.0.0.3", CLIENT)


@pytest.mark.parametrize(
    ("field", "caller"),
    [
        (f"for={CLIENT};proto=https;host=a.test", (CLIENT, "https", "a.test")),
        (f"For={CLIENT};Proto=HTTPS;By=10.0.0.1", (CLIENT, "https", "")),
        ('for="[2001:db8::1]:4711";host="a.test:8443"', ("2001:db8::1", "", None)),
        (f"for=1.2.3.4;host=evil.test, for={CLIENT};host=a.test", (CLIENT, "", None)),
        (f"for={CLIENT};proto=https, for=10.0.0.2", (CLIENT, "https", "")),
        (f"for={CLIENT}, for=10.0.0.2;proto=https", (CLIENT, "https", "")),
        ("for=_hidden;proto=https", ("10.0.0.1", "https", "")),
        ("for=unknown, for=10.0.0.2", ("10.0.0.2", "", "")),
        ("proto=https;;", ("10.0.0.1", "https", "")),
        ("proto=gopher;host=a b", ("10.0.0.1", "", "")),
        ('proto="htt\\ps"', ("10.0.0.1", "https", "")),
        ("", ("10.0.0.1", "", "")),
    ],
)
def test_forwarded_tells_by_its_elements(
    field: str, caller: tuple[str, str, str | None]
) -> None:
    """RFC 7239."""
    found = told(forwarded=field)

    address, scheme, host = caller
    assert (found.address, found.scheme) == (address, scheme)
    if host is not None:
        assert found.host == host


@pytest.mark.parametrize(
    "field",
    [
        # An open quote of the client's would swallow what the proxy added.
        f'for=1.2.3.4;by=", for={CLIENT};proto=https',
        f'for=1.2.3.4;by=", for="[2001:db8::1]";proto=https, for={CLIENT}',
        f'for="1.2.3.4, for={CLIENT}',
        f"for=1.2.3.4;for=5.6.7.8, for={CLIENT}",
        f"for=, for={CLIENT}",
        f"for=1.2.3.4 x, for={CLIENT}",
        f"{'for=1.2.3.4,' * 1000} for={CLIENT}",
    ],
)
def test_a_forwarded_that_breaks_its_grammar_tells_nothing(field: str) -> None:
    assert told(forwarded=field) == Caller("10.0.0.1")


def test_a_forwarded_that_is_too_long_tells_nothing() -> None:
    last = f", for={CLIENT}"
    fits = "for=1.2.3.4;by=" + "a" * (MAX_FORWARDED - len(last) - 15) + last

    assert told(forwarded=fits).address == CLIENT
    assert told(forwarded="a" + fits) == Caller("10.0.0.1")


def test_scheme_and_host_are_those_of_the_clients_own_hop() -> None:
    """One value counts for all hops; of a list, what the client wrote does not."""
    chain = f"1.2.3.4, {CLIENT}, 10.0.0.2"

    for schemes in ("https", "http, https, http", "https, http"):
        assert told(x_forwarded_for=chain, x_forwarded_proto=schemes).scheme == "https"
    assert told(x_forwarded_for=CLIENT, x_forwarded_proto="https, http").scheme == (
        "http"
    )
    assert told(x_forwarded_for=CLIENT, x_forwarded_host="evil.test, A.test:1") == (
        Caller(CLIENT, "", "a.test:1")
    )


@pytest.mark.parametrize(
    ("scheme", "host"), [("ftp", "a/b"), ("", ""), ("https ftp", "a@b"), (",", ",")]
)
def test_what_is_no_scheme_and_no_host_is_not_told(scheme: str, host: str) -> None:
    """P2: it would stand in Location."""
    found = told(x_forwarded_proto=scheme, x_forwarded_host=host)

    assert found == Caller("10.0.0.1")


def test_of_two_kinds_of_fields_only_what_both_say_is_believed() -> None:
    """A proxy that writes one of them hands the client's other one on."""
    both = {"x_forwarded_for": CLIENT, "x_forwarded_proto": "https"}

    assert told(**both, forwarded=f"for={CLIENT};proto=https") == (
        Caller(CLIENT, "https")
    )
    assert told(**both, forwarded="for=1.2.3.4;proto=https") == (
        Caller("10.0.0.1", "https")
    )
    assert told(**both, forwarded=f"for={CLIENT};host=evil.test") == Caller(CLIENT)
    assert told(**both, forwarded='"') == Caller("10.0.0.1")


@given(
    st.lists(
        st.sampled_from(["1.2.3.4", "unknown", "10.9.9.9", '"', "", "for=x", "::1"])
    ),
    st.sampled_from(["x_forwarded_for", "forwarded"]),
)
def test_nobody_says_of_another_what_the_proxy_did_not(
    before: list[str], name: str
) -> None:
    """Whatever a client sends in front: it is the one that the proxy saw, or the proxy
    is the last one known. It is never who it says it is."""
    own = CLIENT if name == "x_forwarded_for" else f"for={CLIENT}"

    found = told(**{name: ",".join([*before, own])})

    assert found.address in (CLIENT, "10.0.0.1")


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_whatever_is_told_the_client_is_an_address(
    chain: str, field: str, host: str
) -> None:
    for fields in (
        {"x_forwarded_for": chain, "x_forwarded_host": host},
        {"forwarded": field},
    ):
        found = told(**fields)
        assert re.fullmatch(r"[0-9a-f.:]+", found.address)
        assert found.scheme in ("", "http", "https")


@pytest.mark.parametrize("name", ["10.0.0.1/8", "unix:", "localhost", "10.0.0.0/33"])
def test_what_names_no_network_is_an_error(name: str) -> None:
    with pytest.raises(ValueError):
        TrustedProxies.of([name])
