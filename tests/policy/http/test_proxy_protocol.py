"""The PROXY protocol: one header, read byte by byte, and no byte more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.policy.http.proxy_protocol import MAX_HEADER, ProxyHeader, parse

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IP4 = bytes([203, 0, 113, 9, 10, 0, 0, 1]) + b"\x12\x67\x01\xbb"
IP6 = bytes.fromhex("20010db8000000000000000000000001" * 2) + b"\x12\x67\x01\xbb"
TLV = b"\x04\x00\x05noop." + b"\x20\x00\x05\x01\x00\x00\x00\x00"


def binary(command: int = 0x21, family: int = 0x11, body: bytes = IP4) -> bytes:
    head = SIGNATURE + bytes([command, family])
    return head + len(body).to_bytes(2) + body


GOOD = [
    (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n", "203.0.113.9"),
    (b"PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n", "2001:db8::1"),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n", None),
    (binary(), "203.0.113.9"),
    (binary(body=IP4 + TLV), "203.0.113.9"),
    (binary(family=0x21, body=IP6), "2001:db8::1"),
    (binary(family=0x21, body=IP6 + TLV * 20), "2001:db8::1"),
    (binary(command=0x20), None),
    (binary(command=0x20, family=0, body=b""), None),
    (binary(command=0x20, body=b"x"), None),
    (binary(family=0x00, body=b""), None),
    (binary(family=0x31, body=bytes(216)), None),
    (binary(family=0x12, body=IP4), None),
    (binary(family=0x77, body=TLV), None),
    (binary(body=IP4 + bytes(MAX_HEADER - 28)), "203.0.113.9"),
]  # fmt: skip

good = pytest.mark.parametrize(("header", "address"), GOOD)


@good
def test_a_header_tells_an_address_or_none(header: bytes, address: str | None) -> None:
    assert parse(header) == ProxyHeader(len(header), address)


@good
def test_what_follows_the_header_is_no_part_of_it(
    header: bytes, address: str | None
) -> None:
    assert parse(header + header) == ProxyHeader(len(header), address)
    assert parse(header + b"\x00" * 100_000) == ProxyHeader(len(header), address)


@good
def test_a_header_may_come_in_single_bytes(header: bytes, address: str | None) -> None:
    for size in range(len(header)):
        assert parse(header[:size]) is None


@pytest.mark.parametrize(
    "held",
    [
        b"GET / HTTP/1.1\r\n",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\nGET / HTTP/1.1",
        b"\x00",
        b"proxy TCP4 203.0.113.9 10.0.0.1 1 2\r\n",
    ],
)
def test_other_bytes_are_no_header(held: bytes) -> None:
    """HTTP, HTTP/2, TLS: as soon as it can be told."""
    if held == b"P":
        assert parse(held) is None
        return
    with pytest.raises(ClientFault) as caught:
        parse(held)

    assert caught.value.reason is Reason.NO_PROXY_HEADER


@pytest.mark.parametrize(
    "held",
    [
        b"PROXY " + b"x" * 101,
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\n" + b"x" * 100,
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443 \r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\n",
        b"PROXY TCP4 203.0.113.09 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.999 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n",
        b"PROXY TCP6 203.0.113.9 10.0.0.1 4711 443\r\n",
        b"PROXY TCP6 ::1::2 ::1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 04711 443\r\n",
        b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY \r\n",
        binary(command=0x11),
        binary(command=0x22),
        binary(body=IP4[:11]),
        binary(family=0x21, body=IP4),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x20\x00\xff\xff",
        binary(body=IP4 + bytes(MAX_HEADER - 27))[:100],
    ],
)
def test_a_malformed_header_is_refused(held: bytes) -> None:
    with pytest.raises(ClientFault) as caught:
        parse(held)

    assert caught.value.reason is Reason.BAD_PROXY_HEADER


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda rest: b"PROXY " + rest),
        st.binary(max_size=200).map(lambda rest: SIGNATURE + rest),
    )
)
def test_whatever_comes_is_told_within_a_bound(held: bytes) -> None:
    """Never another error, and nobody is waited for beyond the bound."""
    try:
        found = parse(held)
        late = parse(held + b"x" * MAX_HEADER)
    except ClientFault as fault:
        assert fault.reason in (Reason.NO_PROXY_HEADER, Reason.BAD_PROXY_HEADER)
        return

    assert late is not None
    assert found is None or found.size <= len(held)
