"""``ds-edge reload`` before a running edge: it tells whatever becomes of a reload."""

import http.client
import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from edge.cli.app import app
from tests.support.patience import until
from tests.support.processes import Edge, edge, embedded_origin, service

pytestmark = pytest.mark.timeout(600)


def reload(running: Edge, *arguments: str) -> Result:
    """Give the command, with the file of the edge."""
    return CliRunner().invoke(app, ["reload", "-c", str(running.config), *arguments])


def diff(running: Edge) -> str:
    """What the file would change, of what the edge goes by."""
    done = CliRunner().invoke(app, ["config", "diff", "--running", str(running.config)])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DS_EDGE_")]:
        monkeypatch.delenv(name)


def write(running: Edge, **changed: Any) -> None:
    """Lay these over the settings in the file."""
    settings = yaml.safe_load(running.config.read_text())
    running.config.write_text(yaml.safe_dump(settings | changed))


def page(running: Edge, name: str) -> bytes:
    """A page of the admin address. Who is asked may be about to be replaced: then its
    successor is asked."""
    found: list[bytes] = []

    def answered() -> bool:
        with (
            suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(f"{running.admin}{name}", timeout=60) as answer,
        ):
            found.append(answer.read())
        return bool(found)

    until(answered)
    return found[0]


def told(running: Edge, name: str) -> Any:
    return json.loads(page(running, name))


def value(running: Edge, series: str) -> float:
    for line in page(running, "/metrics").decode().splitlines():
        if line.startswith(f"ds_edge_config_{series} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {series}")


@contextmanager
def alone() -> Iterator[Edge]:
    with service() as up:
        yield up


@contextmanager
def several() -> Iterator[Edge]:
    with embedded_origin() as origin, edge(origin.url, workers=2, keepers=1) as up:
        yield up


@pytest.mark.parametrize("served", [alone, several])
def test_whatever_becomes_of_a_reload_is_told(
    served: Callable[[], AbstractContextManager[Edge]],
) -> None:
    """Taken, refused, by hand, by two at once, and when nobody can do it any more."""
    with served() as running:
        taken(running)
        refused(running)
        by_hand(running)
        if served is several:
            two_at_once(running)
        without_its_master(running)


def taken(running: Edge) -> None:
    assert told(running, "/status")["reload"] is None
    assert value(running, "last_reload_successful") == 1
    before = {one["pid"] for one in told(running, "/status")["processes"]}
    write(running, live={"linger": "7s"})
    assert diff(running) == "live.linger: 5s -> 7s\n"
    done = reload(running)

    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert "reload 1 accepted: live.linger; new processes serve" in done.stderr
    after = told(running, "/status")
    assert after["reload"]["changed"] == ["live.linger"]
    # Who is told of here and was there before is about to end.
    assert {one["pid"] for one in after["processes"]} - before
    assert diff(running) == ""
    assert value(running, 'reloads_total{result="accepted"}') == 1
    assert told(running, "/reloads")["succeeded"] > after["reload"]["began"]


def refused(running: Edge) -> None:
    """The file is one that ``check`` takes, and a running edge cannot."""
    listen = yaml.safe_load(running.config.read_text())["listen"]
    write(running, listen="127.0.0.1:1")
    done = reload(running, "--json")
    write(running, listen=listen)

    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert (result["result"], result["reason"]) == ("refused", "settings-refused")
    assert result["problems"] == ["listen: only a restart can change it"]
    assert value(running, "last_reload_successful") == 0


def by_hand(running: Edge) -> None:
    """A file that is wrong is told with file, line and key, as ``check`` says it, and
    the command says the same: it goes by ``admin`` alone."""
    right = running.config.read_text()
    write(running, live={"lingr": "7s"})
    os.kill(running.process.pid, signal.SIGHUP)
    until(lambda: told(running, "/reloads")["counts"]["refused"] == 2)
    [problem] = told(running, "/status")["reload"]["problems"]
    asked = reload(running)
    running.config.write_text(right)

    assert problem.startswith(f"{running.config}:")
    assert "live.lingr: is not a setting" in problem
    assert asked.exit_code == 1 and problem in asked.stderr
    assert len(told(running, "/reloads")["reloads"]) == 4


def two_at_once(running: Edge) -> None:
    """Both hear a result, and what the file says is in force."""
    numbers = [order(running), order(running)]

    def ended() -> bool:
        found = {
            one["number"]: one["result"] for one in told(running, "/reloads")["reloads"]
        }
        return all(found.get(number) == "accepted" for number in numbers)

    until(ended)


def without_its_master(running: Edge) -> None:
    """Whoever still answers cannot have it done; then nobody answers."""
    pid = master(running)
    os.kill(pid, signal.SIGKILL)
    gone = reload(running)

    assert gone.exit_code == 1
    words = ("The master of this edge has died", "cannot be reached", "answers no more")
    assert any(one in gone.stderr for one in words), gone.stderr


def order(running: Edge) -> int:
    asked = urllib.request.Request(
        f"{running.admin}/reload", b"{}", {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        number: int = json.load(answer)["number"]
    return number


def master(running: Edge) -> int:
    """The parent of its processes; with the embedded origin it has one itself."""
    [worker, *_] = told(running, "/status")["processes"]
    status = Path(f"/proc/{worker['pid']}/status").read_text("ascii")
    [line] = [one for one in status.splitlines() if one.startswith("PPid:")]
    return int(line.split()[1])
