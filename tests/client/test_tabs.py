"""The page of the tutorial, in tabs of a real Chromium, before a real service.

``tests/node/tabs.mjs`` lives through the stories once per run; each test here
judges one. The page is opened as a file, as the tutorial says.
"""

import functools
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import chromium, node
from tests.support.processes import ROOT, service

PAGE = ROOT / "docs" / "follow.html"
STORIES_WITHIN = 90.0
WITH_INSTALL = pytest.mark.timeout(600)

Stories = dict[str, Any]

pytestmark = WITH_INSTALL


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def another_site() -> Iterator[str]:
    """The page by HTTP, from an origin that is not the edge's."""
    handler = functools.partial(Quiet, directory=str(PAGE.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{PAGE.name}"
        finally:
            server.shutdown()
            thread.join()


def tell(url: str, other: str, shots: Path) -> Stories:
    """What the tabs saw at this edge."""
    found = node.install()
    asked = {
        "chromium": chromium.ensure(),
        "page": PAGE.as_uri(),
        "url": url,
        "other": other,
        "shots": str(shots),
    }
    done = subprocess.run(
        [str(found.binary), str(node.FOLDER / "tabs.mjs"), json.dumps(asked)],
        env={**os.environ, "HOME": str(shots)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STORIES_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    stories: Stories = json.loads(done.stdout)
    return stories


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tabs looked like."""
    return tmp_path_factory.mktemp("tabs")


@pytest.fixture(scope="module")
def stories(shots: Path) -> Iterator[Stories]:
    with service(live={"sse_lifetime": "1s"}) as front, another_site() as other:
        yield tell(front.url, other, shots)


def test_two_tabs_see_each_other_s_words(stories: Stories) -> None:
    """And so does one that comes later, from the beginning."""
    words = "Hello from the first tab.\nHello back from the second.\n"
    told = stories["twoTabs"]

    assert told["texts"] == [words] * 3
    assert len(set(told["offsets"])) == 1
    assert told["left"] == ""


def test_the_tabs_were_seen(stories: Stories, shots: Path) -> None:
    for name in ("one", "two"):
        assert (shots / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_tab_that_connects_again_shows_every_line_once(stories: Stories) -> None:
    told = stories["reconnects"]

    assert told["seen"] == told["sent"]


def test_json_is_shown_message_by_message(stories: Stories) -> None:
    assert stories["jsonStream"] == '{"n":1}\n{"n":2}\n"three"\n'


def test_bytes_are_counted(stories: Stories) -> None:
    assert stories["bytes"] == "[3 bytes]\n"


def test_a_closed_stream_ends_the_following(stories: Stories) -> None:
    assert stories["closes"] == "last words"


def test_a_deleted_stream_is_told(stories: Stories) -> None:
    assert stories["deletes"] == "the stream was deleted"


def test_a_page_of_another_site_may_follow_and_write(stories: Stories) -> None:
    """CORS: the edge's answer, preflights included."""
    assert stories["fromAnotherSite"]


def test_no_script_failed(stories: Stories) -> None:
    assert stories["complaints"] == []
