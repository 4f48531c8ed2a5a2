"""What the make commands install, say and leave behind, in a copy of the checkout."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tools import dist

COMMANDS = ("serve", "test", "check", "fix")


def make(folder: Path, *arguments: str) -> list[str]:
    """The lines that make prints, as a shell of its own and not as a part of ours."""
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    environ = {k: v for k, v in os.environ.items() if k not in inherited}
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def installed(lines: list[str]) -> list[str]:
    """The locks that a run of make would have pip read."""
    return re.findall(r"--requirement requirements/(\w+)\.lock", "\n".join(lines))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    dist.copy_sources(tmp_path)
    return tmp_path


def stamp(checkout: Path, name: str, age: float = 0.0) -> None:
    """As if what belongs to the stamp had been installed so many seconds ago."""
    path = checkout / ".venv" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    then = time.time() - age
    os.utime(path, (then, then))


def test_serving_installs_what_serving_needs_and_no_tool(checkout: Path) -> None:
    assert installed(make(checkout, "-n", "serve")) == ["build", "run"]


@pytest.mark.parametrize("command", ["test", "check", "fix"])
def test_developing_adds_the_tools_to_it(checkout: Path, command: str) -> None:
    assert installed(make(checkout, "-n", command)) == ["build", "run", "dev"]


def test_from_serving_to_testing_only_the_tools_are_added(checkout: Path) -> None:
    stamp(checkout, ".installed")

    assert installed(make(checkout, "-n", "serve")) == []
    assert installed(make(checkout, "-n", "test")) == ["dev"]


@pytest.mark.parametrize("command", COMMANDS)
def test_from_testing_to_serving_and_back_nothing_is(
    checkout: Path, command: str
) -> None:
    stamp(checkout, ".installed", age=1)
    stamp(checkout, ".tools")

    assert installed(make(checkout, "-n", command)) == []


def test_new_pins_are_installed_by_whichever_command_comes_next(checkout: Path) -> None:
    """The environment is made anew, and with it go the tools, until they are needed."""
    stamp(checkout, ".installed", age=2)
    stamp(checkout, ".tools", age=1)
    (checkout / "requirements" / "run.lock").touch()

    assert installed(make(checkout, "-n", "serve")) == ["build", "run"]
    assert installed(make(checkout, "-n", "test")) == ["build", "run", "dev"]


def test_the_tests_say_how_long_and_what_before_anything_is_installed(
    checkout: Path,
) -> None:
    """Its recipe begins with words."""
    lines = make(checkout, "-n", "test")
    first = next(n for n, line in enumerate(lines) if "pip" in line)

    assert "ABOUT_THE_TESTS" in lines[0] and first > 0
    makefile = (checkout / "Makefile").read_text()
    about = makefile.partition("define ABOUT_THE_TESTS\n")[2].partition("endef")[0]
    assert "minutes" in about and "Chromium" in about


@pytest.mark.parametrize("command", ["clean", "dist", *COMMANDS, "install"])
def test_help_names_the_command(checkout: Path, command: str) -> None:
    assert any(line.startswith(f"make {command} ") for line in make(checkout, "help"))


def test_clean_leaves_what_the_checkout_had_and_nothing_else(checkout: Path) -> None:
    """All that the checkout ignores, wherever it comes to lie."""
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    before = {path for path in checkout.rglob("*") if ".git" not in path.parts}
    ignored = (checkout / ".gitignore").read_text().split()
    for pattern in ignored:
        name = pattern.strip("/").replace("*", "durable_streams_edge")
        if name == "node_modules":
            name = f"tests/node/{name}"
        (checkout / name / "sub").mkdir(parents=True)
        (checkout / name / "sub" / "file").touch()
    for folder in ("edge/policy/streams", "tests/tools", "tools"):
        (checkout / folder / "__pycache__").mkdir()
        (checkout / folder / "__pycache__" / "a.pyc").touch()

    make(checkout, "clean")

    told = subprocess.run(
        ["git", "clean", "-ndx"], cwd=checkout, capture_output=True, text=True
    )
    assert (told.returncode, told.stdout) == (0, "")
    assert {p for p in checkout.rglob("*") if ".git" not in p.parts} == before
