"""The commands of ``ds-edge`` and what each exit code tells.

0: done. 1: it could not start or be done. 2: the settings or the command line
are wrong. Settings that are wrong are told one problem to a line, as
``file:line: key: what was expected``, never as a traceback.
"""

import importlib
import json
import os
import platform
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any

import typer

from edge import __version__
from edge.cli import console
from edge.cli.streams.app import app as streams
from edge.settings import CONFIG_VARIABLE, Flag, Settings, SettingsError, load
from edge.settings.show import as_data, as_text

OK, FAILED, WRONG = 0, 1, 2

app = typer.Typer(
    name="ds-edge",
    help="An edge for Durable Streams: a crowd of readers costs the origin one.",
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="Settings (YAML)."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Argument(envvar=CONFIG_VARIABLE, help="Settings (YAML)."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on stdout.")]
Text = str | None


@app.command()
def serve(
    config: Config = None,
    origin: Annotated[Text, typer.Option(help="URL of the origin.")] = None,
    listen: Annotated[Text, typer.Option(help="HOST:PORT or unix:/path.")] = None,
    admin: Annotated[Text, typer.Option(help="The operator's HOST:PORT.")] = None,
    workers: Annotated[Text, typer.Option(help="Number of workers.")] = None,
    log_level: Annotated[
        Text, typer.Option(help="debug, info, warning, error.")
    ] = None,
) -> None:
    """Serve streams. Flags win over the environment, and that over the file."""
    given = [
        ("--origin", "origin.url", origin),
        ("--listen", "listen", listen),
        ("--admin", "admin.listen", admin),
        ("--workers", "workers", workers),
        ("--log-level", "log.level", log_level),
    ]
    flags = [
        Flag(name, tuple(key.split(".")), text)
        for name, key, text in given
        if text is not None
    ]
    try:
        settings = load(config, os.environ, flags)
    except SettingsError as error:
        console.problems(error)
        raise typer.Exit(WRONG) from None
    importlib.import_module("edge.cli.serve")
    from edge.cli.start import start

    raise typer.Exit(start(settings))


@app.command()
def check(file: ConfigFile = None, as_json: Json = False) -> None:
    """Validate settings and print the effective ones, secrets masked.

    The environment counts, as it does for serve. Exits with 2 when they are wrong.
    """
    try:
        settings = load(file, os.environ)
    except SettingsError as error:
        if as_json:
            _print_json({"ok": False, "problems": _problems(error)})
        else:
            console.problems(error)
        raise typer.Exit(WRONG) from None
    _show(settings, as_json)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version, and those of what it stands on."""
    parts = {name: version_of(name) for name in ("falcon", "gevent", "gunicorn")}
    found = {"ds-edge": __version__, "python": platform.python_version()} | parts
    if as_json:
        _print_json(found)
    else:
        typer.echo(", ".join(f"{name} {number}" for name, number in found.items()))


app.add_typer(streams)


def _show(settings: Settings, as_json: bool) -> None:
    if as_json:
        _print_json({"ok": True, "settings": as_data(settings)})
    else:
        typer.echo(as_text(settings), nl=False)


def _problems(error: SettingsError) -> list[dict[str, Any]]:
    return [
        {
            "source": problem.place.source,
            "line": problem.place.line,
            "key": problem.key,
            "message": problem.message,
        }
        for problem in error.problems
    ]


def _print_json(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data, indent=2))
