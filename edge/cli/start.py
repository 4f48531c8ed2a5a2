"""``ds-edge serve`` behind the patch: the checks before the start, the start.

Imported by ``edge.cli.app`` once the command is known to serve and everything
is patched (``edge.cli.serve``). Hands the settings to ``edge.wiring``.
"""

import os

from edge.cli import console, preflight
from edge.settings import Settings
from edge.wiring import serve

# Set for a master that gunicorn re-executes (USR2) or that systemd starts: the
# sockets are inherited, so trying to bind them again would fail.
INHERITED = ("GUNICORN_FD", "LISTEN_FDS")


def start(settings: Settings) -> int:
    """Serve until told to stop; returns the exit code."""
    if not _addresses_free(settings):
        return 1
    plan = preflight.raise_files(settings)
    if plan.connections < 1:
        console.error(
            f"{plan.soft} open files leave no room for clients beside "
            f"origin.connections ({settings.origin.connections}); raise ulimit -n"
        )
        return 1
    _tell(settings, plan)
    serve(preflight.with_connections(settings, plan.connections))
    return 0


def _addresses_free(settings: Settings) -> bool:
    if any(os.environ.get(name) for name in INHERITED):
        return True
    wanted = {"listen": settings.listen, "admin.listen": settings.admin.listen}
    refused = {key: preflight.refusal(address) for key, address in wanted.items()}
    for key, why in refused.items():
        if why is not None:
            console.error(f"{key}: {wanted[key]} {why}")
    return not any(refused.values())


def _tell(settings: Settings, plan: preflight.FilePlan) -> None:
    asked = settings.limits.connections
    capped = "" if plan.connections == asked else f" (of {asked} asked for)"
    console.note(
        f"listening at {settings.listen}, operators at {settings.admin.listen}; "
        f"open files: {plan.soft}, limits.connections: {plan.connections}{capped}"
    )
