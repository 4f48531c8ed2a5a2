"""The command ``purge``: has a running edge confirm streams, or forget them (L27).

It asks the admin address (``POST /purge``), with the operator's token. It ends with 0
once all processes have done it; with 1 if some are late, which it names: the order
stands, and to repeat it tells when they have done it.
"""

from typing import Annotated, Any

import typer

from edge.cli import console
from edge.cli.admin_orders import AdminAddress, end, give
from edge.cli.options import FAILED, WRONG, Config, Json, Text, print_json

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def purge(
    path: Annotated[
        Text, typer.Option(metavar="PATH", help="One path, as clients ask for it.")
    ] = None,
    glob: Annotated[
        Text, typer.Option(metavar="GLOB", help="All paths that it covers: * and **.")
    ] = None,
    tag: Annotated[
        Text, typer.Option(metavar="TAG", help="All streams that have this tag.")
    ] = None,
    hard: Annotated[
        bool,
        typer.Option("--hard", help="Forget them; else the origin confirms them."),
    ] = False,
    admin: AdminAddress = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Have streams confirmed by the origin before the next byte, or forgotten."""
    answer = give("/purge", _order(path, glob, tag, hard), config, admin)
    told = answer.told
    if "processes" not in told:
        end(answer.why if answer.status != 200 else answer.stranger)
    if as_json:
        print_json(told)
    else:
        _tell(told)
    if answer.status != 200:
        if not as_json:
            console.error(f"{told.get('detail')}")
        raise typer.Exit(FAILED)


def _order(
    path: str | None, glob: str | None, tag: str | None, hard: bool
) -> dict[str, str]:
    given = {"path": path, "glob": glob, "tag": tag}
    named = {name: text for name, text in given.items() if text is not None}
    if len(named) != 1:
        end("give exactly one of --path, --glob and --tag", WRONG)
    return {**named, "mode": "hard" if hard else "soft"}


def _tell(told: dict[str, Any]) -> None:
    done = "forgotten" if told.get("mode") == "hard" else "softened"
    counts = f"{told.get('matched')} matched, {told.get(done)} {done}"
    names: dict[str, Any] = told["processes"]
    console.note(f"purged: {counts}, in {', '.join(sorted(names)) or 'no process'}")
    if told.get("disk") == "deleting":
        console.note("the disk goes on deleting; repeat this to see when it is done")
