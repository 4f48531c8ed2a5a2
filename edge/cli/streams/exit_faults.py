"""What can go wrong for a command, and the exit code for it.

Foreign exceptions become a Fault where they arise: in ``session``, ``source`` and
``output``. ``report`` prints its sentence and returns its exit code.
``docs/command-line.md`` describes the exit codes; a test compares.
"""

import enum


class Exit(enum.IntEnum):
    """The exit codes of a command."""

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
    """What became of a request that failed: this decides whether it is sent again."""

    FINAL = "final"
    """The server refused it; the same request would be refused again."""
    NOT_DONE = "not done"
    """The server did nothing with it yet: safe to send again."""
    UNKNOWN = "unknown"
    """It may have been done or not: only an idempotent request is sent again."""


class Fault(Exception):
    """One thing that went wrong: a sentence, an exit code, the request's outcome.

    ``status`` is the server's; None: it never answered. ``retry_after`` is how many
    seconds it asked to wait.
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
    """The reader of our standard output has gone (a closed pipe)."""


def wrong(option: str, message: str) -> Fault:
    """A fault of the command line itself."""
    return Fault(Exit.WRONG, f"{option}: {message}")


def lost(message: str) -> Fault:
    """The connection failed; the request may have been done or not."""
    return Fault(Exit.UNREACHABLE, message, known=RequestOutcome.UNKNOWN)
