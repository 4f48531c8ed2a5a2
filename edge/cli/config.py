"""``ds-edge config diff``: what would change if these settings took the place of those.

Called by ``edge.cli.app``.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.cli import console
from edge.cli.admin_orders import AdminAddress, AdminDesk, end
from edge.cli.options import WRONG, Json, print_json
from edge.cli.status import clean
from edge.settings import CONFIG_VARIABLE, Settings, SettingsError, load
from edge.settings.difference import (
    Difference,
    ShownDifferences,
    differences,
    shown_differences,
)
from edge.settings.dump import for_people

app = typer.Typer(
    name="config",
    no_args_is_help=True,
    help="Settings, beside check and schema.",
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)


@app.callback()
def config() -> None:
    """Settings, beside check and schema."""


@app.command()
def diff(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="The settings in force, if not the edge's; those to come.",
        ),
    ] = None,
    running: Annotated[
        bool,
        typer.Option("--running", help="Compare with what the running edge goes by."),
    ] = False,
    admin: AdminAddress = None,
    as_json: Json = False,
) -> None:
    """Tell what differs between two files, and what of it needs a restart.

    With one file, or with --running, the running edge's settings are compared with it.
    The environment counts for files, as it does for serve. Secrets are never shown.
    """
    given = files or []
    if len(given) == 2 and not running and admin is None:
        told = ShownDifferences(differences(*map(_read, given)), [])
    elif len(given) > 1 or not (given or running):
        end("give two files, or one, or --running", WRONG)
    else:
        named = os.environ.get(CONFIG_VARIABLE)
        file = given[0] if given else Path(named) if named else None
        new = for_people(_read(file))
        told = shown_differences(_of_running_edge(file, admin), new)
    found, unknown = told
    if as_json:
        shown = [_as_data(one) for one in found]
        print_json({"differences": shown, "unknown": unknown})
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        console.note("no setting differs")
    if unknown:
        console.note(f"secrets, which cannot be compared: {', '.join(unknown)}")


def _of_running_edge(file: Path | None, admin: str | None) -> dict[str, Any]:
    """What the edge that runs shows of its settings. Exits with 1 if it does not."""
    answer = AdminDesk.found(file, admin).ask_or_exit("/settings")
    if answer.status == 404:
        end(f"what answers at {answer.address} shows no settings: an older version?")
    settings = answer.told.get("settings")
    if answer.status != 200 or not isinstance(settings, dict):
        end(clean(answer.why) if answer.status != 200 else answer.stranger)
    return settings


def _read(file: Path | None) -> Settings:
    try:
        return load(file, os.environ)
    except SettingsError as error:
        console.problems(error)
        raise typer.Exit(WRONG) from None


def _as_data(one: Difference) -> dict[str, Any]:
    return {
        "key": one.key,
        "old": one.old,
        "new": one.new,
        "secret": one.secret,
        "restart": one.restart,
    }


def _line(one: Difference) -> str:
    words = (
        "changed (secret)" if one.secret else f"{_text(one.old)} -> {_text(one.new)}"
    )
    return f"{_text(one.key)}: {words}{'  (needs a restart)' if one.restart else ''}"


def _text(value: object) -> str:
    if value is None:
        return "not set"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else "?" for c in shown)
