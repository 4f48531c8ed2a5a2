"""What the exchange is for: nothing behind it knows what the wire is like."""

import subprocess
import sys

import pytest

from tests.test_floors import MODULES, imported, tree_of

NEUTRAL = (
    "edge.front.exchange",
    "edge.front.problems",
    "edge.front.app.handler",
    "edge.front.app.reads",
    "edge.front.app.pass_through",
)
"""The exchange, and the application behind it."""

WIRE = {"falcon", "gunicorn", "socket", "_socket", "ssl", "h2", "wsgiref"}

FALCON = {"edge.front.app.app", "edge.admin.app"}
"""The adapter, and the operator's own small application."""


def packages(name: str) -> set[str]:
    """What a module imports, by the first word."""
    return {target.partition(".")[0] for target in imported(name, tree_of(name))}


def test_only_the_adapter_imports_falcon() -> None:
    """Another front can be put beside it."""
    found = {
        name
        for name in MODULES
        if name.startswith("edge.") and "falcon" in packages(name)
    }

    assert found == FALCON


@pytest.mark.parametrize("name", NEUTRAL)
def test_the_application_imports_nothing_of_the_wire(name: str) -> None:
    assert packages(name) & WIRE == set()


def test_nothing_of_the_wire_comes_with_the_application() -> None:
    """Not by another module either."""
    code = (
        "import sys, edge.front.app.handler\n"
        "print(*sorted({'falcon', 'gunicorn'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == ""
