"""``make lock``: pin every dependency anew, without a registry's address.

``requirements/*.lock`` hold exact versions and the digests of all their files, for
every platform, so one lock serves them all; uv resolves them (from a virtualenv that
is thrown away). ``tests/node/package-lock.json`` holds the same for npm. Which
versions may be chosen is said in ``pyproject.toml`` and ``tests/node/package.json``.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support import node

ROOT = node.ROOT
UV = "uv==0.13.9"
COMPILE = [
    *("pip", "compile", "--quiet", "--upgrade", "--universal"),
    *("--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate"),
]
RUN, DEV = "requirements/run.lock", "requirements/dev.lock"
OTEL = "requirements/otel.lock"
LOCKS = {
    RUN: ["pyproject.toml"],
    "requirements/build.lock": ["--group", "build"],
    DEV: ["pyproject.toml", "--group", "dev", "-c", RUN],
    OTEL: ["pyproject.toml", "--extra", "otel", "-c", DEV],
    "requirements/node.lock": ["--group", "node"],
}

ADDRESSES = ("resolved", "funding")
"""Fields of npm's lock that name hosts, and that ``npm ci`` does not need."""


def main() -> None:
    lock_python()
    lock_npm(node.ensure())


def lock_python() -> None:
    with tempfile.TemporaryDirectory(prefix="uv-") as folder:
        _run(sys.executable, "-m", "venv", folder)
        _run(f"{folder}/bin/python", "-m", "pip", "install", "--quiet", UV)
        for lock, sources in LOCKS.items():
            _run(f"{folder}/bin/uv", *COMPILE, *sources, "-o", lock)


def lock_npm(found: node.Node) -> None:
    """In an empty folder: npm forgets digests of what it finds installed."""
    with tempfile.TemporaryDirectory(prefix="npm-") as folder:
        for name in ("package.json", ".npmrc"):
            shutil.copy(node.FOLDER / name, folder)
        command = [*found.npm, "install", "--package-lock-only"]
        subprocess.run(command, cwd=folder, env=found.environment(), check=True)
        lock = json.loads(Path(folder, node.LOCK.name).read_text())
    node.LOCK.write_text(json.dumps(without_addresses(lock), indent=2) + "\n")


def without_addresses(lock: dict[str, Any]) -> dict[str, Any]:
    """npm's lock without the fields that name a host."""
    packages = {
        path: {key: value for key, value in package.items() if key not in ADDRESSES}
        for path, package in lock["packages"].items()
    }
    return {**lock, "packages": packages}


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
