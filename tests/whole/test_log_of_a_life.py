"""The log of a whole life: every line has the schema, whoever wrote it and why.

A service of four processes is started, asked, reloaded, reloaded by settings that are
wrong, loses a worker, replaces one by itself, loses its origin, and is stopped.
"""

import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.test_process import run
from tests.core.test_log_lines import read_logfmt
from tests.support.kin import children, command_of
from tests.support.log_lines import lines
from tests.support.processes import Edge, service
from tests.support.talk import ask

STREAM = "/v1/stream/a"
WITHIN = 60.0

SPEAKERS = {
    "edge.access": "request",
    "edge.cli": "listening at ",
    "edge.front": "draining ",
    "edge.settings": "reload refused: ",
    "edge.supervisor": "the origin ended with ",
    "gunicorn.error": "Worker (pid:",
}
"""Who must have spoken, and the beginning of something that each of them said."""


def until(front: Edge, words: str, times: int = 1) -> None:
    """Return when the log has these words so often."""
    for _ in range(int(WITHIN / 0.05)):
        if front.process.log.read_text().count(words) >= times:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"never said {times} times: {words}")


def child(pid: int, word: str) -> int:
    """The child that runs a command with this word."""
    [found] = [one for one in children(pid) if word in command_of(one)]
    return found


def live(front: Edge) -> None:
    """All that can happen to a service, until just before its end."""
    until(front, "listening at ")
    assert ask(front.url + STREAM, "PUT", b"x", content_type="text/plain")[0] == 201
    assert ask(f"{front.url}{STREAM}?offset=-1")[2] == b"x"
    supervisor = front.process.handle
    supervisor.send_signal(signal.SIGHUP)
    until(front, "draining ")

    good = front.config.read_text()
    front.config.write_text(good.replace("access: full", "access: never"))
    supervisor.send_signal(signal.SIGHUP)
    until(front, "reload refused: ")
    settings = yaml.safe_load(good)
    settings["recycle"] = {"after_requests": 1, "least_age": "0s"}
    front.config.write_text(yaml.safe_dump(settings))
    supervisor.send_signal(signal.SIGHUP)
    until(front, "draining ", 2)
    assert ask(f"{front.url}{STREAM}?offset=-1")[2] == b"x"
    until(front, "asking to be replaced")
    until(front, "draining ", 3)

    master = child(front.process.pid, "serve")
    os.kill(max(children(master)), signal.SIGKILL)
    until(front, "was sent SIGKILL")
    os.kill(child(front.process.pid, "origin"), signal.SIGKILL)
    until(front, "the origin ended with ")


def life(form: str, folder: Path) -> str:
    """The log of a service, from its first line to its last one."""
    log = {"format": form, "access": "full"}
    end: dict[str, Any] = {"grace": "30s"}
    with service(log=log, shutdown=end, origin={"data": str(folder)}) as front:
        live(front)
        front.process.handle.terminate()
        assert front.process.ended(WITHIN)
        return front.process.log.read_text()


def spoke(said: list[dict[str, Any]]) -> None:
    """Whether each speaker is there, with something of its own."""
    for logger, begin in SPEAKERS.items():
        words = [line["message"] for line in said if line["logger"] == logger]
        assert any(word.startswith(begin) for word in words), (logger, words)


def test_every_line_of_a_life_is_json(tmp_path: Path) -> None:
    said = lines(life("json", tmp_path))

    spoke(said)
    [lost] = [line for line in said if line["message"].startswith("reload refused: ")]
    assert re.search(r"/edge\.yaml:\d+: log\.access: expected ", lost["message"])


def test_every_line_of_a_life_is_logfmt(tmp_path: Path) -> None:
    said = [read_logfmt(line) for line in life("text", tmp_path).splitlines()]

    spoke(said)
    assert all(
        list(line)[:4] == ["time", "level", "logger", "message"] for line in said
    )


@pytest.mark.parametrize("form", ["json", "text"])
def test_settings_that_are_wrong_are_told_in_the_format_that_they_name(
    form: str,
) -> None:
    environ = {"DS_EDGE_LOG__FORMAT": form, "DS_EDGE_WORKERS": "4"}
    done = run("-m", "edge.cli", "serve", **environ)
    read = lines(done.stderr) if form == "json" else [read_logfmt(done.stderr.strip())]

    [line] = read
    assert done.returncode == 2
    said = "DS_EDGE_WORKERS: workers: 256MiB of cache.memory are too little for 4 "
    assert line["message"].startswith(said)
