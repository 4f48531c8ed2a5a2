"""The board between real processes: no half-made word, nothing missed, no sum back."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("what", "rounds"),
    [("words", 10_000_000), ("news", 10_000), ("sums", 30), ("last", 2_000)],
)
def test_what_one_process_stores_another_one_reads_whole(
    what: str, rounds: int
) -> None:
    """W4. See ``tests/board/storing.py``, which says what is stored and read."""
    command = [sys.executable, "-m", "tests.board.storing", what, str(rounds)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=110
    )

    assert ended.returncode == 0, ended.stderr
