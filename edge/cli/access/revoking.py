"""Gives an order to revoke to a running edge. Called by ``app``.

It asks the admin address (``POST /access/revoke``), with the operator's token where the
settings have one. A token that is revoked comes from a file or from standard input, and
never from the command line, which other users of the machine can see.
"""

import sys
from pathlib import Path
from typing import Any

from edge.cli.admin_orders import end, give
from edge.cli.options import WRONG


def order(
    subject: str | None, jti: str | None, token_file: Path | None, issuer: str | None
) -> dict[str, str]:
    """The order as the page takes it. Exits with 2 unless it names one thing."""
    given = {"subject": subject, "jti": jti, "token": token_file}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        end("give exactly one of --subject, --jti and --token-file", WRONG)
    if token_file is None:
        [text] = (value for value in (subject, jti) if value is not None)
        beside = {} if issuer is None else {"issuer": issuer}
        return {named[0]: text, **beside}
    if issuer is not None:
        end("--issuer is for --subject and --jti: a token has its own", WRONG)
    return {"token": _token(token_file)}


def revoke(
    wanted: dict[str, str], config: Path | None, admin: str | None
) -> dict[str, Any]:
    """Give the order; what the edge tells of it. Exits with 1 if it was refused."""
    answer = give("/access/revoke", wanted, config, admin)
    if answer.status != 200:
        end(answer.why)
    if "grants_ended" not in answer.told:
        end(answer.stranger)
    return answer.told


def _token(file: Path) -> str:
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return octets.decode("ascii").strip()
    except OSError as error:
        end(f"{file}: {error.strerror}")
    except UnicodeDecodeError:
        end(f"{file}: holds no token")
