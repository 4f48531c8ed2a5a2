"""The recipes of docs/access-recipes.md, done as they are written, with real servers.

A2, A16, A17, B9, B21: what each of them prints is checked by the page's own comments.
Here stands what a page cannot show: that viewers with credentials of their own are one
crowd, and who is asked how often.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import chromium, node, recipes
from tests.support.processes import ROOT
from tests.support.recipes import Kitchen, RecipeFault
from tests.whole.crowd import Crowd, call, metric, origin_requests

PAGE = (ROOT / "docs" / "access-recipes.md").read_text("utf-8")
SECTIONS = recipes.sections(PAGE)
PATIENCE = 60.0
VIEWERS = 12
EVENTS = 5

APPS = ("Django", "Express", "Rails")
DONE = {
    "Tokens of an identity provider",
    "Sessions of an application",
    *APPS,
    "Try it",
    "An origin that checks tokens itself",
    "Share links",
    "A CDN in front",
}

pytestmark = pytest.mark.timeout(600)  # the first run installs


@pytest.fixture
def kitchen() -> Iterator[Kitchen]:
    """In a folder that is anybody's to read: nginx drops root before it does."""
    with tempfile.TemporaryDirectory(prefix="ds-recipe-") as folder:
        os.chmod(folder, 0o755)
        with recipes.kitchen(Path(folder)) as made:
            yield made


def expect_one_crowd(
    kitchen: Kitchen, path: str, fields: list[str], writer: dict[str, str]
) -> None:
    """Each viewer has one of these header fields; the origin is asked once an event."""
    edge, admin = kitchen.url(8080), kitchen.url(8081)
    url = edge + path
    offset = call("POST", url, b"<begin>", **writer)["stream-next-offset"]
    own = [f"{field}\r\n" for field in fields]
    crowd = Crowd(edge, len(own), "sse", offset, own.__getitem__, path=path)
    try:
        call("POST", url, b"<0>", **writer)
        crowd.await_event(0, PATIENCE)
        asked = origin_requests(admin)
        for number in range(1, EVENTS + 1):
            call("POST", url, b"<%d>" % number, **writer)
            crowd.await_event(number, PATIENCE)
        assert origin_requests(admin) - asked == EVENTS
    finally:
        crowd.close()


def test_every_recipe_is_done() -> None:
    """A section with commands or files that no test does would rot."""
    assert {title for title, text in SECTIONS.items() if recipes.steps(text)} == DONE


def test_tokens_of_an_identity_provider(kitchen: Kitchen) -> None:
    kitchen.do(SECTIONS["Tokens of an identity provider"])

    tokens = [kitchen.run("token alice").strip() for _ in range(VIEWERS)]
    assert len(set(tokens)) == VIEWERS
    writer = {"Authorization": "Bearer " + kitchen.run("echo $ALICE").strip()}
    fields = [f"Authorization: Bearer {token}" for token in tokens]
    expect_one_crowd(kitchen, "/v1/stream/rooms/1", fields, writer)
    # B15: the provider was asked for its keys once, by each of the two routes.
    assert metric(kitchen.url(8081), "ds_edge_key_fetches_total") == 2


@pytest.mark.parametrize("app", APPS)
def test_sessions_of_an_application(kitchen: Kitchen, app: str) -> None:
    for title in ("Sessions of an application", app, "Try it"):
        kitchen.do(SECTIONS[title])

    # Nothing that the app sets comes with its yes: so it is believed, and not asked.
    read = "curl -s -i -b alice.cookies $ROOM"
    asked = metric(kitchen.url(8081), "ds_edge_asks_total")
    for _ in range(3):
        assert "set-cookie" not in kitchen.run(read).lower()
    assert metric(kitchen.url(8081), "ds_edge_asks_total") == asked > 0
    # A10: who is taken back is asked about anew, and this app goes on saying yes.
    kitchen.run("ds-edge revoke --subject alice --config edge.yaml")
    assert "hello room" in kitchen.run(read)
    assert metric(kitchen.url(8081), "ds_edge_asks_total") == asked + 1
    # Each logs in for himself.
    login = "curl -s -o nothing -D - http://127.0.0.1:3000/login/alice"
    heads = [kitchen.run(login) for _ in range(VIEWERS)]
    found = [re.search(r"(?i)^set-cookie: *(session=[^;]*)", h, re.M) for h in heads]
    cookies = [f"Cookie: {one[1]}" for one in found if one is not None]
    assert len(cookies) == VIEWERS
    writer = {
        "Cookie": cookies[0].removeprefix("Cookie: "),
        "Sec-Fetch-Site": "same-origin",
    }
    expect_one_crowd(kitchen, "/v1/stream/rooms/1", cookies, writer)
    log = kitchen.servers[8080].log.read_text()
    assert '"way": "forward", "sub": "alice"' in log
    assert not any(cookie.partition("=")[2] in log for cookie in cookies)


def test_a_page_of_the_app_follows_with_its_cookie(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    """A11: what the page has a script do, in a real Chromium that has logged in."""
    for title in ("Sessions of an application", "Express", "Try it"):
        kitchen.do(SECTIONS[title])
    [script] = re.findall(r"^```js\n(.*?)^```$", SECTIONS["Try it"], re.M | re.S)
    asked = {
        "chromium": chromium.ensure(),
        "login": kitchen.url(3000) + "/login/",
        "script": kitchen.as_here(script),
    }
    done = subprocess.run(
        [str(node.install().binary), str(node.FOLDER / "session_tab.mjs")],
        input=json.dumps(asked),
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )
    assert done.returncode == 0, done.stderr

    assert json.loads(done.stdout) == {"alice": "hello room", "bob": "refused"}


def test_an_origin_that_checks_tokens_itself(kitchen: Kitchen) -> None:
    """Both have a token, and either may be lent."""
    kitchen.do(SECTIONS["An origin that checks tokens itself"])

    fields = [f"Authorization: Bearer of-{name}" for name in ("alice", "bob")]
    writer = {"Authorization": "Bearer of-alice"}
    expect_one_crowd(kitchen, "/v1/stream/rooms/1", fields * 3, writer)
    # A10: by its text, since nobody but the origin knows what else it says.
    kitchen.run("echo of-bob | ds-edge revoke --token-file - --config edge.yaml")
    answer = kitchen.run("curl -s $ROOMS/1 -H 'Authorization: Bearer of-bob'")
    assert '"token-revoked"' in answer


def test_share_links(kitchen: Kitchen) -> None:
    kitchen.do(SECTIONS["Share links"])

    log = kitchen.servers[8080].log.read_text()
    link = kitchen.run('echo "$LINK"').strip()
    assert '"way": "signed", "sub": "k1"' in log
    assert link.partition("ds_sig=")[2] not in log
    assert (kitchen.folder / "links.key").stat().st_mode & 0o077 == 0


def test_a_cdn_in_front(kitchen: Kitchen) -> None:
    """A6, B17: what it may share reaches the edge once, and nothing else is kept."""
    kitchen.do(SECTIONS["A CDN in front"])

    def asked() -> int:
        log = kitchen.servers[8080].log.read_text()
        return len(re.findall(r'"path": "/v1/stream/shows/1\?', log))

    before = asked()
    for _ in range(3):
        assert "hello shows/1" in kitchen.run('curl -s "$LINK&offset=-1"')
    assert asked() == before
    # A6: what a token lets read is kept nowhere.
    held = [path for path in (kitchen.folder / "cache").rglob("*") if path.is_file()]
    assert len(held) == 1 and b"shows/1" in held[0].read_bytes()
    # A wrong link is another URL to the CDN, and nobody's.
    wrong = kitchen.run('curl -s -i "${LINK}x&offset=-1"')
    assert "link-signature" in wrong and "no-store" in wrong
    live = kitchen.run('curl -s -i "$LINK&offset=-1&live=sse"')
    assert "X-Cache: BYPASS" in live and "hello shows/1" in live


# The page is held to what it says.


def test_a_comment_that_is_not_what_is_printed_is_noticed(kitchen: Kitchen) -> None:
    with pytest.raises(RecipeFault, match="printed 'one"):
        kitchen.do("```sh\necho one    # two\n```\n")


def test_a_command_that_fails_is_noticed(kitchen: Kitchen) -> None:
    with pytest.raises(RecipeFault, match="ended with 1"):
        kitchen.do("```sh\nfalse\n```\n")


def test_a_server_that_does_not_start_is_noticed(kitchen: Kitchen) -> None:
    with pytest.raises(RecipeFault, match="ended"):
        kitchen.do(
            "```sh\nds-edge serve --config none.yaml &    # 127.0.0.1:8080\n```\n"
        )


def test_a_package_that_tests_do_not_have_is_noticed(kitchen: Kitchen) -> None:
    with pytest.raises(RecipeFault, match="no-such-package"):
        kitchen.do("```sh\nnpm install no-such-package\n```\n")


def test_a_file_lies_where_the_commands_are_run(kitchen: Kitchen) -> None:
    kitchen.do(
        "`a.txt`:\n\n```text\none\n```\n\n```sh\nNAME=a\ncat $NAME.txt  # one\n```\n"
    )

    assert (kitchen.folder / "a.txt").read_text() == "one\n"
