"""Numbers of processes, as they are written: a whole number, or ``auto``.

As in ``fields``: each type takes text and its own Python value, and an error is one
sentence. Used by ``schema`` alone.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import PlainValidator

from edge.settings import fragments
from edge.settings.fragments import told

AUTO: Final = "auto"
"""As the machine suggests."""

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def _processes(least: int) -> PlainValidator:
    most = fragments.MAX_PROCESSES
    hint = f"auto or a whole number from {least} to {most}"

    def validate(given: object) -> int | str:
        if given == AUTO:
            return AUTO
        count = given
        if isinstance(given, str) and _WHOLE.fullmatch(given):
            count = int(given)
        if type(count) is not int or not least <= count <= most:
            shown = repr(given)[:60] if isinstance(given, str) else "something else"
            raise ValueError(f"expected {hint}; got {shown}")
        return count

    return PlainValidator(validate)


Workers = Annotated[int | Literal["auto"], _processes(1), told(fragments.processes(1))]
Keepers = Annotated[int | Literal["auto"], _processes(0), told(fragments.processes(0))]
