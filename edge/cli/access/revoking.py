"""Gives an order to revoke to a running edge. Called by ``app``.

It asks the admin address (``POST /access/revoke``), with the operator's token where the
settings have one. A token that is revoked comes from a file or from standard input, and
never from the command line, which other users of the machine can see.
"""

import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from edge.cli import console
from edge.cli.options import FAILED, WRONG, settings_or_exit
from edge.settings.addresses import ListenAddress, parse_listen
from edge.settings.schema import AdminSettings

SECONDS = 15.0
"""How long the edge may take to answer."""

MAX_ANSWER = 64 * 1024


def order(
    subject: str | None, jti: str | None, token_file: Path | None, issuer: str | None
) -> dict[str, str]:
    """The order as the page takes it. Exits with 2 unless it names one thing."""
    given = {"subject": subject, "jti": jti, "token": token_file}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        _end("give exactly one of --subject, --jti and --token-file", WRONG)
    if token_file is None:
        [text] = (value for value in (subject, jti) if value is not None)
        beside = {} if issuer is None else {"issuer": issuer}
        return {named[0]: text, **beside}
    if issuer is not None:
        _end("--issuer is for --subject and --jti: a token has its own", WRONG)
    return {"token": _token(token_file)}


def revoke(
    wanted: dict[str, str], config: Path | None, admin: str | None
) -> dict[str, Any]:
    """Give the order; what the edge tells of it. Exits with 1 if it was refused."""
    settings = settings_or_exit(config, []).admin
    address = settings.listen if admin is None else _address(admin)
    try:
        status, told = _ask(address, settings, wanted)
    except (OSError, http.client.HTTPException) as error:
        _end(f"the edge at {address} cannot be reached: {error}")
    if status != 200:
        _end(f"refused: {told.get('detail') or told.get('title') or status}")
    if "grants_ended" not in told:
        _end(f"what answers at {address} is no edge")
    return told


def _ask(
    address: ListenAddress, admin: AdminSettings, wanted: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer. Raises OSError, HTTPException."""
    fields = {"Content-Type": "application/json"}
    if admin.plain_token is not None:
        fields["Authorization"] = f"Bearer {admin.plain_token}"
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = _connected(address)
    try:
        body = json.dumps(wanted).encode()
        connection.request("POST", "/access/revoke", body, fields)
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
        _end(f"--admin: {error}", WRONG)


def _token(file: Path) -> str:
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return octets.decode("ascii").strip()
    except OSError as error:
        _end(f"{file}: {error.strerror}")
    except UnicodeDecodeError:
        _end(f"{file}: holds no token")


def _end(message: str, code: int = FAILED) -> NoReturn:
    console.error(message)
    raise typer.Exit(code)
