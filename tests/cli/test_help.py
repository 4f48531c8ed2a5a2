"""What the command line tells of itself: help, version, and completion in shells."""

import enum
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import pytest
import typer.main
from typer.testing import CliRunner

from edge import __version__
from edge.admin import shipped
from edge.cli.app import COMPLETE, Shell, app
from edge.cli.options import SETTING_OF
from tests.support.processes import ROOT, ds_edge

SPELT = re.compile(r"[A-Z][A-Z/=]+(\|[a-z]+)?|[a-z-]+(\|[a-z-]+)+")
"""How the value of an option is written: URL, DURATION, full|os."""


def commands(command: Any, name: str = "ds-edge") -> Iterator[tuple[str, Any]]:
    """Every command, with the words that call it."""
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(app)))
PARAMETERS = [
    pytest.param(one, id=f"{name} {one.name}")
    for name, command in COMMANDS.items()
    for one in command.params
    if not getattr(one, "hidden", False)
]


def options_of(name: str) -> dict[str, Any]:
    return {one.name: one for one in COMMANDS[name].params}


def complete(shell: str, line: str) -> list[str]:
    """What ``line`` goes on with, as the shell's script asks for it."""
    words = line.split(" ")
    asked = {
        COMPLETE: f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        ds_edge(), cwd=ROOT, env=os.environ | asked, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_value_says_how_it_is_written(parameter: Any) -> None:
    """By a word, a range or its choices: ``<str>`` tells nobody anything."""
    kind = parameter.type_descriptor.annotation
    assert parameter.help.endswith(".")
    if kind in (int, float):
        assert parameter.min is not None
    elif kind is not bool and (get_origin(kind) or not issubclass(kind, enum.Enum)):
        assert SPELT.fullmatch(parameter.metavar or "")


@pytest.mark.parametrize("name", sorted(SETTING_OF.keys() - {"local_webhooks"}))
def test_a_flag_names_its_setting_and_the_default(name: str) -> None:
    flags = options_of("ds-edge origin") | options_of("ds-edge serve")

    assert re.search(rf"Setting {SETTING_OF[name]}; default: \S+", flags[name].help)


@pytest.mark.parametrize("module", ["edge", "edge.cli"])
def test_version_is_an_option_too(module: str) -> None:
    told = subprocess.run(
        [*ds_edge()[:2], module, "--version"], cwd=ROOT, capture_output=True, text=True
    )

    assert (told.returncode, told.stdout) == (0, f"ds-edge {__version__}\n")


@pytest.mark.parametrize("shell", list(Shell))
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ds-edge ch", "check"),
        ("ds-edge serve --ori", "--origin"),
        ("ds-edge serve --log-level w", "warning"),
        ("ds-edge bench fanout --mode s", "sse"),
    ],
)
def test_a_shell_completes_commands_options_and_values(
    shell: str, line: str, word: str
) -> None:
    assert any(word in one for one in complete(shell, line))


@pytest.mark.parametrize("shell", list(Shell))
def test_a_shell_reads_the_script(shell: str, tmp_path: Path) -> None:
    """By each shell that is here; bash always is."""
    script = CliRunner().invoke(app, ["completion", shell]).stdout
    file = tmp_path / "completion"
    file.write_text(script)

    assert COMPLETE in script
    if (binary := shutil.which(shell)) is not None:
        read = subprocess.run([binary, "-n", str(file)], capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, "")
    else:
        assert shell != Shell.BASH


def test_bash_itself_completes_with_the_script(tmp_path: Path) -> None:
    """A program of the name, found on PATH, as after an installation."""
    program = tmp_path / "ds-edge"
    command = " ".join(ds_edge())
    program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec {command} "$@"\n')
    program.chmod(0o755)
    asked = (
        "source <(ds-edge completion bash); COMP_WORDS=(ds-edge serve --log-level d); "
        'COMP_CWORD=3; _ds_edge_completion ds-edge; echo "${COMPREPLY[*]}"'
    )

    told = subprocess.run(
        ["bash", "-c", asked],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert (told.stdout, told.stderr) == ("debug\n", "")


def test_the_page_to_try_is_that_of_the_checkout() -> None:
    """Where there is one; ``tests/tools/test_dist.py`` tries an installed one."""
    assert shipped.page() == ROOT / "docs" / "follow.html"
    assert shipped.path_of("docs/no-such-page.html") is None
