"""Where orders to revoke are kept: decided once, before the first worker is forked.

Without ways there is nothing to keep. A file that is named in the settings must be
readable and writable, or the edge does not start. Without one, orders are kept in
``var/revocations`` below the working directory. Where that cannot be written, as in a
container with a read-only root, they are kept in a temporary folder: new workers find
them there, but they end with the edge. A file that is damaged is never passed over.

Called by ``start``, and by ``reload``, which finds what the start decided.
"""

import atexit
import os
import shutil
import tempfile

from edge.access.revocation_file import TEMPORARY, RevocationFault, RevocationFile
from edge.cli import console
from edge.settings.schema import Settings

DEFAULT = "var/revocations"
"""Relative to the working directory, as the embedded origin's folder is."""


class RevocationPlace:
    """The place of one edge."""

    def __init__(self) -> None:
        self._path: str | None = None

    def refusal(self, settings: Settings) -> str | None:
        """Why the edge must not start, or reload, with these settings; None: it may.

        Decides where the file is, once it is needed.
        """
        if not any(route.ways for route in settings.route_table):
            return None
        named = settings.access.revocations
        path = self._path or os.path.abspath(named or DEFAULT)
        try:
            RevocationFile(path).try_out()
        except RevocationFault as fault:
            return f"access.revocations: {fault}"
        except OSError as error:
            why = f"cannot be written: {error.strerror or error}"
            if named is not None or self._path is not None:
                return f"access.revocations: {path} {why}"
            self._path = ""
            return None
        self._path = path
        return None

    def settled(self, settings: Settings) -> Settings:
        """The settings, with the file that is really used. Call ``refusal`` before."""
        if self._path == "":
            self._path = _temporary()
            console.note(
                f"access.revocations: {os.path.abspath(DEFAULT)} cannot be written: "
                "what is revoked is remembered only as long as this edge runs"
            )
        access = settings.access.model_copy(update={"revocations": self._path})
        return settings.model_copy(update={"access": access})


def _temporary() -> str:
    """A file in a new folder, which ends with this process and not with its workers."""
    folder, owner = tempfile.mkdtemp(prefix="ds-edge-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return os.path.join(folder, f"revocations{TEMPORARY}")
