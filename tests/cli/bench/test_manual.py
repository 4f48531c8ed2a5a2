"""The manual has every option and every member of the benches, and no others."""

import re
from typing import Any

import pytest
import typer.main

from edge.cli.bench.app import app
from tests.cli.bench.conftest import Bench, Result
from tests.cli.bench.trivial import Trivial, serving
from tests.cli.streams.test_manual import options_in, section

COMMANDS: dict[str, Any] = dict(vars(typer.main.get_command(app))["commands"])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_in_the_manual_and_no_other(name: str) -> None:
    options = {one for parameter in COMMANDS[name].params for one in parameter.opts}
    long = {one for one in options if one.startswith("--")} - {"--help"}

    assert options_in(section(f"## `ds-edge bench {name}`")) == long


def members_in(name: str) -> set[str]:
    """Words in code that begin the rows of a section's table of members."""
    _, _, table = section(f"## `ds-edge bench {name}`").partition(
        "| member | meaning |"
    )
    cells = re.findall(r"^\| (`[a-z].*?) \|", table, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([a-z_0-9]+)`", cell)}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_member_is_in_the_manual_and_no_other(bench: Bench, name: str) -> None:
    with serving(Trivial()) as server:
        result = small(bench, name, server.url)

    assert set(result.data) == members_in(name)


def small(bench: Bench, name: str, url: str) -> Result:
    """The least that measures something."""
    few = {
        "fanout": ("--viewers", "1", "--events", "1", "--warmup", "0"),
        "hits": ("--connections", "1", "--seconds", "1", "--generator", "own"),
    }
    return bench(name, url, *few[name], "--json")
