"""What can go wrong for a command, and the exit code that tells it.

Foreign exceptions become a Fault where they arise: in ``client``, ``source`` and
``output``. ``conclusion`` makes one line and an exit code of it. Exit codes are
described in ``docs/command-line.md``; a test holds the two together.
"""

import enum


class Exit(enum.IntEnum):
    """What the exit code of a command tells."""

    OK = 0
    FAILED = 1
    WRONG = 2
    NOT_FOUND = 3
    GONE = 4
    CONFLICT = 5
    REFUSED = 6
    UNREACHABLE = 7
    INTERRUPTED = 130
    NO_READER = 141


class RequestOutcome(enum.Enum):
    """What is known of a request that failed: whether it may be sent again."""

    FINAL = "final"
    """The server judged; the same again brings the same."""
    NOT_DONE = "not done"
    """The server refused before it did anything: safe to send again."""
    UNKNOWN = "unknown"
    """It may have been done or not: only what is idempotent is sent again."""


class Fault(Exception):
    """One thing that went wrong: a sentence, an exit code, and what is known.

    ``status`` is the server's, None when it never answered; ``retry_after`` the
    seconds that it asked to wait.
    """

    def __init__(
        self,
        exit_code: Exit,
        message: str,
        *,
        known: RequestOutcome = RequestOutcome.FINAL,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.known = known
        self.status = status
        self.retry_after = retry_after


class NoReader(Exception):
    """Whoever read our standard output has gone."""


def wrong(option: str, message: str) -> Fault:
    """A fault of the command line itself."""
    return Fault(Exit.WRONG, f"{option}: {message}")


def lost(message: str) -> Fault:
    """The connection failed; nobody knows how far the request came."""
    return Fault(Exit.UNREACHABLE, message, known=RequestOutcome.UNKNOWN)
