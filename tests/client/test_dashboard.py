"""The dashboard of a real edge, in a real Chromium.

``tests/node/dashboard.mjs`` lives through the stories once per run; each test here
judges one of them. A crowd follows one stream meanwhile, and somebody writes to it.
``python -m tests.client.test_dashboard docs`` makes the pictures that the documents
show.
"""

import contextlib
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.scale.nodes import Node, node
from tests.support import chromium
from tests.support.chromium import Stories
from tests.support.processes import embedded_origin

TOKEN = "a-token-of-the-tests"
PATH = "/v1/stream/hall/demo"
ODD = "/v1/stream/%3Cimg%20src=x%20onerror=alert(1)%3E"
BY_EVENTS, BY_POLLS = 6, 3
TIMES = 10
"""How much larger the crowd of the pictures is."""

pytestmark = pytest.mark.timeout(600)


def call(url: str, method: str, body: bytes | None = None) -> None:
    text = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(url, body, text, method=method)
    with urllib.request.urlopen(asked) as answer:
        answer.read()


class Crowd:
    """Viewers of one stream, each in a thread of its own, until they are told to
    end."""

    def __init__(self, url: str, times: int = 1) -> None:
        self._url = url
        self._ended = threading.Event()
        self._threads = [
            *(self._begin(self._by_events) for _ in range(BY_EVENTS * times)),
            *(self._begin(self._by_polls) for _ in range(BY_POLLS * times)),
            self._begin(self._write),
        ]

    def _begin(self, does: Any) -> threading.Thread:
        thread = threading.Thread(target=does)
        thread.start()
        return thread

    def _by_events(self) -> None:
        while not self._ended.is_set():
            self._read(f"{self._url}?offset=-1&live=sse", lambda _head: None)

    def _by_polls(self) -> None:
        offset = ["-1"]

        def reached(head: Any) -> None:
            offset[0] = head["Stream-Next-Offset"] or offset[0]

        while not self._ended.is_set():
            self._read(f"{self._url}?offset={offset[0]}&live=long-poll", reached)

    def _read(self, url: str, reached: Any) -> None:
        # The edge is stopped for a while in one of the stories.
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=60) as answer,
        ):
            reached(answer.headers)
            while not self._ended.is_set() and answer.read1(65_536):
                pass

    def _write(self) -> None:
        while not self._ended.wait(0.2):
            with contextlib.suppress(OSError):
                call(self._url, "POST", b"a line of the hall\n")

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def busy_node(times: int = 1) -> Iterator[tuple[Node, int]]:
    """A node of three processes, a crowd before it, so many times as large; and the
    origin's process."""
    with (
        embedded_origin() as origin,
        node(
            origin.url,
            admin={"token": TOKEN},
            node={"name": "pop-east"},
            live={"long_poll_timeout": "2s", "sse_lifetime": "20s"},
        ) as one,
    ):
        call(one.url + PATH, "PUT")
        call(one.url + ODD, "PUT")
        call(one.url + ODD, "GET")
        crowd = Crowd(one.url + PATH, times)
        try:
            yield one, origin.process.pid
        finally:
            crowd.end()


def lived(
    busy: tuple[Node, int], home: Path, shots: Path | None, times: int = 1
) -> Stories:
    one, origin = busy
    asked = {
        "profile": str(home / "profile"),
        "admin": one.admin,
        "edge": one.url,
        "token": TOKEN,
        "path": PATH,
        "odd": ODD,
        "viewers": (BY_EVENTS + BY_POLLS) * times,
        "pids": [*one.front_pids(), *one.keeper_pids()],
        "origin": origin,
        "master": one.edge.process.pid,
        "shots": None if shots is None else str(shots),
    }
    return {**chromium.stories_of("dashboard.mjs", asked, home), "asked": asked}


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    with busy_node() as busy:
        yield lived(busy, tmp_path_factory.mktemp("dashboard"), None)


def test_without_the_token_the_page_shows_nothing_and_asks_for_it(
    stories: Stories,
) -> None:
    told = stories["token"]

    assert told["before"] == {"said": "a token is wanted", "figures": False}


def test_the_token_is_kept_in_the_tab_alone(stories: Stories) -> None:
    """After a reload it is still there; it is in no URL and nothing that lasts."""
    kept, elsewhere, cookies, address = stories["token"]["kept"]

    assert kept == TOKEN and not stories["token"]["asked"]
    assert TOKEN not in elsewhere + cookies + address
    assert not any(TOKEN in url for url in stories["requests"])


def test_it_shows_the_crowd_of_all_processes(stories: Stories) -> None:
    told = stories["crowd"]

    assert (told["byEvents"], told["byPolls"]) == (str(BY_EVENTS), str(BY_POLLS))
    assert told["origin"] == "up"
    assert told["processes"] == 3
    assert told["limits"] > 3


def test_streams_are_sorted_and_filtered(stories: Stories) -> None:
    told = stories["streams"]

    assert told["first"] == PATH
    assert told["sorted"] == ["Held"]
    assert told["none"] == "No path has this text."


def test_what_a_client_called_a_stream_is_text(stories: Stories) -> None:
    told = stories["streams"]

    assert (told["odd"], told["markup"]) == ([ODD], 0)


def test_the_inside_of_a_stream_is_shown_to_the_keyboard(stories: Stories) -> None:
    told = stories["inside"]

    assert told["path"] == PATH
    assert "by events" in told["told"] and "a line of the hall" not in told["told"]
    assert told["leads"].startswith("/follow#http://127.0.0.1:8080/v1/")


def test_it_says_since_when_nothing_was_heard(stories: Stories) -> None:
    """And goes on by itself."""
    told = stories["silence"]

    assert told["said"].startswith("last heard ")
    assert (told["old"], told["after"]) == ("old", "")


def test_it_is_light_or_dark_as_the_system_or_somebody_says(stories: Stories) -> None:
    """The button goes from the system's to light."""
    told = stories["colours"]

    assert told["light"] == told["chosen"] != told["bySystem"]


def test_it_fits_a_phone(stories: Stories) -> None:
    assert stories["phone"]["width"] <= stories["phone"]["most"]


def test_the_page_that_follows_is_beside_it(stories: Stories) -> None:
    assert stories["follow"]


def test_it_shows_what_became_of_the_last_reload(stories: Stories) -> None:
    told = stories["reload"]

    assert told["before"] == "none since the start"
    assert told["after"].startswith("accepted, ")
    assert told["facts"] == "number1"


def test_when_the_origin_is_away_it_says_so_above_all_and_since_when(
    stories: Stories,
) -> None:
    """The tab's name does, too; viewers are still there."""
    told = stories["outage"]

    assert told["who"] == "pop-east: the origin does not answer"
    assert told["title"] == "▲ origin away · pop-east"
    assert "Reason: origin-" in told["reason"]
    assert told["viewers"].startswith("viewers who wait")
    assert told["origin"] == "away"


def test_it_asks_this_address_alone_and_no_script_failed(stories: Stories) -> None:
    """The browser would complain of whatever its policy does not admit."""
    asked = stories["asked"]
    others = {asked["admin"], asked["edge"]}
    origins = {
        "{0.scheme}://{0.netloc}".format(urlsplit(u)) for u in stories["requests"]
    }

    assert origins == others
    assert stories["complaints"] == []


def pictures(folder: Path) -> None:
    """The pictures of the documents, of a busy edge."""
    with busy_node(TIMES) as busy, tempfile.TemporaryDirectory() as home:
        lived(busy, Path(home), folder, TIMES)


if __name__ == "__main__":
    pictures(Path(sys.argv[1]).resolve())
