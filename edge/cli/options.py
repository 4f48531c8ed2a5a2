"""What several commands share: options, exit codes, settings, JSON on stdout."""

import enum
import json
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.cli import console
from edge.settings import (
    CONFIG_VARIABLE,
    Flag,
    Settings,
    SettingsError,
    load,
    load_admin,
    log_format,
)
from edge.settings.dump import for_people

OK, FAILED, WRONG = 0, 1, 2
"""Done; could not start or be done; settings or command line are wrong."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        help="Settings (YAML). Without a file, the defaults.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout.")]
Text = str | None


SETTING_OF = {
    "admin": "admin.listen",
    "data": "origin.data",
    "durability": "origin.durability",
    "grace": "shutdown.grace",
    "listen": "listen",
    "local_webhooks": "origin.local_webhooks",
    "log_level": "log.level",
    "long_poll_timeout": "live.long_poll_timeout",
    "max_body": "origin.max_body",
    "origin": "origin.url",
    "public_url": "public_url",
    "retention_age": "origin.retention_age",
    "retention_size": "origin.retention_size",
    "workers": "workers",
}
"""The setting that each flag of ``serve`` and ``origin`` stands for."""


def setting_option(name: str, kind: str, meaning: str) -> Any:
    """The option of a flag that stands for a setting, its help with the default.

    ``name`` is a key of ``SETTING_OF``, ``kind`` says how its value is written; where
    the setting takes certain words, these stand there, and shells complete them. The
    text itself is judged by the settings.
    """
    key = SETTING_OF[name]
    choices = _choices_of(key)
    return typer.Option(
        metavar="|".join(choices) or kind,
        help=f"{meaning} Setting {key}; default: {_default_of(key)}.",
        autocompletion=(lambda: list(choices)) if choices else None,
    )


def _default_of(key: str) -> str:
    value: Any = _defaults()
    for part in key.split("."):
        value = value[part]
    many = value if isinstance(value, list) else [value]
    return ", ".join("not set" if one is None else str(one) for one in many)


@cache
def _defaults() -> dict[str, Any]:
    """The settings of an edge without any, as people write them."""
    return for_people(Settings())


def _choices_of(key: str) -> tuple[str, ...]:
    """The words that a setting takes; empty where it takes other text."""
    kind: Any = Settings
    for part in key.split("."):
        kind = kind.model_fields[part].annotation
    if not isinstance(kind, type) or not issubclass(kind, enum.Enum):
        return ()
    return tuple(str(one.value) for one in kind)


def flags_of(**given: Text) -> list[Flag]:
    """The flags that were given, by their parameters' names; None: not given."""
    return [
        flag(f"--{name.replace('_', '-')}", SETTING_OF[name], text)
        for name, text in given.items()
        if text is not None
    ]


def flag(name: str, key: str, text: str) -> Flag:
    """The setting ``key`` as ``text``; ``name`` is what problems call it."""
    return Flag(name, tuple(key.split(".")), text)


def admin_or_exit(config: Path | None) -> Settings:
    """The settings by which a running edge is asked (``load_admin``). If these are
    wrong: prints why and exits with 2."""
    try:
        return load_admin(config, os.environ)
    except SettingsError as error:
        console.problems(error)
        raise typer.Exit(WRONG) from None


def settings_or_exit(config: Path | None, flags: list[Flag]) -> Settings:
    """The settings in force. If they are wrong: prints why and exits with 2."""
    try:
        return load(config, os.environ, flags)
    except SettingsError as error:
        console.problems(error)
        raise typer.Exit(WRONG) from None


def serving_settings(config: Path | None, flags: list[Flag]) -> Settings:
    """As ``settings_or_exit``, for a command that serves: it speaks as its log does,
    as soon as the format is known."""
    console.begin_log(log_format(config, os.environ, flags).value)
    settings = settings_or_exit(config, flags)
    log = settings.log
    console.begin_log(log.format.value, quiet=log.level.value in ("warning", "error"))
    return settings


def print_json(data: dict[str, Any]) -> None:
    """An answer for programs."""
    typer.echo(json.dumps(data, indent=2))
