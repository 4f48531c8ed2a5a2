"""A disk of its own, which can be filled, or made read-only while it is used."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """One of ``size`` bytes, mounted below ``folder``; the test is skipped where none
    can be mounted."""
    image, place = folder / "image", folder / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    made = subprocess.run(["mkfs.ext4", "-q", "-m0", str(image)], capture_output=True)
    if made.returncode:
        pytest.skip("no mkfs.ext4")
    command = ["mount", "-o", "loop", str(image), str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def make_read_only(place: Path) -> None:
    """At once, whatever is open there: what the kernel does after an error."""
    command = ["mount", "-o", "remount,abort", str(place)]
    subprocess.run(command, check=True, capture_output=True)
