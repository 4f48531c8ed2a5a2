"""The commands of ``ds-edge`` and their exit codes.

0: done. 1: it could not start or be done. 2: the settings or the command line are
wrong. Wrong settings are printed one problem to a line, as ``file:line: key: what was
expected``, never as a traceback.
"""

import enum
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any, Never

import typer
from typer.completion import (  # type: ignore[attr-defined]  # has no __all__
    completion_init,
    get_completion_script,
)

from edge import __version__
from edge.admin import shipped
from edge.cli import console, origin, preflight
from edge.cli.access.app import app as access
from edge.cli.admin_client import NotWell
from edge.cli.bench.app import app as bench
from edge.cli.config import app as config_app
from edge.cli.health import ask
from edge.cli.options import (
    FAILED,
    WRONG,
    Config,
    Json,
    Text,
    admin_or_exit,
    flags_of,
    print_json,
    serving_settings,
    setting_option,
)
from edge.cli.purge import app as purge
from edge.cli.reload_order import app as reload
from edge.cli.streams.app import app as streams
from edge.core.stream_snapshot import StreamOrder
from edge.process.cores import cores
from edge.process.memory_bound import memory_bound
from edge.settings import (
    CONFIG_VARIABLE,
    Settings,
    SettingsError,
    cross_checks,
    load,
    load_admin,
    processes,
)
from edge.settings.dump import as_data, as_text
from edge.settings.json_schema import json_schema
from edge.settings.problems import key_name

app = typer.Typer(
    name="ds-edge",
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)
# What a shell asks while somebody types (COMPLETE); typer forgets it where it adds no
# options of its own for that.
completion_init()

COMPLETE = "_DS_EDGE_COMPLETE"
"""The variable in which the scripts of ``completion`` ask for words."""


class Shell(enum.StrEnum):
    """Whose completion there is."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        help="Settings (YAML). Without a file, the defaults.",
    ),
]
app.add_typer(origin.app, name="origin")


def _version_and_end(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ds-edge {__version__}")
        raise typer.Exit


@app.callback()
def ds_edge(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version_and_end,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """An edge for Durable Streams: a crowd of readers costs the origin one."""


Origin = Annotated[
    Text,
    setting_option(
        "origin", "URL", "Where the streams are: embedded, http(s)://... or unix:/path."
    ),
]
Data = Annotated[
    Text, setting_option("data", "FOLDER", "The embedded origin's streams.")
]
Listen = Annotated[
    Text,
    setting_option("listen", "ADDRESS", "For clients: HOST:PORT, :PORT or unix:/path."),
]
Admin = Annotated[
    Text,
    setting_option(
        "admin", "ADDRESS", "For operators: HOST:PORT, :PORT or unix:/path."
    ),
]
Workers = Annotated[
    Text,
    setting_option(
        "workers", "NUMBER|auto", "Worker processes; auto: one for each core, up to 8."
    ),
]
Level = Annotated[
    Text,
    setting_option("log_level", "LEVEL", "The least severe line that is written."),
]


@app.command()
def serve(
    config: Config = None,
    origin: Origin = None,
    data: Data = None,
    listen: Listen = None,
    admin: Admin = None,
    workers: Workers = None,
    log_level: Level = None,
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

    The environment counts, as it does for serve. Exits with 2 when they are
    wrong, with 1 when this machine is too small for them: serve would not start.
    """
    try:
        settings = load(file, os.environ)
    except SettingsError as error:
        if as_json:
            print_json({"ok": False, "problems": _problems(error)})
        else:
            console.problems(error)
        raise typer.Exit(WRONG) from None
    bound = memory_bound()
    here = processes.settled(settings, cores(), bound)
    why = preflight.files_refusal(here, preflight.look_at_files(here))
    if why is not None:
        _refuse(f"serve would not start: {why}", as_json)
    _show(here, settings, bound, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings, by which editors judge and complete.

    What one key means for another only check knows.
    """
    file = shipped.path_of(shipped.SETTINGS)
    commented = "" if file is None else file.read_text("utf-8")
    typer.echo(json.dumps(json_schema(commented), indent=1, ensure_ascii=False))


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
        settings = load_admin(config, os.environ)
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
def status(
    config: Config = None,
    within: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Show the edge on this machine: who follows, what it costs, what failed.

    Exits with 0 if it is ready, no process silent, and neither its origin nor
    what is behind that is away; else with 1.
    """
    from edge.cli.status import document, lines, worries

    try:
        told = document(admin_or_exit(config), "/status", within)
    except NotWell as error:
        console.error(str(error))
        raise typer.Exit(FAILED) from None
    worried = worries(told)
    if as_json:
        print_json(dict(told))
    else:
        typer.echo("\n".join(lines(told)))
    for words in worried:
        console.error(words)
    if worried:
        raise typer.Exit(FAILED)


@app.command()
def top(
    config: Config = None,
    sort: Annotated[
        StreamOrder, typer.Option(help="Which streams come first.")
    ] = StreamOrder.VIEWERS,
    rows: Annotated[
        int,
        typer.Option(
            min=0, max=1000, help="Streams to print where there is no terminal."
        ),
    ] = 20,
    within: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 5.0,
) -> None:
    """Show the edge on this machine live, and its first streams; q ends it."""
    from edge.cli import top as shown

    settings = admin_or_exit(config)
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            shown.watch(settings, sort, within)
        else:
            shown.once(settings, sort, rows, within)
    except NotWell as error:
        console.error(str(error))
        raise typer.Exit(FAILED) from None


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version, and those of what it stands on."""
    parts = {name: version_of(name) for name in ("falcon", "gevent", "gunicorn")}
    found = {"ds-edge": __version__, "python": platform.python_version()} | parts
    if as_json:
        print_json(found)
    else:
        typer.echo(", ".join(f"{name} {number}" for name, number in found.items()))


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that will read it.")],
) -> None:
    """Print a script with which a shell completes commands, options and their values.

    bash: source <(ds-edge completion bash), in ~/.bashrc.
    zsh: source <(ds-edge completion zsh), in ~/.zshrc, below compinit.
    fish: ds-edge completion fish | source, in config.fish.
    """
    typer.echo(
        get_completion_script(
            prog_name="ds-edge", complete_var=COMPLETE, shell=shell.value
        )
    )


app.add_typer(access)
app.add_typer(purge)
app.add_typer(reload)
app.add_typer(streams)
app.add_typer(bench, name="bench")
app.add_typer(config_app, name="config")


def _refuse(why: str, as_json: bool) -> Never:
    """What is wrong is no key of the settings, and so has no place in a file."""
    if as_json:
        wrong = {"source": None, "line": None, "key": None, "message": why}
        print_json({"ok": False, "problems": [wrong]})
    else:
        console.error(why)
    raise typer.Exit(FAILED)


def _show(
    settings: Settings, written: Settings, bound: int | None, as_json: bool
) -> None:
    """``settings`` are settled for this machine, ``written`` are as they were given."""
    notes, limits = list(_notes(settings, written)), list(_limits(settings, bound))
    if as_json:
        told = {"ok": True, "settings": as_data(written), "notes": notes + limits}
        print_json(told)
        return
    typer.echo(as_text(written), nl=False)
    for note in notes:
        console.note(note)
    for limit in limits:
        console.warn(limit)


def _notes(settings: Settings, written: Settings) -> Iterator[str]:
    """What is right, and may not be what was meant, or will not be so here."""
    for warning in cross_checks.warnings(settings):
        yield f"{key_name(warning.path)} {warning.message}"
    counts = processes.counts_of(settings)
    if "auto" in (written.workers, written.keepers) and written.workers != 1:
        yield f"on this machine: {counts.workers} workers, {counts.keepers} keepers"
    if settings.cache.memory != written.cache.memory:
        yield preflight.memory_note(settings)


def _limits(settings: Settings, bound: int | None) -> Iterator[str]:
    """What serve would start with less of, or in danger, and say so."""
    plan = preflight.look_at_files(settings)
    counts = processes.counts_of(settings)
    told = (
        preflight.files_note(settings, plan),
        processes.bound_fault(settings, counts, bound),
    )
    yield from (why for why in told if why is not None)


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
