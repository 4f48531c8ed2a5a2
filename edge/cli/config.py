"""``ds-edge config diff``: what would change if these settings took the place of those.

Called by ``edge.cli.app``.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.cli import console
from edge.cli.options import WRONG, Json, print_json
from edge.settings import Settings, SettingsError, load
from edge.settings.difference import Difference, differences

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
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The settings in force.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Those to come.")],
    as_json: Json = False,
) -> None:
    """Tell what differs between two files, and what of it needs a restart.

    The environment counts for both, as it does for serve. Secrets are never shown.
    """
    found = differences(_read(old), _read(new))
    if as_json:
        print_json({"differences": [_as_data(one) for one in found]})
        return
    for one in found:
        typer.echo(_line(one))
    if not found:
        console.note("no setting differs")


def _read(file: Path) -> Settings:
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
    return f"{one.key}: {words}{'  (needs a restart)' if one.restart else ''}"


def _text(value: object) -> str:
    if value is None:
        return "not set"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else "?" for c in shown)
