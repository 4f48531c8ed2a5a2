"""The manual has every option and exit code, and no others; a bar shows and hides."""

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from edge.cli.streams import NAMES
from edge.cli.streams.app import app
from edge.cli.streams.exit_faults import Exit
from tests.cli.streams.conftest import Run
from tests.support.processes import ROOT, ds_edge

MANUAL = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text("utf-8")
COMMANDS: dict[str, Any] = dict(vars(typer.main.get_command(app))["commands"])
COMMON = {"--header", "--timeout", "--retries", "--json"}


def section(title: str) -> str:
    """The text below a heading, up to the next one of its rank or above."""
    _, _, rest = MANUAL.partition(f"\n{title}\n")
    rank = title.partition(" ")[0]
    return re.split(rf"\n#{{2,{len(rank)}}} ", rest)[0]


def options_in(text: str) -> set[str]:
    """Options that stand at the beginning of a table's row."""
    cells = re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"--[a-z-]+", cell)}


def test_the_entry_knows_the_names_of_the_commands() -> None:
    assert set(COMMANDS) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_option_is_in_the_manual_and_no_other(name: str) -> None:
    has = {
        option
        for parameter in COMMANDS[name].params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    common = options_in(section("## For every command"))

    assert common == COMMON
    assert options_in(section(f"## `ds-edge {name}`")) == has - COMMON - {"--help"}


def test_every_exit_code_is_in_the_manual() -> None:
    codes = re.findall(r"^\| `(\d+)` \|", section("## Exit codes"), re.MULTILINE)

    assert [int(code) for code in codes] == [int(one) for one in Exit]


def test_a_bar_is_shown_to_who_looks_and_to_nobody_else(
    ds: Run, stream: str, tmp_path: Path
) -> None:
    ds("create", stream, "-", given=bytes(300_000))
    ours, theirs = pty.openpty()

    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            ds_edge("read", stream),
            cwd=ROOT,
            stdout=out,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            check=True,
        )
    os.close(theirs)
    seen = os.read(ours, 65536)
    os.close(ours)

    assert b"reading" in seen
    assert (tmp_path / "out").read_bytes() == bytes(300_000)
    assert "reading" not in ds("read", stream).err
