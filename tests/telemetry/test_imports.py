"""OpenTelemetry is known at one place, and imported only where traces are made."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WIRED = """
import sys
import edge.wiring
sys.exit(sum(name.split(".")[0] == "opentelemetry" for name in sys.modules))
"""


def test_one_module_names_it() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("edge", "origin_adapter")
        for path in (ROOT / package).rglob("*.py")
        if "import opentelemetry" in (text := path.read_text(encoding="utf-8"))
        or "from opentelemetry" in text
    ]
    assert found == ["edge/telemetry/otlp.py"]


def test_an_edge_that_makes_no_traces_imports_nothing_of_it() -> None:
    assert subprocess.run([sys.executable, "-c", WIRED], cwd=ROOT).returncode == 0
