"""How many tabs can follow, in a real Chromium: what the tutorial says of that.

``tests/node/many_tabs.mjs`` lives through the stories once per run; each test here
judges one. The script is the one that stands in the tutorial. How twenty tabs follow by
HTTP/2 is shown in ``tests/deploy/test_tabs.py``.
"""

import re

import pytest

from tests.support import chromium
from tests.support.chromium import Stories
from tests.support.processes import ROOT, service

PAGE = ROOT / "docs" / "follow.html"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")

pytestmark = pytest.mark.timeout(600)

SHARED = """<!doctype html>
<meta charset="utf-8">
<pre id="text"></pre>
<script>
const url = new URLSearchParams(location.search).get("url")
const show = (text) => document.getElementById("text").append(text)
{script}
</script>
"""


def block(language: str) -> str:
    """The one block of the tutorial in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL, re.M | re.S)
    return str(found)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Stories:
    folder = tmp_path_factory.mktemp("many-tabs")
    shared = folder / "shared.html"
    shared.write_text(SHARED.format(script=block("js")))
    # An event stream that ends frees a connection of the six for a moment.
    whole = {"sse_lifetime": "5m"}
    with service(live=whole) as front:
        asked = {
            "page": PAGE.as_uri(),
            "shared": shared.as_uri(),
            "url": front.url,
        }
        return chromium.stories_of("many_tabs.mjs", asked, folder)


def test_six_tabs_follow_and_the_seventh_waits_in_the_browser(
    stories: Stories,
) -> None:
    assert stories["sixFollow"]["states"] == [*["following"] * 6, "asking"]


def test_not_even_a_line_goes_out_while_six_tabs_follow(stories: Stories) -> None:
    """It does when one is closed: the story waits for that."""
    assert stories["sixFollow"]["text"] == "first\nwritten outside\n"


def test_with_the_tutorial_s_script_one_tab_follows_for_all(stories: Stories) -> None:
    """The next one does when that is closed; each shows every line once."""
    assert stories["oneForAll"] == ["first\nsecond\nthird\nfourth\n"] * 9
