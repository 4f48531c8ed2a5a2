"""Gives an order to a running edge, at its admin address, with the operator's token.

Called by ``edge.cli.purge`` and ``edge.cli.access.revoking``, which know the pages.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from edge.cli import console
from edge.cli.options import FAILED, WRONG, settings_or_exit
from edge.settings.addresses import ListenAddress, parse_listen
from edge.settings.schema import AdminSettings

AdminAddress = Annotated[
    str | None, typer.Option("--admin", metavar="ADDRESS", help="Its admin.listen.")
]

SECONDS = 15.0
"""How long the edge may take to answer."""

MAX_ANSWER = 64 * 1024


class AdminAnswer(NamedTuple):
    """What the edge at an address says to an order; {} where it says no object."""

    address: str
    status: int
    told: dict[str, Any]

    @property
    def why(self) -> str:
        """Why it was refused, in a sentence if there is one."""
        said = self.told.get("detail") or self.told.get("title") or self.status
        return f"refused: {said}"

    @property
    def stranger(self) -> str:
        return f"what answers at {self.address} is no edge"


def give(
    page: str, wanted: dict[str, str], config: Path | None, admin: str | None
) -> AdminAnswer:
    """Give the order. Exits with 1 if nobody answers, with 2 for wrong settings.

    ``admin`` is where the edge listens, if not where the settings say.
    """
    settings = settings_or_exit(config, []).admin
    address = settings.listen if admin is None else _address(admin)
    try:
        status, told = _ask(page, address, settings, wanted)
    except (OSError, http.client.HTTPException) as error:
        end(f"the edge at {address} cannot be reached: {error}")
    return AdminAnswer(str(address), status, told)


def end(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a sentence."""
    console.error(message)
    raise typer.Exit(code)


def _ask(
    page: str, address: ListenAddress, admin: AdminSettings, wanted: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer. Raises OSError, HTTPException."""
    fields = {"Content-Type": "application/json"}
    if admin.plain_token is not None:
        fields["Authorization"] = f"Bearer {admin.plain_token}"
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = _connected(address)
    try:
        body = json.dumps(wanted).encode()
        connection.request("POST", page, body, fields)
        answer = connection.getresponse()
        octets = answer.read(MAX_ANSWER)
    finally:
        connection.close()
    try:
        told = json.loads(octets)
    except ValueError:
        told = None
    return answer.status, told if isinstance(told, dict) else {}


def _connected(address: ListenAddress) -> socket.socket:
    if not address.path:
        host = address.host if address.host not in ("", "0.0.0.0", "::") else None
        return socket.create_connection((host or "localhost", address.port), SECONDS)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(SECONDS)
    try:
        made.connect(address.path)
    except OSError:
        made.close()
        raise
    return made


def _address(text: str) -> ListenAddress:
    try:
        return parse_listen(text)
    except ValueError as error:
        end(f"--admin: {error}", WRONG)
