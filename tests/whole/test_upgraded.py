"""A package that is upgraded while an edge runs, and then a reload.

Modules that were imported before the first fork are those of the version that runs. One
that is imported later would be the new version's, or be gone: then new processes do not
start, or two versions meet in one process.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.core.reasons import Reason
from tests.support.patience import until
from tests.support.processes import Edge, edge, embedded_origin
from tests.support.talk import ask

PATH = "/v1/stream/upgraded"
TOKEN = "a-token-of-sixteen-or-more"
OPERATOR: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
JSON: dict[str, Any] = {"Content-Type": "application/json"}

PAGES = (
    *("/health", "/ready", "/metrics", "/status", "/streams", "/settings", "/reloads"),
    *("/dashboard", "/follow"),
)


def reloads(running: Edge) -> list[Any]:
    status, _, body = ask(f"{running.admin}/reloads", **OPERATOR)
    assert status == 200
    found: list[Any] = json.loads(body)["reloads"]
    return found


def has_sent(running: Edge) -> bool:
    """Whether traces were sent, and not taken."""
    _, _, body = ask(f"{running.admin}/metrics", **OPERATOR)
    lost = f'spans_dropped_total{{reason="{Reason.SPANS_NOT_TAKEN.value}"}} '
    [line] = [one for one in body.decode().splitlines() if lost in one]
    return not line.endswith(" 0")


@pytest.mark.parametrize("workers", [1, 2])
def test_who_reloads_after_an_upgrade_goes_on_with_the_version_that_runs(
    tmp_path: Path, workers: int
) -> None:
    """W7. New processes start, and whatever they do then, they have it already."""
    file = tmp_path / "gone"
    program = (sys.executable, "-m", "tests.whole.taken_away", str(file))
    traces = {"endpoint": "http://localhost:1/v1/traces", "sample": "full"}
    settings = {"workers": workers, "admin": {"token": TOKEN}, "tracing": traces}
    with embedded_origin() as origin, edge(origin.url, program, **settings) as running:
        url = running.url + PATH
        file.touch()
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: [one["result"] for one in reloads(running)] == ["accepted"])

        assert ask(url, "PUT", **JSON)[0] == 201
        body = json.dumps({"said": "x" * 5000}).encode()
        assert ask(url, "POST", body, **JSON)[0] == 204
        for coding in ("identity", "gzip", "br", "zstd", "gzip", "br", "zstd"):
            assert ask(f"{url}?offset=-1", Accept_Encoding=coding)[0] == 200
        assert ask(url, "HEAD")[0] == 200
        assert ask(url, "OPTIONS")[0] == 204
        assert ask(f"{url}?offset=%zz")[0] == 400
        assert ask(f"{url}?offset=-1", Expect="100-continue")[0] == 200
        for page in PAGES:
            assert ask(running.admin + page, **OPERATOR)[0] == 200, page
        order = json.dumps({"path": PATH, "mode": "hard"}).encode()
        assert (
            ask(f"{running.admin}/purge", "POST", order, **OPERATOR, **JSON)[0] == 200
        )
        assert ask(url, "DELETE")[0] == 204
        assert ask(f"{url}?offset=-1")[0] == 404

        # Nobody takes the traces: what is needed to send them was there.
        until(lambda: has_sent(running))

        assert file.read_text() == ""
