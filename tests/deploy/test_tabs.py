"""Twenty tabs of a real Chromium behind each server of ``deploy/``.

``tests/node/proxy_tabs.mjs`` lives through the stories once per run; each test here
judges one. By HTTP/1.1 the seventh tab would wait (docs/tutorial.md, step 6).
"""

import ssl
from pathlib import Path

import pytest

from tests.deploy.proxies import STARTS, Proxies
from tests.support import chromium
from tests.support.certificates import key_digest
from tests.support.chromium import Stories
from tests.support.http2 import Connection
from tests.support.processes import ROOT

TABS = 20
LINES = "one\ntwo\nthree\n"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stories(proxies: Proxies, tmp_path_factory: pytest.TempPathFactory) -> Stories:
    folder = tmp_path_factory.mktemp("tabs")
    caddy = proxies.by_name["caddy"]
    asked = {
        "page": (ROOT / "docs" / "follow.html").as_uri(),
        "tabs": TABS,
        "proxies": {name: found.url for name, found in proxies.by_name.items()},
        "http3": caddy.url,
        "key": _key_of(caddy.address, caddy.believed, folder),
    }
    return chromium.stories_of("proxy_tabs.mjs", asked, folder)


def _key_of(address: str, believed: Path, folder: Path) -> str:
    """What the browser is told to trust: QUIC takes no exception of a window's."""
    with Connection(address, believed) as connection:
        octets = connection.sock.getpeercert(binary_form=True)
    assert octets is not None
    file = folder / "served.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(octets))
    return key_digest(file)


@pytest.mark.parametrize("name", STARTS)
def test_twenty_tabs_follow_over_one_connection(stories: Stories, name: str) -> None:
    """And all have each line once, whichever of them wrote it."""
    told = stories[name]

    assert told["protocols"] == ["h2"]
    assert told["connections"] == 1
    assert told["texts"] == [LINES] * TABS


def test_behind_caddy_tabs_follow_by_http3(stories: Stories) -> None:
    told = stories["http3"]

    assert told["protocols"] == ["h3"]
    assert told["texts"] == [LINES] * 2
