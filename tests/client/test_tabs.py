"""The page of the tutorial, in tabs of a real Chromium, before a real service.

``tests/node/tabs.mjs`` lives through the stories once per run; each test here
judges one. The page is opened as a file, as the tutorial says.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import chromium
from tests.support.chromium import Stories
from tests.support.processes import ROOT, service

PAGE = ROOT / "docs" / "follow.html"
WITH_INSTALL = pytest.mark.timeout(600)

pytestmark = WITH_INSTALL


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tabs looked like."""
    return tmp_path_factory.mktemp("tabs")


@pytest.fixture(scope="module")
def stories(shots: Path) -> Iterator[Stories]:
    with (
        service(live={"sse_lifetime": "1s"}) as front,
        chromium.page_by_http(PAGE) as other,
    ):
        asked = {
            "page": PAGE.as_uri(),
            "url": front.url,
            "other": other,
            "shots": str(shots),
        }
        yield chromium.stories_of("tabs.mjs", asked, shots)


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
