"""TlsTransport over a socket of its own, and a client all of whose octets we hold."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.http1 import handshakes
from edge.front.tls import RECORD, TlsTransport, records
from edge.front.transport import PlainTransport
from tests.front.tls_client import NAME, identity, listener


class HeldClient:
    """A client's session: what it would send is in the test's hand."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.among: set[Any] = set()
        plain = PlainTransport.of(gevent.get_hub().loop, ours)
        tls = listener(identity().settings())
        self.transport = TlsTransport(tls, plain, self.among)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = (
            identity()
            .context()
            .wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        )

    def says(self) -> bytes:
        """What it has to send."""
        return self._outgoing.read()

    def shake(self) -> None:
        """Do the whole handshake."""
        done = False
        while not done:
            with suppress(ssl.SSLWantReadError):
                self.session.do_handshake()
            self.theirs.sendall(self.says())
            try:
                self.transport.shake()
                done = True
            except BlockingIOError:
                self._incoming.write(self.theirs.recv(1 << 16))

    def hears(self) -> bytes:
        """What the transport has sent so far, up to its end."""
        heard = b""
        self.theirs.setblocking(False)
        while True:
            try:
                words = self.session.read(1 << 16)
                if not words:
                    return heard
                heard += words
            except ssl.SSLWantReadError:
                data = self._received()
                if not data:
                    return heard
                self._incoming.write(data)

    def _received(self) -> bytes:
        with suppress(BlockingIOError):
            return self.theirs.recv(1 << 16)
        return b""


@contextmanager
def held_client() -> Iterator[HeldClient]:
    client = HeldClient()
    try:
        yield client
    finally:
        client.transport.close()
        client.theirs.close()


@given(st.lists(st.binary(max_size=3 * RECORD), max_size=4))
def test_records_have_all_bytes_in_order(buffers: list[bytes]) -> None:
    pieces = list(records(buffers))

    assert b"".join(pieces) == b"".join(buffers)
    assert all(len(piece) == RECORD for piece in pieces[:-1])
    assert all(0 < len(piece) <= RECORD for piece in pieces)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.integers(1, 50),
)
def test_it_does_not_matter_how_ciphertext_is_cut(
    said: list[bytes], cuts: list[int], size: int
) -> None:
    """Whatever comes together, and however little of it is read at once; and the
    listener's buffers are empty between any two calls."""
    with held_client() as client:
        client.shake()
        for words in said:
            client.session.write(words)
        ciphertext, read = client.says(), b""
        while ciphertext:
            cut = cuts[len(ciphertext) % len(cuts)]
            client.theirs.sendall(ciphertext[:cut])
            ciphertext = ciphertext[cut:]
            with suppress(BlockingIOError):
                while True:
                    read += client.transport.recv(size)
            tls = client.transport._tls
            assert not tls.incoming.pending and not tls.outgoing.pending

        assert read == b"".join(said)


def test_two_connections_share_buffers_and_nothing_else() -> None:
    """Their handshakes and words lie between each other's."""
    with held_client() as one, held_client() as two:
        two.transport._tls = one.transport._tls
        two.transport._session = one.transport._tls.session()
        one.shake()
        two.shake()
        for client, words in ((one, b"first"), (two, b"second")):
            client.session.write(words)
            ciphertext = client.says()
            client.theirs.sendall(ciphertext[:10])
        with pytest.raises(BlockingIOError):
            one.transport.recv(10)
        assert two.transport.send(b"to two") == 6
        assert one.transport.send(b"to one") == 6

        assert (one.hears(), two.hears()) == (b"to one", b"to two")


def test_what_is_owed_at_the_close_is_a_connection_until_it_is_out() -> None:
    """For the limit, and for whoever drains the worker."""
    with held_client() as client:
        client.shake()
        with pytest.raises(BlockingIOError):
            while True:
                client.transport.send(b"x" * RECORD)
        client.transport.close()
        assert len(client.among) == 1
        [farewell] = client.among
        assert farewell.idle_since is None
        heard = client.hears()
        with gevent.Timeout(20):
            while client.among:
                gevent.sleep(0)
                heard += client.hears()

        assert heard and set(heard) == {ord("x")}


def test_what_is_owed_may_be_cut() -> None:
    """A worker that ends waits for nobody."""
    with held_client() as client:
        client.shake()
        with pytest.raises(BlockingIOError):
            while True:
                client.transport.send(b"x" * RECORD)
        client.transport.close()
        [farewell] = client.among
        farewell.dismiss()
        assert client.among
        farewell.cut()

        assert not client.among


def test_a_greenlet_does_not_wait_longer_for_a_handshake() -> None:
    """The whole way's own: within the time for a head."""
    limits = SimpleNamespace(head_timeout=0.0)
    context: Any = SimpleNamespace(options=SimpleNamespace(limits=limits))
    with held_client() as client, pytest.raises(ClientFault) as raised:
        handshakes.shake(context, client.transport, 0.0)

    assert raised.value.reason is Reason.TLS_LATE
