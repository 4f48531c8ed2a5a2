"""What Python and libraries print becomes lines: each in a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import lines

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import edge.cli.serve
import sys, threading, warnings, gevent
from edge.front.log import configure, put_now
from edge.front.log_capture import capture
from edge.front.options import LogOptions
capture()
configure(LogOptions(format="json", level="info", access=0), put_now)
def fail(): raise ValueError("of this\\nand that")
"""


def logged(code: str) -> list[dict[str, Any]]:
    """What a process that does this says on standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", BEGIN + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return lines(done.stderr)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("fail()", "an exception ended this process"),
        ("t = threading.Thread(target=fail); t.start(); t.join()", "an exception "),
        ("gevent.spawn(fail).join()", "an exception ended <Greenlet"),
        ("gevent.get_hub().loop.run_callback(fail); gevent.sleep(0)", "an exception "),
        (
            "class Bad:\n    def __del__(self): fail()\nBad()",
            "an exception was ignored",
        ),
    ],
)
def test_a_traceback_is_a_field_of_one_line(code: str, message: str) -> None:
    [line] = logged(code)

    assert line["level"] == "error"
    assert line["message"].startswith(message)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: of this\nand that")


def test_a_warning_is_one_line() -> None:
    [line] = logged("warnings.warn('it is late')")

    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: it is late" in line["message"]


def test_what_is_printed_is_a_line_for_each_line() -> None:
    """As gunicorn prints why a worker did not start."""
    said = logged("print('one\\n\\ntwo', file=sys.stderr); sys.stderr.write('half')")

    assert [line["message"] for line in said] == ["one", "two"]
    assert {line["logger"] for line in said} == {"edge.printed"}


def test_a_fork_goes_on_like_that() -> None:
    [line] = logged("import os\nif os.fork(): os.wait()\nelse: fail()")

    assert line["message"] == "an exception ended this process"
