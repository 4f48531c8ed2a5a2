"""TlsTransport over a socket of its own, and a client all of whose octets we hold."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.http1 import handshakes
from edge.front.tls import MAX_OWED, RECEIVED, TlsTransport
from edge.front.tls_records import BATCH, RECORD, pieces
from edge.front.transport import PlainTransport
from tests.front.old_records import (
    ALERT,
    APPLICATION,
    CIPHER,
    HANDSHAKE,
    HELLO_REQUESTED,
    OldRecords,
)
from tests.front.tls_client import NAME, identity, listener
from tests.support.patience import PATIENCE


class HeldClient:
    """A client's session: what it would send is in the test's hand."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        ours, self.theirs = socket.socketpair()
        self.among: set[Any] = set()
        plain = PlainTransport.of(gevent.get_hub().loop, ours)
        tls = listener(identity().settings())
        self.transport = TlsTransport(tls, plain, self.among)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = (context or identity().context()).wrap_bio(
            self._incoming, self._outgoing, server_hostname=NAME
        )
        self.flights: list[bytes] = []

    def says(self) -> bytes:
        """What it has to send."""
        return self._outgoing.read()

    def shake(self) -> None:
        """Do the whole handshake."""
        done = False
        while not done:
            with suppress(ssl.SSLWantReadError):
                self.session.do_handshake()
            self.flights.append(self.says())
            self.theirs.sendall(self.flights[-1])
            try:
                self.transport.shake()
                done = True
            except BlockingIOError:
                self.flights.append(self.theirs.recv(1 << 16))
                self._incoming.write(self.flights[-1])

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
def held_client(context: ssl.SSLContext | None = None) -> Iterator[HeldClient]:
    client = HeldClient(context)
    try:
        yield client
    finally:
        client.transport.close()
        client.theirs.close()


SIZES = st.one_of(
    st.integers(0, 300),
    st.sampled_from([RECORD - 1, RECORD, RECORD + 1, BATCH, BATCH + RECORD]),
)


@given(st.lists(SIZES, max_size=6))
def test_pieces_have_all_bytes_in_order_and_few_are_small(sizes: list[int]) -> None:
    """What is small goes with what comes behind it, into one record."""
    buffers = [bytes([number]) * size for number, size in enumerate(sizes)]
    found = [bytes(piece) for piece in pieces(buffers)]

    assert b"".join(found) == b"".join(buffers)
    assert all(0 < len(piece) <= BATCH for piece in found)
    assert all(len(piece) >= RECORD for piece in found[:-1])


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
        with gevent.Timeout(PATIENCE):
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


def test_who_reads_nothing_costs_a_batch() -> None:
    """However much there is for it: the rest waits with whoever has it anyway."""
    with held_client() as client:
        client.shake()
        large, taken = b"x" * (64 * BATCH), 0
        with pytest.raises(BlockingIOError):
            while True:
                taken += client.transport.send(memoryview(large)[taken:])
        owed = len(client.transport._unsent)

        assert 0 < owed < BATCH + 2 * RECORD
        heard = b""
        while taken < len(large) or client.transport.owes:
            heard += client.hears()
            client.transport.flush()
            with suppress(BlockingIOError):
                taken += client.transport.send(memoryview(large)[taken:])
        assert heard + client.hears() == large


@pytest.fixture
def old(tmp_path: Path) -> Iterator[tuple[HeldClient, OldRecords]]:
    """A client of TLS 1.2 that has shaken hands, and records of its own making."""
    context = identity().context(
        maximum_version=ssl.TLSVersion.TLSv1_2, keylog_filename=str(tmp_path / "keys")
    )
    context.set_ciphers(CIPHER)
    with held_client(context) as client:
        client.shake()
        hellos = client.flights[0], client.flights[1]
        yield client, OldRecords(hellos, tmp_path / "keys")


def test_a_session_never_shakes_hands_anew(old: tuple[HeldClient, OldRecords]) -> None:
    """RFC 9325 section 3.5. It is told so by an alert, and what comes next is read."""
    client, made = old
    client.hears()
    client.theirs.sendall(made.record(HANDSHAKE, HELLO_REQUESTED))
    with pytest.raises(BlockingIOError):
        client.transport.recv(10)
    told = client.theirs.recv(1 << 16)
    client.theirs.sendall(made.record(APPLICATION, b"and on"))

    assert told[0] == ALERT
    assert client.transport.recv(10) == b"and on"


def test_who_never_reads_what_it_makes_us_say_is_cut(
    old: tuple[HeldClient, OldRecords],
) -> None:
    """Each of its records has an answer of the same size, and it reads none: what waits
    for it stays bounded, and then it is lost."""
    client, made = old
    owed = 0
    with pytest.raises(ConnectionAbortedError, match="does not read"):
        while True:
            client.theirs.sendall(made.record(HANDSHAKE, HELLO_REQUESTED))
            with suppress(BlockingIOError):
                client.transport.recv(10)
            owed = max(owed, len(client.transport._unsent))

    assert MAX_OWED < owed <= MAX_OWED + RECEIVED
    assert client.transport.peek() == b""


def test_a_greenlet_does_not_wait_longer_for_a_handshake() -> None:
    """The whole way's own: within the time for a head."""
    limits = SimpleNamespace(head_timeout=0.0)
    context: Any = SimpleNamespace(options=SimpleNamespace(limits=limits))
    with held_client() as client, pytest.raises(ClientFault) as raised:
        handshakes.shake(context, client.transport, 0.0)

    assert raised.value.reason is Reason.TLS_LATE
