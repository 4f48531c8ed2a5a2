"""What of the Dockerfile and its page can be judged without an engine."""

import re
import subprocess
import tomllib

import pytest
import typer.main

from edge.cli.app import app
from tests.container import engine
from tests.container.__main__ import NAMES, PAGE, blocks
from tests.support.processes import ROOT

DOCKERFILE = engine.DOCKERFILE.read_text("utf-8")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
COMMANDS = set(vars(typer.main.get_command(app))["commands"])


def copied() -> list[str]:
    """The sources of the Dockerfile's COPY lines, from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_goes_to_the_builder(source: str) -> None:
    admitted = [line[1:] for line in IGNORED if line.startswith("!")]

    assert (ROOT / source).exists()
    assert any(source == one or source.startswith(f"{one}/") for one in admitted)


def test_all_that_the_wheel_carries_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    data = project["tool"]["setuptools"]["data-files"].values()
    sources = copied()

    for name in (name for names in data for name in names):
        assert any(name == one or name.startswith(f"{one}/") for one in sources), name


def test_the_labels_of_the_image_say_what_the_package_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', DOCKERFILE)
    )

    assert labels == {
        "title": project["name"],
        "description": project["description"],
        "licenses": project["license"],
    }


def test_both_stages_begin_with_one_image() -> None:
    assert re.fullmatch(r"python:3\.\d+-slim", engine.base_image())


def test_the_image_can_make_traces_and_each_lock_it_may_take_is_copied() -> None:
    [lock] = re.findall(r"^ARG LOCK=(\w+)$", DOCKERFILE, re.MULTILINE)
    locks = {f"requirements/{name}.lock" for name in ("build", "otel", "run")}

    assert lock == "otel"
    assert {one for one in copied() if one.endswith(".lock")} == locks


def test_the_image_runs_commands_that_there_are() -> None:
    """By default, and for its health; ``tests/test_docs.py`` looks at the page's."""
    [default, check] = re.findall(r'CMD \["(?:ds-edge", ")?(\w+)"\]', DOCKERFILE)[::-1]

    assert (default, check) == ("serve", "health")
    assert {default, check} <= COMMANDS


def test_the_page_begins_with_the_build_and_is_shell() -> None:
    found = blocks(PAGE.read_text("utf-8"))

    assert found[0] == "docker build -t ds-edge .\n"
    for block in found:
        done = subprocess.run(
            ["bash", "-n"], input=block, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_whatever_the_page_starts_it_and_the_test_by_hand_remove() -> None:
    page = PAGE.read_text("utf-8")
    started = set(re.findall(r"docker run -d --name (\w+)", page))

    assert started
    assert started < set(NAMES)
    for name in started:
        assert re.search(rf"docker rm -f .*\b{name}\b", page)
