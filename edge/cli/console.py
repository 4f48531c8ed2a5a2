"""What ``ds-edge`` says to a person, on stderr.

Coloured on a terminal, plain text elsewhere. Lines are never wrapped: they can be
searched and clicked.
"""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:  # commands that need no settings do not load them
    from edge.settings import SettingsError


def error(message: str) -> None:
    """One thing that went wrong."""
    _say("error", "bold red", message)


def note(message: str) -> None:
    """One thing worth knowing."""
    _say("ds-edge", "bold", message)


def plain(text: str) -> None:
    """Lines to read or to copy, as they are."""
    Console(stderr=True, soft_wrap=True).print(Text(text), highlight=False)


def problems(wrong: "SettingsError") -> None:
    """Every problem of the settings, one to a line."""
    for problem in wrong.problems:
        error(str(problem))


def _say(word: str, style: str, message: str) -> None:
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble((f"{word}:", style), " ", message), highlight=False)
