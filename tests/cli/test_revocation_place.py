"""Where orders are kept: a named file or none, damaged, unwritable, read-only. B13."""

import logging
import os
from pathlib import Path

import pytest

from edge.access.revocation_file import RevocationFile
from edge.access.revocations import Revocation, RevokedBy
from edge.cli.reload import Reloader
from edge.cli.revocation_place import DEFAULT, RevocationPlace
from edge.settings import Settings, load

JUDGES = """
origin: {url: 'http://127.0.0.1:4437'}
routes:
  - match: /v1/stream/**
    access:
      jwt:
        keys: [{secret: "a secret of the tests, which has 32 bytes"}]
        algorithms: [HS256]
        read_claim: read
"""
ORDER = Revocation(RevokedBy.SUBJECT, "alice", 1_800_000_000)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings; the working directory is empty beside them."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "edge.yaml"
    path.write_text(JUDGES)
    return path


def named(file: Path, name: str) -> Settings:
    file.write_text(JUDGES + f"access: {{revocations: {name}}}\n")
    return load(file)


def settled(settings: Settings) -> str | None:
    place = RevocationPlace()
    assert place.refusal(settings) is None
    return place.settled(settings).access.revocations


def test_without_a_name_it_lies_below_the_working_directory(file: Path) -> None:
    path = settled(load(file))

    assert path == str(file.parent / DEFAULT) == os.path.abspath(DEFAULT)
    assert RevocationFile(path).save([ORDER]) == ()


def test_a_named_file_is_the_place_and_relative_to_the_working_directory(
    file: Path,
) -> None:
    assert settled(named(file, "state/orders")) == str(file.parent / "state" / "orders")


def test_where_nobody_is_judged_nothing_is_touched(file: Path) -> None:
    """A12."""
    file.write_text("origin: {url: 'http://127.0.0.1:4437'}\n")

    assert settled(load(file)) is None
    assert os.listdir(file.parent) == ["edge.yaml"]


def test_where_the_default_cannot_be_written_it_is_said_and_goes_on(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a read-only root: workers of one edge find it, a later edge does not."""
    (file.parent / "var").write_text("in the way")
    place = RevocationPlace()
    assert place.refusal(load(file)) is None
    path = place.settled(load(file)).access.revocations

    assert path is not None and "ds-edge-" in path
    assert oct(os.stat(os.path.dirname(path)).st_mode & 0o777) == "0o700"
    assert "remembered only as long as this edge runs" in capsys.readouterr().err
    RevocationFile(path).save([ORDER])
    assert not RevocationFile(path).lasts
    assert place.refusal(load(file)) is None
    assert place.settled(load(file)).access.revocations == path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("edge.yaml/orders", "cannot be written: "),
        (".", "cannot be written: "),
        ("damaged", "is damaged: it does not hold revocations"),
    ],
)
def test_a_named_file_that_cannot_be_used_keeps_the_edge_from_starting(
    file: Path, name: str, why: str
) -> None:
    """The problem names it."""
    (file.parent / "damaged").write_bytes(b'{"version": 1, "revo')
    problem = RevocationPlace().refusal(named(file, name))

    assert problem is not None and problem.startswith("access.revocations: ")
    assert os.path.abspath(name) in problem and why in problem


def test_a_damaged_file_at_the_default_keeps_it_from_starting_too(file: Path) -> None:
    """It is not passed over for a new one."""
    (file.parent / "var").mkdir()
    (file.parent / DEFAULT).write_bytes(b"")
    problem = RevocationPlace().refusal(load(file))

    assert problem is not None and "is damaged" in problem


def test_a_reload_goes_on_with_the_place_of_the_start(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the master stands then."""
    place = RevocationPlace()
    first = load(file)
    assert place.refusal(first) is None
    path = place.settled(first).access.revocations
    (file.parent / "elsewhere").mkdir()
    monkeypatch.chdir(file.parent / "elsewhere")
    settings = Reloader(first, lambda: load(file), place)(first).settings

    assert settings is not None and settings.access.revocations == path


def test_another_file_needs_a_restart(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new worker would not find what was ordered."""
    first = load(file)
    reload = Reloader(first, lambda: load(file), RevocationPlace())
    named(file, "other")

    assert reload(first).settings is None
    assert "access.revocations: only a restart can change it" in caplog.text


def test_a_reload_with_a_damaged_file_is_refused(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old worker goes on, with what it knows."""
    place = RevocationPlace()
    first = named(file, "orders")
    assert place.refusal(first) is None
    place.settled(first)
    (file.parent / "orders").write_bytes(b"\0")

    assert Reloader(first, lambda: load(file), place)(first).settings is None
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "reload refused: access.revocations: " in record.getMessage()
    assert "is damaged" in record.getMessage()
