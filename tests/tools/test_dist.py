"""The wheel and the source archive: what is in them, and that they work elsewhere.

The wheel is installed into a new environment, with the pins of users, and run from an
empty folder: nothing of this checkout is within its reach.
"""

import email
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
import requests

from edge import __version__
from tests.support.processes import ROOT, edge
from tools import dist

WITH_INSTALL = pytest.mark.timeout(600)
SHARED = f"durable_streams_edge-{__version__}.data/data/share/ds-edge"

pytestmark = WITH_INSTALL


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return dist.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def in_wheel(archives: tuple[Path, Path]) -> set[str]:
    return set(zipfile.ZipFile(archives[1]).namelist())


@pytest.fixture(scope="module")
def about(archives: tuple[Path, Path]) -> Message:
    """The metadata that an index reads."""
    name = f"durable_streams_edge-{__version__}.dist-info/METADATA"
    return email.message_from_bytes(zipfile.ZipFile(archives[1]).read(name))


@pytest.fixture(scope="module")
def installed(
    archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An environment that has the wheel and what its users have, and no more."""
    folder = tmp_path_factory.mktemp("installed")
    python = str(folder / "bin" / "python")
    lock = str(ROOT / "requirements" / "run.lock")
    for command in (
        (sys.executable, "-m", "venv", str(folder)),
        (
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-compile",
            "--require-hashes",
            "-r",
            lock,
        ),
        (python, "-m", "pip", "install", "-q", "--no-deps", str(archives[1])),
        (python, "-m", "pip", "check"),
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(installed: Path, folder: Path, *command: str) -> str:
    """What a program of the environment prints, run in ``folder``; it must succeed."""
    done = subprocess.run(
        [str(installed / "bin" / command[0]), *command[1:]],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_whole_product_and_nothing_beside(
    in_wheel: set[str],
) -> None:
    code = {name for name in in_wheel if not name.startswith("durable_streams_edge-")}

    packages = ("edge/", "origin_adapter/")
    assert code == {name for name in dist.sources() if name.startswith(packages)}
    assert {"edge/py.typed", "origin_adapter/py.typed"} <= code


def test_the_wheel_holds_the_settings_and_the_page(in_wheel: set[str]) -> None:
    shared = {name for name in in_wheel if name.startswith(SHARED)}

    deploy = [file for file in (ROOT / "deploy").rglob("*") if file.is_file()]
    assert shared == {
        f"{SHARED}/config/edge.yaml",
        f"{SHARED}/docs/dashboard.html",
        f"{SHARED}/docs/follow.html",
        f"{SHARED}/docs/edge.schema.json",
        *(f"{SHARED}/{file.relative_to(ROOT)}" for file in deploy),
    }


def test_the_source_archive_holds_the_whole_checkout(
    archives: tuple[Path, Path],
) -> None:
    with tarfile.open(archives[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}

    assert set(dist.sources()) <= held


def test_the_metadata_say_all_that_an_index_shows(about: Message) -> None:
    for name in ("Summary", "Author", "Keywords", "Requires-Python", "License-File"):
        assert about[name], name
    assert about["License-Expression"] == "MIT"
    assert about["Version"] == __version__
    assert about["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in about.get_all("Classifier", ())
    assert str(about.get_payload()).startswith("# durable-streams-edge\n")


@pytest.mark.parametrize("program", [("ds-edge",), ("python", "-m", "edge")])
def test_an_installed_edge_tells_its_version(
    installed: Path, tmp_path: Path, program: tuple[str, ...]
) -> None:
    told = run(installed, tmp_path, *program, "--version")

    assert told == f"ds-edge {__version__}\n"


def test_the_settings_that_are_installed_are_valid(
    installed: Path, tmp_path: Path
) -> None:
    config = installed / "share" / "ds-edge" / "config" / "edge.yaml"

    told = run(installed, tmp_path, "ds-edge", "check", str(config))

    assert told.startswith("listen: 127.0.0.1:8080\n")


@pytest.fixture
def front(installed: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of an installed edge, run in an empty folder, and what it said."""
    here = tmp_path / "empty"
    here.mkdir()
    program = ["env", "-C", str(here), str(installed / "bin" / "ds-edge")]
    with edge("embedded", program, origin={"data": str(tmp_path / "data")}) as running:
        yield running.url, running.process.log.read_text()


def test_an_installed_edge_serves_and_names_its_page(
    installed: Path, front: tuple[str, str]
) -> None:
    url = f"{front[0]}/v1/stream/first"
    text = {"Content-Type": "text/plain"}

    assert requests.put(url, headers=text).status_code == 201
    assert requests.post(url, headers=text, data="one").status_code == 204
    assert requests.get(url).text == "one"
    page = installed / "share" / "ds-edge" / "docs" / "follow.html"
    assert f"a page that follows a stream: {page}" in front[1]
    assert page.read_bytes() == (ROOT / "docs" / "follow.html").read_bytes()
