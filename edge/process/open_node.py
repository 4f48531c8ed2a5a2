"""OpenNode: what the master of several processes makes before the first fork.

That is the run folder, the sockets at which keepers answer fronts, and the board. All
processes share them; nothing of it is ever made again. Wiring calls ``open_node``,
``edge.process.gunicorn_app`` runs with it and closes it at the end.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.board.node_board import NodeBoard
from edge.process.run_folder import RunFolder, RunFolderFault
from edge.process.seat import NodeParts

BACKLOG = 4096


class LinkListener:
    """The bound socket of one keeper's place, in the shape in which gunicorn hands
    listeners to workers."""

    FAMILY = socket.AF_UNIX

    def __init__(self, path: str) -> None:
        """Bind it. Raises OSError."""
        self.sock = socket.socket(self.FAMILY, socket.SOCK_STREAM)
        try:
            self.sock.bind(path)
            self.sock.listen(BACKLOG)
        except OSError:
            self.sock.close()
            raise

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()


@dataclass(frozen=True, slots=True)
class OpenNode:
    """A node that is open: ``parts`` go to each process, ``listeners[k]`` to keeper k
    alone."""

    parts: NodeParts
    folder: RunFolder
    listeners: tuple[LinkListener, ...]

    def is_reachable(self) -> bool:
        """Whether the keepers' sockets stand where fronts call them. If somebody has
        removed the run folder they cannot be made again: keepers listen at them."""
        try:
            for path in self.parts.links:
                os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            # Nobody knows.
            return True
        return True

    def close(self) -> None:
        """Called by the master at its end, when no process is left."""
        for listener in self.listeners:
            with suppress(OSError):
                listener.close()
        self.folder.remove()


def open_node(
    fronts: int,
    keepers: int,
    run_folder: str | None,
    environment: Mapping[str, str],
) -> OpenNode:
    """Open a node of so many processes. Raises RunFolderFault."""
    folder = RunFolder.make(run_folder, environment)
    links = tuple(folder.link(number) for number in range(keepers))
    listeners: list[LinkListener] = []
    try:
        for path in links:
            listeners.append(LinkListener(path))
    except OSError as error:
        for listener in listeners:
            listener.close()
        folder.remove()
        why = error.strerror or error
        raise RunFolderFault(f"no socket can be made in {folder.path}: {why}") from None
    board = NodeBoard.create(keepers, fronts)
    parts = NodeParts(board, Path(folder.path), keepers, fronts, links)
    return OpenNode(parts, folder, tuple(listeners))
