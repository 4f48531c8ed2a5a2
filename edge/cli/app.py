"""The commands of ``ds-edge`` and their exit codes.

0: done. 1: it could not start or be done. 2: the settings or the command line are
wrong. Wrong settings are printed one problem to a line, as ``file:line: key: what was
expected``, never as a traceback.
"""

import importlib
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any

import typer

from edge import __version__
from edge.cli import console, origin
from edge.cli.access.app import app as access
from edge.cli.bench.app import app as bench
from edge.cli.health import NotWell, ask
from edge.cli.open_files import look
from edge.cli.options import (
    FAILED,
    WRONG,
    Config,
    Json,
    Text,
    flags_of,
    print_json,
    serving_settings,
)
from edge.cli.streams.app import app as streams
from edge.settings import CONFIG_VARIABLE, Settings, SettingsError, cross_checks, load
from edge.settings.dump import as_data, as_text
from edge.settings.problems import key_name

app = typer.Typer(
    name="ds-edge",
    help="An edge for Durable Streams: a crowd of readers costs the origin one.",
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[
    Path | None,
    typer.Argument(envvar=CONFIG_VARIABLE, help="Settings (YAML)."),
]
app.add_typer(origin.app, name="origin")


@app.command()
def serve(
    config: Config = None,
    origin: Annotated[Text, typer.Option(help="URL of the origin.")] = None,
    data: Annotated[Text, typer.Option(help="Folder of the embedded origin.")] = None,
    listen: Annotated[Text, typer.Option(help="HOST:PORT or unix:/path.")] = None,
    admin: Annotated[Text, typer.Option(help="The operator's HOST:PORT.")] = None,
    workers: Annotated[Text, typer.Option(help="Number of workers.")] = None,
    log_level: Annotated[
        Text, typer.Option(help="debug, info, warning, error.")
    ] = None,
    attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
) -> None:
    """Serve streams. Flags win over the environment, and that over the file."""
    flags = flags_of(
        origin=origin,
        data=data,
        listen=listen,
        admin=admin,
        workers=workers,
        log_level=log_level,
    )
    settings = serving_settings(config, flags)
    importlib.import_module("edge.cli.serve")
    from edge.cli.start import start

    def read() -> Settings:
        return load(config, os.environ, flags)

    raise typer.Exit(start(settings, read, attached))


@app.command()
def check(file: ConfigFile = None, as_json: Json = False) -> None:
    """Validate settings and print the effective ones, secrets masked.

    The environment counts, as it does for serve. Exits with 2 when they are wrong.
    """
    try:
        settings = load(file, os.environ)
    except SettingsError as error:
        if as_json:
            print_json({"ok": False, "problems": _problems(error)})
        else:
            console.problems(error)
        raise typer.Exit(WRONG) from None
    for warning in cross_checks.warnings(settings):
        console.note(f"{key_name(warning.path)} {warning.message}")
    _show(settings, as_json)


@app.command()
def health(
    config: Config = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it can answer reads.")
    ] = False,
    within: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 2.0,
) -> None:
    """Ask the edge on this machine whether it is well: a container's health check.

    The admin address is that of the settings. Exits with 0 or 1, and says one line.
    """
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        console.error(str(error.problems[0]))
        raise typer.Exit(FAILED) from None
    try:
        said = ask(settings, "/ready" if ready else "/health", within)
    except NotWell as error:
        console.error(str(error))
        raise typer.Exit(FAILED) from None
    typer.echo(said)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version, and those of what it stands on."""
    parts = {name: version_of(name) for name in ("falcon", "gevent", "gunicorn")}
    found = {"ds-edge": __version__, "python": platform.python_version()} | parts
    if as_json:
        print_json(found)
    else:
        typer.echo(", ".join(f"{name} {number}" for name, number in found.items()))


app.add_typer(access)
app.add_typer(streams)
app.add_typer(bench, name="bench")


def _show(settings: Settings, as_json: bool) -> None:
    notes = list(_notes(settings))
    if as_json:
        print_json({"ok": True, "settings": as_data(settings), "notes": notes})
        return
    typer.echo(as_text(settings), nl=False)
    for note in notes:
        console.note(note)


def _notes(settings: Settings) -> Iterator[str]:
    """What is right, and will not be so here."""
    wanted = settings.limits.connections
    plan = look(wanted, settings.origin.connections)
    if plan.connections < wanted:
        yield (
            f"limits.connections: {wanted} do not fit into {plan.soft} open files; "
            f"serve would take {max(plan.connections, 0)}. Raise ulimit -n"
        )


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
