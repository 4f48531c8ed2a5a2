"""A node that speaks TLS: sessions are known at every worker, certificates are read
again at a reload, and a bad one changes nothing."""

import json
import os
import shutil
import signal
import socket
import ssl
import threading
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.processes import Edge, free_port, service

NAME = "edge.test"
PATIENCE = 60.0


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
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        log = front.process.log.read_text()
        if all(word in log for word in words):
            return log
        waited.wait(0.05)
    raise AssertionError(f"not said: {words}")


def test_sessions_and_certificates_of_a_node(tmp_path: Path) -> None:
    """One start, for a node takes long to start: what U31 and the settings promise."""
    authority = Authority(tmp_path)
    cert, key = authority.issue(NAME)
    port = free_port()
    files = {"cert": str(cert), "key": str(key)}
    tls = [{"address": f"127.0.0.1:{port}", "tls": files}]
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with service(listen=tls, workers=2, keepers=1, log={"access": "full"}) as front:
        # Sessions are known at every worker: their keys were made before the fork.
        first = ask(port, context)
        session = first.session
        resumed = set[bool]()
        while len(fronts(front)) < 2:
            with ask(port, context, session) as client:
                resumed.add(bool(client.session_reused))
        assert resumed == {True}
        old = first.getpeercert(binary_form=True)

        # A certificate that does not belong to its key is refused, by key and line.
        _, other_key = Authority(tmp_path, "other.test").issue("else.test")
        shutil.copy(other_key, key)
        os.kill(front.process.pid, signal.SIGHUP)
        log = expect(front, "reload refused: ", "that is not the certificate's")
        assert "edge.yaml:" in log and "listen[0].tls.key: holds" in log
        with ask(port, context) as client:
            assert client.getpeercert(binary_form=True) == old

        # A new one is shown from the reload on, and who is connected stays.
        new_cert, new_key = authority.issue("new.test", NAME)
        shutil.copy(new_cert, cert)
        shutil.copy(new_key, key)
        os.kill(front.process.pid, signal.SIGHUP)
        shown = old
        waited = threading.Event()
        for _ in range(int(PATIENCE / 0.2)):
            with ask(port, context) as client:
                shown = client.getpeercert(binary_form=True)
            if shown != old:
                break
            waited.wait(0.2)
        assert shown != old
        first.close()
