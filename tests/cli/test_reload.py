"""A reload in the master: settings are taken whole or not at all."""

import logging
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli.open_files import RESERVE
from edge.cli.reload import Reloader
from edge.settings import load
from edge.settings.renewed import RenewedSettings

BASE = "origin: {url: 'http://127.0.0.1:4437'}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The settings of the start."""
    path = tmp_path / "edge.yaml"
    path.write_text(BASE)
    return path


def again(file: Path) -> Callable[[], RenewedSettings]:
    """A reload of what the start has read."""
    first = load(file)
    reloader = Reloader(first, lambda: load(file))
    return lambda: reloader(first)


def test_what_the_file_says_now_is_taken_over(file: Path) -> None:
    reload = again(file)
    file.write_text(BASE + "live: {linger: 7s}\n")
    renewed = reload()

    assert renewed.settings is not None and renewed.settings.live.linger == 7.0
    assert (renewed.changed, renewed.problems) == (("live.linger",), ())


def test_a_file_that_says_the_same_in_other_words_changes_nothing(file: Path) -> None:
    file.write_text(BASE + "live: {linger: 7s}\n")
    reload = again(file)
    file.write_text("log: {level: info}\nlive: {linger: 7000ms}\n" + BASE)

    assert reload().changed == ()


def test_a_secret_that_changed_is_named_and_not_told(file: Path) -> None:
    file.write_text(BASE + "admin: {token: a-secret-of-the-start}\n")
    reload = again(file)
    file.write_text(BASE + "admin: {token: a-secret-of-the-file}\n")
    renewed = reload()

    assert renewed.changed == ("admin.token",)
    assert "a-secret" not in repr(renewed)


def test_connections_are_capped_to_the_open_files_as_at_the_start(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here no more than 4096 are allowed."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    reload = again(file)
    file.write_text(BASE + "limits: {connections: 100000}\n")
    settings = reload().settings

    assert settings is not None
    assert settings.limits.connections == 4096 - RESERVE - settings.origin.connections


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "live: {lingr: 7s}\nlog: {level: loud}\n",
            [
                "{file}:2: live.lingr: is not a setting; did you mean live.linger?",
                "{file}:3: log.level: expected 'debug', 'info', 'warning' or 'error'; "
                "got 'loud'",
            ],
        ),
        (
            "live: {linger: 7s}\nlisten: :81\n",
            ["listen: only a restart can change it"],
        ),
    ],
)
def test_a_file_that_cannot_be_taken_changes_nothing_and_says_why(
    file: Path, text: str, problems: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    reload = again(file)
    file.write_text(BASE + text)
    with caplog.at_level(logging.ERROR):
        renewed = reload()

    expected = [said.format(file=file) for said in problems]
    assert renewed.settings is None and list(renewed.problems) == expected
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [f"reload refused: {said}" for said in expected]


def test_a_file_that_is_gone_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reload = again(file)
    file.unlink()

    assert reload().settings is None
    assert "reload refused: " in caplog.text
