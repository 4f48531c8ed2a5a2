"""A node that speaks TLS: sessions are known at every worker, certificates are read
again at a reload, a bad one changes nothing, and who follows meanwhile notices none of
it. A crowd over TLS is served once each."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509

from tests.front.tls_client import TlsClient
from tests.support.certificates import Authority
from tests.support.patience import PATIENCE, until
from tests.support.processes import Edge, edge, free_port, node_origin, service
from tests.whole.crowd import PATH as CROWD_PATH
from tests.whole.crowd import Crowd, Viewer, call, metric, origin_requests
from tests.whole.test_rollover import PATH, Load

NAME = "edge.test"
EACH_MODE = 5
VIEWERS, EVENTS = 500, 5
"""Of each mode, and of each stream."""


def ask(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """A connection over which one request was answered; the caller closes it."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client = context.wrap_socket(plain, server_hostname=NAME, session=session)
    client.sendall(f"GET /nothing HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 ")
    return client


def fronts(front: Edge) -> set[str]:
    """Who has answered a request so far."""
    written = front.process.log.read_text().splitlines()
    # The last one may not be whole yet.
    asked = [line for line in written if '"edge.access"' in line and line[-1] == "}"]
    return {json.loads(line)["process"] for line in asked}


def expect(front: Edge, *words: str) -> str:
    """Wait until the log has said all of these; the log."""

    def said() -> bool:
        return all(word in front.process.log.read_text() for word in words)

    until(said)
    return front.process.log.read_text()


def test_sessions_and_certificates_of_a_node(tmp_path: Path) -> None:
    """One start, for a node takes long to start: what U29 to U31 and the settings
    promise. Strict followers are there from the first reload to the end."""
    authority = Authority(tmp_path)
    cert, key = authority.issue(NAME)
    plain, port = free_port(), free_port()
    files = {"cert": str(cert), "key": str(key)}
    tls = {"address": f"127.0.0.1:{port}", "tls": files}
    context = ssl.create_default_context(cafile=str(authority.certificate))

    def connect() -> TlsClient:
        return TlsClient(("127.0.0.1", port), context, NAME)

    with service(
        listen=[f"127.0.0.1:{plain}", tls],
        workers=2,
        keepers=1,
        log={"access": "full"},
        shutdown={"grace": "2s"},
    ) as front:
        # The log says by what each address is called, and nothing else.
        log = expect(front, f"127.0.0.1:{port} (TLS)")
        assert f"http://127.0.0.1:{port}" not in log

        # Sessions are known at every worker: their keys were made before the fork.
        first = ask(port, context)
        session = first.session
        resumed = set[bool]()
        while len(fronts(front)) < 2:
            with ask(port, context, session) as client:
                resumed.add(bool(client.session_reused))
        assert resumed == {True}
        old = first.getpeercert(binary_form=True)
        load = Load(f"http://127.0.0.1:{plain}", connect, EACH_MODE)
        load.begin()

        # A certificate that does not belong to its key is refused, by key and line.
        _, other_key = Authority(tmp_path, "other.test").issue("else.test")
        shutil.copy(other_key, key)
        os.kill(front.process.pid, signal.SIGHUP)
        log = expect(front, "reload refused: ", "that is not the certificate's")
        assert "edge.yaml:" in log and "listen[1].tls.key: holds" in log
        with ask(port, context) as client:
            assert client.getpeercert(binary_form=True) == old

        # A new one is shown from the reload on, and who is connected stays.
        new_cert, new_key = authority.issue("new.test", NAME)
        shutil.copy(new_cert, cert)
        shutil.copy(new_key, key)
        os.kill(front.process.pid, signal.SIGHUP)

        def shown() -> bytes | None:
            with ask(port, context) as client:
                return client.getpeercert(binary_form=True)

        until(lambda: shown() != old)
        first.close()

        # Who followed has come to the new workers, and has all that was written.
        until(lambda: all(view.dismissed for view in load.viewers[EACH_MODE:]))
        load.end()
        load.judge()

        _all_hear_the_end(front, connect)


def _all_hear_the_end(front: Edge, connect: Callable[[], TlsClient]) -> None:
    """At a stop who waits is answered, and hears the end by an alert."""
    query = f"{PATH}?offset=now&live="
    with connect() as parked, connect() as events:
        parked.get(f"{query}long-poll")
        events.get(f"{query}sse")
        events.head()
        until(lambda: metric(front.admin, "ds_edge_viewers ") == 2)
        front.process.handle.terminate()
        answered = parked.read()
        assert (answered.status, answered["connection"]) == (204, "close")
        assert events.until(b"0\r\n\r\n")
        assert parked.ended() and events.ended()


class CrowdSocket(ssl.SSLSocket):
    """A connection of a crowd: what has come, however many records it is."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        data = b""
        if self.gettimeout() != 0:
            return super().recv(buflen, flags)
        try:
            while piece := super().recv(buflen, flags):
                data += piece
        except ssl.SSLWantReadError:
            if not data:
                raise BlockingIOError from None
        return data


class CountingCrowd(Crowd):
    """Keeps what each viewer had, in order: what comes twice is not overlooked."""

    had: dict[int, list[bytes]]

    def _saw_event(self, viewer: Viewer, number: int) -> bool:
        self.__dict__.setdefault("had", {})[viewer.sock.fileno()] = re.findall(
            rb"<(\d+)>", viewer.buffer
        )
        mark = b"<%d>" % number
        if mark not in viewer.buffer or viewer.seen == number:
            return False
        viewer.seen = number
        return True

    def _saw_answer(self, viewer: Viewer, number: int) -> bool:
        if not super()._saw_answer(viewer, number):
            return False
        had = self.__dict__.setdefault("had", {})
        had.setdefault(viewer.sock.fileno(), []).append(b"%d" % number)
        return True


def test_a_thousand_viewers_over_tls_have_each_event_once(tmp_path: Path) -> None:
    """Half of them by long-poll, half by event streams; each event costs the origin one
    request, as it does without TLS."""
    authority = Authority(tmp_path)
    cert, key = map(str, authority.issue(NAME))
    plain, port = (f"127.0.0.1:{free_port()}" for _ in range(2))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.sslsocket_class = CrowdSocket
    listen = [plain, {"address": port, "tls": {"cert": cert, "key": key}}]
    with (
        node_origin(long_poll_ms=30_000) as origin,
        edge(origin.url, listen=listen) as front,
        ExitStack() as leaving,
    ):
        number = int(port.rpartition(":")[2])
        first = leaving.enter_context(ask(number, context))

        def connect() -> ssl.SSLSocket:
            # As a crowd comes back: with the session that it has.
            sock = socket.create_connection(("127.0.0.1", number), PATIENCE)
            return context.wrap_socket(
                sock, server_hostname=NAME, session=first.session
            )

        url = f"http://{plain}{CROWD_PATH}"
        call("PUT", url)
        offset = call("POST", url, b"<begin>")["stream-next-offset"]
        crowds = [
            CountingCrowd(url, VIEWERS, mode, offset, connect=connect)
            for mode in ("long-poll", "sse")
        ]
        for crowd in crowds:
            leaving.callback(crowd.close)
        for event in range(EVENTS):
            if event == 1:
                asked = origin_requests(front.admin)
            call("POST", url, b"<%d>" % event)
            for crowd in crowds:
                crowd.await_event(event, PATIENCE)

        every = [b"%d" % event for event in range(EVENTS)]
        for crowd in crowds:
            assert list(crowd.had.values()) == [every] * VIEWERS
        assert origin_requests(front.admin) - asked == EVENTS - 1
        name = 'ds_edge_tls_handshakes_total{result="resumed"}'
        assert metric(front.admin, name) == 2 * VIEWERS
        ends = metric(front.admin, "ds_edge_tls_certificate_expires_at ")
        [made] = x509.load_pem_x509_certificates(Path(cert).read_bytes())
        assert ends == made.not_valid_after_utc.timestamp()
