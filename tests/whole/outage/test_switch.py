"""The proxy before the origin does what it is told, and counts what it did."""

import http.server
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.talk import Talk, ask
from tests.whole.outage.story import Switch, switch


class Origin(http.server.BaseHTTPRequestHandler):
    """Says what it was given, in chunks; breaks off where the path says so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/broken":
            self.close_connection = True
            return
        self._answer(self.path.encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def before() -> Iterator[Switch]:
    """A switch before such an origin."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with switch(server.server_port) as made:
                yield made
        finally:
            server.shutdown()
            thread.join()


def test_what_passes_is_given_as_it_is_and_counted_by_kind(before: Switch) -> None:
    url = before.url
    assert ask(f"{url}/a?offset=1")[2] == b"/a?offset=1"
    assert ask(f"{url}/a?offset=1&live=long-poll")[0] == 200
    assert ask(f"{url}/a", "POST", b"a message")[2] == b"a message"
    with Talk(f"{url}/a", "HEAD") as head:
        assert head.head()[0] == 404

    counted = {"read 200": 1, "poll 200": 1, "write 200": 1, "head 404": 1}
    assert before.order("counts") == Counter(counted)


def test_an_answer_that_does_not_come_is_lost_to_both(before: Switch) -> None:
    with pytest.raises(ConnectionError):
        ask(f"{before.url}/broken")

    assert before.order("counts") == Counter({"read lost": 1})


def test_it_refuses_answers_503_and_passes_again(before: Switch) -> None:
    before.order("refuse")
    with pytest.raises(ConnectionRefusedError):
        ask(f"{before.url}/a")
    before.order("503")
    status, fields, body = ask(f"{before.url}/a", "POST", b"a message")
    assert (status, fields["set-cookie"], body) == (503, "lb=1", b"soon")
    before.order("pass")
    assert ask(f"{before.url}/a")[0] == 200

    assert before.order("counts") == Counter({"write 503": 1, "read 200": 1})
