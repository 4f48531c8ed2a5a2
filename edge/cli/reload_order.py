"""The command ``reload``: has a running edge read its settings again, and tells what
became of it.

It orders at the admin address (``POST /reload``) and looks (``GET /reloads``) until the
result stands. It ends with 0 if processes with the new settings serve, with 1 if the
edge goes on with the old ones, or nobody can say; with 2 if what the file says of the
admin address is wrong: then nothing was asked.
"""

import http.client
import time
from typing import Annotated, Any, NoReturn

import typer

from edge.cli import console
from edge.cli.admin_orders import AdminAddress, AdminAnswer, AdminDesk, end
from edge.cli.options import FAILED, Config, Json, print_json
from edge.cli.status import clean
from edge.core.reload_history import ReloadResult

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

LOOK_SECONDS = 0.2
"""Between two looks."""

GONE_SECONDS = 5.0
"""So long nobody may answer, until the edge is taken for ended."""


@app.command()
def reload(
    admin: AdminAddress = None,
    config: Config = None,
    within: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the result.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Have the running edge read its settings again, and tell the result.

    The file, the environment and the flags are those with which it was started.
    """
    desk = AdminDesk.found(config, admin)
    answer = desk.give("/reload", {})
    told = answer.told
    number, started = told.get("number"), told.get("started")
    if answer.status != 200 or not isinstance(number, int):
        _not_ordered(answer)
    result = _awaited(desk, number, started, within)
    if as_json:
        print_json(result)
    else:
        _tell(result)
    if result.get("result") != ReloadResult.ACCEPTED.value:
        raise typer.Exit(FAILED)


def _not_ordered(answer: AdminAnswer) -> NoReturn:
    if answer.status == 404:
        end(
            f"what answers at {answer.address} takes no such order: an edge of an "
            "older version reloads by HUP to its master, and tells the result in its "
            "log alone"
        )
    end(clean(answer.why) if answer.status != 200 else answer.stranger)


def _awaited(
    desk: AdminDesk, number: int, started: object, within: float
) -> dict[str, Any]:
    """The reload of this number, once it has ended. Exits with 1 if it does not."""
    ends = time.monotonic() + within
    heard = time.monotonic()
    while (now := time.monotonic()) < ends:
        try:
            told = desk.ask("/reloads").told
        except (OSError, http.client.HTTPException):
            # Whoever answered is replaced; its successor does, in a moment.
            if now >= heard + GONE_SECONDS:
                end(f"reload {number}: the edge at {desk.address} answers no more")
        else:
            heard = now
            if told.get("started", started) != started:
                end(f"reload {number}: the edge was started anew meanwhile")
            if (found := _ended(told, number)) is not None:
                return found
        time.sleep(LOOK_SECONDS)
    end(f"reload {number}: no result in {within:g} s; GET /reloads will tell it")


def _ended(told: dict[str, Any], number: int) -> dict[str, Any] | None:
    """The reload of this number in the answer, if it has ended."""
    reloads = told.get("reloads")
    for one in reloads if isinstance(reloads, list) else ():
        if isinstance(one, dict) and one.get("number") == number and one.get("ended"):
            return one
    return None


def _tell(result: dict[str, Any]) -> None:
    number, word = result.get("number"), clean(result.get("result"))
    for problem in result.get("problems", ()):
        console.error(clean(problem, 1000))
    if word == ReloadResult.ACCEPTED.value:
        changed = ", ".join(clean(key) for key in result.get("changed", ()))
        what = changed or "no setting differs"
        console.note(f"reload {number} accepted: {what}; new processes serve")
    elif word == ReloadResult.FAILED.value:
        why = "new processes did not start, and the old ones go on"
        console.error(f"reload {number} failed: {why}")
    else:
        console.error(f"reload {number} {word}: the edge goes on as it was")
