"""Asks a running edge, or gives it an order, at its admin address, with the operator's
token.

Called by those who know the pages: ``edge.cli.purge``, ``edge.cli.access.revoking``,
``edge.cli.reload_order`` and ``edge.cli.config``.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from edge.cli import console
from edge.cli.options import FAILED, WRONG, admin_or_exit
from edge.settings.addresses import ListenAddress, parse_listen
from edge.settings.schema import AdminSettings

AdminAddress = Annotated[
    str | None, typer.Option("--admin", metavar="ADDRESS", help="Its admin.listen.")
]

SECONDS = 15.0
"""How long the edge may take to answer."""

MAX_ANSWER = 1024 * 1024


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


class AdminDesk:
    """Where a running edge is asked."""

    def __init__(self, address: ListenAddress, admin: AdminSettings) -> None:
        self.address = address
        self._admin = admin

    @classmethod
    def found(cls, config: Path | None, admin: str | None) -> "AdminDesk":
        """As the settings say; ``admin`` is where the edge listens, if not where they
        do. Exits with 2 for wrong ones."""
        settings = admin_or_exit(config).admin
        return cls(settings.listen if admin is None else _address(admin), settings)

    def ask(self, page: str) -> AdminAnswer:
        """What a page says. Raises OSError, HTTPException."""
        status, told = _ask(page, self.address, self._admin, None)
        return AdminAnswer(str(self.address), status, told)

    def ask_or_exit(self, page: str) -> AdminAnswer:
        """What a page says. Exits with 1 if nobody answers."""
        return self._or_exit(page, None)

    def give(self, page: str, wanted: dict[str, str]) -> AdminAnswer:
        """Give an order. Exits with 1 if nobody answers."""
        return self._or_exit(page, wanted)

    def _or_exit(self, page: str, wanted: dict[str, str] | None) -> AdminAnswer:
        try:
            status, told = _ask(page, self.address, self._admin, wanted)
        except (OSError, http.client.HTTPException) as error:
            end(f"the edge at {self.address} cannot be reached: {error}")
        return AdminAnswer(str(self.address), status, told)


def give(
    page: str, wanted: dict[str, str], config: Path | None, admin: str | None
) -> AdminAnswer:
    """Give the order. Exits with 1 if nobody answers, with 2 for wrong settings.

    ``admin`` is where the edge listens, if not where the settings say.
    """
    return AdminDesk.found(config, admin).give(page, wanted)


def end(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a sentence."""
    console.error(message)
    raise typer.Exit(code)


def _ask(
    page: str,
    address: ListenAddress,
    admin: AdminSettings,
    wanted: dict[str, str] | None,
) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer to an order, or without one to a question.
    Raises OSError, HTTPException."""
    fields = {} if wanted is None else {"Content-Type": "application/json"}
    if admin.plain_token is not None:
        fields["Authorization"] = f"Bearer {admin.plain_token}"
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = _connected(address)
    try:
        if wanted is None:
            connection.request("GET", page, headers=fields)
        else:
            connection.request("POST", page, json.dumps(wanted).encode(), fields)
        answer = connection.getresponse()
        octets = answer.read(MAX_ANSWER)
    finally:
        connection.close()
    try:
        told = json.loads(octets)
    except (ValueError, RecursionError):
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
