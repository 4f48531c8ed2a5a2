"""TlsTransport: a transport that speaks TLS over a plain one.

OpenSSL reads from one buffer and writes into another (``MemoryBIO``), and never touches
the socket. Both buffers belong to the listener: between two calls they are empty, for
what is left in them is taken out and kept with its own connection. So a parked viewer
has none of its own, which would be 24 KiB.

Reading, a call takes what the socket has, at most one record's worth. Writing, a few
records are encrypted at once and go out by one call (``BATCH``), and no further one is
begun until those are in the socket: at most a batch waits for a client that does not
read, beside the few bytes of OpenSSL's own messages. What of it the caller was told as
taken, this transport sends by itself, also when it is closed meanwhile (``Farewell``).

The end of what a client sends is its closing alert. A connection that ends without one
was cut, by whomever: ``recv`` raises then, and a body that was coming is not whole.
Many clients leave an idle connection so; where nothing is awaited both are the same.

``ListenerTls`` is made in the master, before it forks: its context holds the keys of
session tickets, so that a session of one worker is resumed at any other. Knows no HTTP.

Sources: RFC 8446 sections 4.6, 5.1 and 6.1; RFC 9325 sections 3.3 and 3.5.
"""

import errno
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.farewell import Farewell
from edge.front.tls_faults import check_first, fault_of
from edge.front.tls_records import BATCH, RECORD, pieces
from edge.front.transport import PlainTransport

RECEIVED = RECORD + 512
"""Bytes of ciphertext that are read at once."""

MAX_HANDSHAKE = 64 * 1024
"""Bytes that a client may send before its handshake is done; certificates are long."""

MAX_OWED = 2 * BATCH
"""Bytes that may wait for a client whose own messages are still answered: more than one
batch and its record are answers to these, which it does not read."""

_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "domainComponent": "DC",
    "userId": "UID",
}


class ListenerTls:
    """TLS at one listener. ``expires_at`` is when its certificate does (wall clock),
    of several the first."""

    def __init__(self, context: ssl.SSLContext, expires_at: float) -> None:
        self._context = context
        self.expires_at = expires_at
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()

    def session(self) -> ssl.SSLObject:
        """One that a client is to begin."""
        return self._context.wrap_bio(self.incoming, self.outgoing, server_side=True)


class TlsReading:
    """``Watch`` for ``TlsTransport.recv``: also of what is decrypted already, of which
    no descriptor tells."""

    __slots__ = ("_call", "_plain", "_soon", "_transport")

    def __init__(self, transport: "TlsTransport", plain: PlainTransport) -> None:
        self._transport = transport
        self._plain: Any = plain.reading
        self._soon: Any = plain.loop.run_callback
        self._call: tuple[Callable[..., object], tuple[object, ...]] | None = None

    @property
    def active(self) -> bool:
        """See ``Watch``."""
        return self._call is not None

    def start(self, callback: Callable[..., object], /, *args: object) -> None:
        """See ``Watch``."""
        assert self._call is None, "it is in use"
        self._call = callback, args
        self._plain.start(self._readable)
        if self._transport.has_in_hand:
            self._soon(self._look)

    def stop(self) -> None:
        """See ``Watch``."""
        if self._call is not None:
            self._call = None
            self._plain.stop()

    def _readable(self) -> None:
        """The socket's callback."""
        call = self._call
        if call is None:
            return
        call[0](*call[1])
        if self._call is not None and self._transport.has_in_hand:
            self._soon(self._look)

    def _look(self) -> None:
        if self._transport.has_in_hand:
            self._readable()


class TlsWriting:
    """``Watch`` for ``TlsTransport.send``. It also sends what the transport owes, for
    which nobody else waits."""

    __slots__ = ("_call", "_plain", "_transport")

    def __init__(self, transport: "TlsTransport", plain: PlainTransport) -> None:
        self._transport = transport
        self._plain = plain.writing
        self._call: tuple[Callable[..., object], tuple[object, ...]] | None = None

    @property
    def active(self) -> bool:
        """See ``Watch``."""
        return self._call is not None

    def start(self, callback: Callable[..., object], /, *args: object) -> None:
        """See ``Watch``."""
        assert self._call is None, "it is in use"
        self._call = callback, args
        self.look()

    def stop(self) -> None:
        """See ``Watch``."""
        self._call = None
        if not self._transport.owes:
            self._plain.stop()

    def look(self) -> None:
        """Something is to be sent."""
        if not self._plain.active:
            self._plain.start(self._writable)

    def end(self) -> None:
        """Watch no more."""
        self._call = None
        self._plain.stop()

    def _writable(self) -> None:
        """The socket's callback."""
        if not self._transport.flush():
            return
        if self._call is None:
            self._plain.stop()
        else:
            self._call[0](*self._call[1])


class TlsTransport:
    """Implements ``edge.front.transport.Transport``. ``arrived`` was read of ``plain``
    already. Should it be closed while it owes something, it is among ``among``, the
    worker's connections, until that is out. ``shake`` comes before everything else."""

    __slots__ = (
        "_ahead",
        "_among",
        "_arrived",
        "_closing",
        "_deaf",
        "_ended",
        "_failed",
        "_inside",
        "_plain",
        "_session",
        "_shaken",
        "_tls",
        "_unsent",
        "_writing",
        "reading",
    )

    def __init__(
        self,
        tls: ListenerTls,
        plain: PlainTransport,
        among: set[Any],
        arrived: bytes = b"",
    ) -> None:
        self._tls = tls
        self._plain = plain
        self._among = among
        self._session = tls.session()
        # Ciphertext that was read, and what is decrypted: by us, and in OpenSSL.
        self._arrived = arrived
        self._ahead = b""
        self._inside = False
        # Ciphertext that the socket did not take.
        self._unsent = b""
        self._shaken = 0
        self._failed: OSError | None = None
        # Nothing more comes; nothing more is sent, and the client was told.
        self._ended = self._closing = False
        # The socket's end is ours, and cuts nothing.
        self._deaf = False
        self.reading = TlsReading(self, plain)
        self._writing: TlsWriting | None = None

    @property
    def writing(self) -> TlsWriting:
        """See ``Transport``. Made when it is first needed; most are never full."""
        if self._writing is None:
            self._writing = TlsWriting(self, self._plain)
        return self._writing

    @property
    def plain(self) -> PlainTransport:
        """What it speaks over: for whoever speaks no TLS after all."""
        return self._plain

    @property
    def owes(self) -> bool:
        """Whether something that was taken is not in the socket yet."""
        return bool(self._unsent) and self._failed is None

    @property
    def has_in_hand(self) -> bool:
        """Whether ``recv`` can tell something without a look at the socket."""
        in_hand = self._ahead or self._arrived or self._inside
        return bool(in_hand) or self._ended or self._failed is not None

    # The handshake.

    def shake(self) -> None:
        """Go on with the handshake; it is done when this returns.

        Raises BlockingIOError until more has come, ClientFault where it fails, and
        OSError if the client is gone.
        """
        data, self._arrived = self._arrived or self._plain.recv(RECEIVED), b""
        if not data:
            raise ConnectionResetError("it ended within its handshake")
        if not self._shaken:
            check_first(data[0])
        self._shaken += len(data)
        if self._shaken > MAX_HANDSHAKE:
            detail = "The handshake is too long."
            raise ClientFault(detail, reason=Reason.TLS_BROKEN)
        self._tls.incoming.write(data)
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise fault_of(error) from None
        finally:
            self._settle()

    @property
    def resumed(self) -> bool:
        """Whether the client came with a session that it had."""
        return bool(self._session.session_reused)

    @property
    def subject(self) -> str:
        """Whom the client's certificate names, "" without one: ``CN=a,O=b``."""
        found: Any = self._session.getpeercert() or {}
        parts = [pair for several in found.get("subject", ()) for pair in several]
        named = (f"{_SHORT.get(key, key)}={value}" for key, value in reversed(parts))
        return ",".join(named)

    # Reading.

    def recv(self, size: int, /) -> bytes:
        """See ``Transport``."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._decrypted(size)

    def _decrypted(self, size: int) -> bytes:
        if self._failed is not None:
            raise self._failed
        if self._ended:
            return b""
        arrived = self._arrived
        if not arrived and not self._inside:
            arrived = self._received()
            if not arrived:
                return b""
        if arrived:
            self._tls.incoming.write(arrived)
        try:
            data = self._session.read(min(size, RECORD))
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            raise self._lose(ConnectionAbortedError(error.reason)) from None
        finally:
            self._settle()
        self._ended = not data
        return data

    def _received(self) -> bytes:
        """Ciphertext from the socket; b"" at an end of our own making."""
        if len(self._unsent) > MAX_OWED:
            # Its own messages are answered, and it reads no answer.
            raise self._lose(ConnectionAbortedError("it does not read"))
        arrived = self._plain.recv(RECEIVED)
        if not arrived and not self._deaf:
            raise self._lose(ConnectionResetError("it ended without an alert"))
        self._ended = not arrived
        return arrived

    def _lose(self, error: OSError) -> OSError:
        self._failed = error
        return error

    def _settle(self) -> None:
        """Empty the listener's buffers: they are everybody's."""
        incoming, outgoing = self._tls.incoming, self._tls.outgoing
        self._arrived = incoming.read() if incoming.pending else b""
        self._inside = self._session.pending() > 0
        if outgoing.pending:
            self._put(outgoing.read())

    def peek(self) -> bytes | None:
        """See ``Transport``. The byte is decrypted, and waits here."""
        if not self._ahead:
            try:
                self._ahead = self._decrypted(RECORD)
            except BlockingIOError:
                return None
            except OSError:
                return b""
        return self._ahead[:1]

    def shutdown_reading(self) -> None:
        """See ``Transport``."""
        self._deaf = True
        self._plain.shutdown_reading()

    # Writing.

    def send(self, data: bytes | memoryview, /) -> int:
        """See ``Transport``."""
        return self.sendmsg((data,))

    def sendmsg(self, buffers: Iterable[bytes | memoryview], /) -> int:
        """See ``Transport``."""
        if self._unsent or self._closing or self._failed is not None:
            self._check_room()
        taken = held = 0
        for piece in pieces(buffers):
            self._encrypt(piece)
            held += len(piece)
            if held >= BATCH:
                self._put(self._tls.outgoing.read())
                taken, held = taken + held, 0
                if self._unsent:
                    break
        if held:
            self._put(self._tls.outgoing.read())
        if self._failed is not None:
            raise self._failed
        return taken + held

    def _check_room(self) -> None:
        if self._closing:
            raise BrokenPipeError(errno.EPIPE, "the end was said")
        self.flush()
        if self._failed is not None:
            raise self._failed
        if self._unsent:
            raise BlockingIOError

    def _encrypt(self, piece: bytes | memoryview) -> None:
        """Into the listener's buffer. Raises OSError, and leaves nothing there."""
        write = self._session.write
        try:
            written = write(piece)
            while written < len(piece):
                # The client may have asked for small records.
                written += write(memoryview(piece)[written:])
        except ssl.SSLError as error:
            self._put(self._tls.outgoing.read())
            raise self._lose(ConnectionAbortedError(error.reason)) from None

    def _put(self, data: bytes) -> None:
        """Send ciphertext, now or later."""
        self._unsent += data
        if not self.flush():
            self.writing.look()

    def flush(self) -> bool:
        """Send what is owed; whether nothing is, any more. Never raises: whoever calls
        next is told."""
        while self._unsent and self._failed is None:
            try:
                sent = self._plain.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError as error:
                self._lose(error)
                return True
            self._unsent = self._unsent[sent:]
            if self._unsent:
                # The socket is full; to be told so once more would cost a call.
                return False
            if self._closing:
                self._shut_down()
        return True

    # The end.

    def shutdown_writing(self) -> None:
        """See ``Transport``: the closing alert, and then the socket's end."""
        if self._failed is not None:
            raise self._failed
        self._say_end()
        if not self._unsent:
            self._shut_down()

    def _shut_down(self) -> None:
        with suppress(OSError):
            # It is gone: whoever reads next finds that.
            self._plain.shutdown_writing()

    def _say_end(self) -> None:
        if self._closing or self._failed is not None:
            return
        with suppress(ssl.SSLError):
            while self._inside:
                # It would be an error that something waits to be read.
                self._ahead += self._session.read(RECORD)
                self._inside = self._session.pending() > 0
            # It asks for the client's own alert, which has not come.
            self._session.unwrap()
        self._settle()
        self._closing = True

    def close(self) -> None:
        """See ``Transport``."""
        if self._plain.fileno() < 0 or self._tells_closed:
            return
        self._say_end()
        unsent = self._unsent if self._failed is None else b""
        self._let_go()
        if unsent:
            Farewell(self._plain, unsent, self._among).begin()
        else:
            self._plain.close()

    def abort(self) -> None:
        """See ``Transport``. Without an alert: a body cut short must not look whole."""
        self._let_go()
        self._plain.abort()

    @property
    def _tells_closed(self) -> bool:
        failed = self._failed
        return failed is not None and failed.errno == errno.EBADF

    def _let_go(self) -> None:
        self.reading.stop()
        if self._writing is not None:
            self._writing.end()
        self._failed = OSError(errno.EBADF, "it is closed")
        self._ahead = self._arrived = self._unsent = b""
