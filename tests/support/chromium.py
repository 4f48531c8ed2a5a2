"""Chromium for the tests of pages: found, or installed, never skipped.

A script in ``tests/node`` drives it. It lives through its stories once per run, and
tells what the pages saw; each test judges one of them.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import node, programs

NAMES = ("chromium", "chromium-browser", "google-chrome")
STORIES_WITHIN = 120.0

Stories = dict[str, Any]


def find() -> str | None:
    """The path of a Chromium; None when PATH has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> str:
    """``find``, after installing it where that is possible. Raises ProgramMissing."""
    return find() or programs.ensure(NAMES[0], NAMES[0])


def stories_of(script: str, asked: Mapping[str, Any], home: Path) -> Stories:
    """What the pages of this script saw. It is told ``asked``, and which Chromium; what
    that keeps of its own lies in ``home``."""
    found = node.install()
    told = json.dumps({**asked, "chromium": ensure()})
    done = subprocess.run(
        [str(found.binary), str(node.FOLDER / script), told],
        env={**os.environ, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STORIES_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    stories: Stories = json.loads(done.stdout)
    return stories


class _Keeping(http.server.SimpleHTTPRequestHandler):
    """Keeps what it is asked, with all fields."""

    def __init__(self, *arguments: Any, heads: list[str], **named: Any) -> None:
        self.heads = heads
        super().__init__(*arguments, **named)

    def log_request(self, *_: object) -> None:
        self.heads.append(f"{self.requestline}\n{self.headers}")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def page_by_http(page: Path, heads: list[str] | None = None) -> Iterator[str]:
    """The address of a page on a site of its own. ``heads``: what that is asked."""
    kept = [] if heads is None else heads
    handler = functools.partial(_Keeping, directory=str(page.parent), heads=kept)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{page.name}"
        finally:
            server.shutdown()
            thread.join()
