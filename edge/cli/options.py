"""What several commands share: options, exit codes, settings, JSON on stdout."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.cli import console
from edge.settings import CONFIG_VARIABLE, Flag, Settings, SettingsError, load

OK, FAILED, WRONG = 0, 1, 2
"""Done; could not start or be done; settings or command line are wrong."""

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="Settings (YAML)."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout.")]
Text = str | None


def flags_of(given: Iterable[tuple[str, str, Text]]) -> list[Flag]:
    """The flags that were given: each with its name, its setting and its text."""
    return [
        Flag(name, tuple(key.split(".")), text)
        for name, key, text in given
        if text is not None
    ]


def settings_or_exit(config: Path | None, flags: list[Flag]) -> Settings:
    """The settings in force. If they are wrong: prints why and exits with 2."""
    try:
        return load(config, os.environ, flags)
    except SettingsError as error:
        console.problems(error)
        raise typer.Exit(WRONG) from None


def print_json(data: dict[str, Any]) -> None:
    """An answer for programs."""
    typer.echo(json.dumps(data, indent=2))
