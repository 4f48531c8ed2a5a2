"""A private stream on the page of the tutorial, in two profiles of a real Chromium.

The step of the tutorial is done as it is written, and ``tests/node/private_tab.mjs``
lives through the stories once per run; each test here judges one. The page comes by
HTTP, from a server that keeps what it is asked: no secret may reach it.
"""

import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from edge.access.signed import sign
from edge.policy.streams.ways import SignedWay
from tests.support import chromium, recipes
from tests.support.chromium import Stories
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "follow.html"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
TEXT = "Dear diary,\ntoday I kept a secret.\n"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    home = tmp_path_factory.mktemp("private")
    folder = tmp_path_factory.mktemp("tutorial")
    section = recipes.sections(TUTORIAL)["7. A private stream"]
    heads: list[str] = []
    with recipes.kitchen(folder) as kitchen, chromium.page_by_http(PAGE, heads) as page:
        kitchen.do(section)
        url, token, link = (
            kitchen.run(f'echo "${name}"').strip() for name in ("URL", "TOKEN", "LINK")
        )
        secret = (folder / "var" / "private" / "links.key").read_text().strip()
        ended = sign(
            urlsplit(url).path,
            SignedWay((("k1", secret.encode()),)),
            "k1",
            int(time.time()) - 5,
        )
        asked = {
            "page": page,
            "profiles": str(home),
            "url": url,
            "token": token,
            "link": link,
            "wrong": link.replace("diary", "letters"),
            "expired": urlsplit(url)._replace(path="", query="").geturl() + ended,
            "secret": secret,
        }
        told = chromium.stories_of("private_tab.mjs", asked, home)
        log = kitchen.servers[8080].log.read_text()
    yield {**told, "asked": asked, "heads": heads, "log": log}


def test_a_link_is_read_in_a_browser_that_knows_nothing_else(stories: Stories) -> None:
    assert stories["linkAndToken"]["texts"] == [TEXT]


def test_a_token_lets_the_page_write(stories: Stories) -> None:
    told = stories["linkAndToken"]

    assert told["before"] == "This stream needs a credential."
    assert TEXT in told["texts"]


def test_a_token_is_kept_nowhere(stories: Stories) -> None:
    """After a reload the page needs it again."""
    told = stories["linkAndToken"]

    assert told["stored"] == [0, 0, ""]
    assert (told["after"], told["field"]) == ("This stream needs a credential.", "")
    assert stories["asked"]["token"] not in told["address"]


def test_a_link_does_not_write(stories: Stories) -> None:
    words = "not appended: A signed URL lets read, nothing else."

    assert stories["linkAndToken"]["notAppended"] == words


def test_a_link_to_another_stream_says_what_is_wrong(stories: Stories) -> None:
    assert stories["wrong"] == "The signature does not fit this URL."


def test_a_link_whose_time_is_over_says_so(stories: Stories) -> None:
    """Also one that was followed until then; what was shown stays."""
    assert stories["expired"] == "The time of the signed URL is over."
    assert stories["linkThatEnds"] == {
        "said": "The time of the signed URL is over.",
        "text": TEXT,
    }


def test_the_tutorial_has_the_words_of_the_page(stories: Stories) -> None:
    told = stories["linkAndToken"]
    for words in (told["notAppended"], stories["wrong"], stories["expired"]):
        assert f'"{words}"' in TUTORIAL
    assert f'"{told["after"]}"' in TUTORIAL


def test_no_secret_goes_where_it_does_not_belong(stories: Stories) -> None:
    """A8: neither to the server of the page, nor into a Referer or the edge's log; and
    the token into no URL."""
    asked, requests = stories["asked"], stories["requests"]
    signatures = [re.sub(".*ds_sig=", "", asked[name]) for name in ("link", "expired")]

    assert stories["heads"]
    for secret in (*signatures, asked["token"]):
        assert not any(secret in head for head in stories["heads"])
        assert secret not in stories["log"]
    assert [one for one in requests if one["referer"] is not None] == []
    assert [one for one in requests if asked["token"] in one["url"]] == []
    assert any(signatures[0] in one["url"] for one in requests)


def test_no_script_failed(stories: Stories) -> None:
    assert stories["complaints"] == []
