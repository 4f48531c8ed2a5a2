"""Lines of a log as they are promised to be (docs/operating.md, *The log*)."""

import json
import re
from typing import Any

LEVELS = ("debug", "info", "warning", "error")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def lines(text: str) -> list[dict[str, Any]]:
    """Every line of a log in JSON. Fails at the first that is no line of the schema."""
    return [_line(line) for line in text.splitlines()]


def said(text: str) -> str:
    """The messages, a line for each: ``error: listen: ...``."""
    return "".join(f"{line['level']}: {line['message']}\n" for line in lines(text))


def _line(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        raise AssertionError(f"no line of JSON: {text}") from None
    assert isinstance(line, dict), text
    assert list(line)[:4] == ["time", "level", "logger", "message"], text
    assert _TIME.fullmatch(line["time"]), text
    assert line["level"] in LEVELS, text
    assert line["message"], text
    assert all(isinstance(value, str | int | float) for value in line.values()), text
    return line
