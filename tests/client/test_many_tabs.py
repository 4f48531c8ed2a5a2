"""How many tabs can follow, in a real Chromium: what the tutorial says of that.

``tests/node/many_tabs.mjs`` lives through the stories once per run; each test here
judges one. The script and nginx's settings are those that stand in the tutorial. Where
there is no nginx its story is left out; the tutorial's was run with it by hand.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import chromium
from tests.support.chromium import Stories
from tests.support.processes import ROOT, free_port, running, service

PAGE = ROOT / "docs" / "follow.html"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
FRONTS = ["http2"] if shutil.which("nginx") else []

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

AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def block(language: str) -> str:
    """The one block of the tutorial in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL, re.M | re.S)
    return str(found)


@contextmanager
def http2_front(edge_url: str, folder: Path) -> Iterator[str | None]:
    """The tutorial's nginx before an edge, with a certificate of its own."""
    if not FRONTS:
        yield None
        return
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    certificate += ["-subj", "/CN=localhost", "-days", "2"]
    certificate += ["-keyout", f"{folder}/edge.key", "-out", f"{folder}/edge.pem"]
    subprocess.run(certificate, check=True, capture_output=True)
    port = free_port()
    server = block("nginx").replace("/etc/ssl/edge", f"{folder}/edge")
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("127.0.0.1:8080", edge_url.removeprefix("http://"))
    config = folder / "nginx.conf"
    config.write_text(AROUND.format(folder=folder, server=server))
    with running("nginx", ["nginx", "-e", "stderr", "-c", str(config)]):
        yield f"https://localhost:{port}"


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Stories:
    folder = tmp_path_factory.mktemp("many-tabs")
    shared = folder / "shared.html"
    shared.write_text(SHARED.format(script=block("js")))
    # An event stream that ends frees a connection of the six for a moment.
    whole = {"sse_lifetime": "5m"}
    with service(live=whole) as front, http2_front(front.url, folder) as http2:
        asked = {
            "page": PAGE.as_uri(),
            "shared": shared.as_uri(),
            "url": front.url,
            "http2": http2,
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


@pytest.mark.parametrize("front", FRONTS)
def test_behind_the_tutorial_s_nginx_ten_tabs_follow(
    stories: Stories, front: str
) -> None:
    assert stories[front] == ["following"] * 10
