"""One viewer: a connection, where it stands, and the event that it waits for."""

import enum
import socket

from edge.cli.bench.viewer_reader import Calm, Marks, Place, Reception


class Stage(enum.Enum):
    """How far a viewer has come."""

    WAITING = "for its turn to connect"
    CONNECTING = "has no connection yet"
    CATCHING_UP = "asked for what is there"
    LIVE = "asked for what comes"


class Viewer:
    """Data of one viewer; the crowd moves it on."""

    __slots__ = (
        "been_live",
        "calm",
        "expects",
        "place",
        "reception",
        "socket",
        "stage",
    )

    def __init__(self, marks: Marks, place: Place) -> None:
        self.place = place
        self.expects = 0
        self.been_live = False
        self.stage = Stage.WAITING
        self.socket: socket.socket
        self.renew(marks)

    def renew(self, marks: Marks) -> None:
        """A new connection begins: nothing is half read."""
        self.stage = Stage.WAITING
        self.reception = Reception(marks)
        self.calm: Calm | None = Calm.ANSWERS
