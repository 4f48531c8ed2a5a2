"""Recipes of the documents, done as they are written.

A page says what to do in sections. Below a section's heading a line that is a name in
code and a colon makes the block after it that file. A block of ``sh`` holds commands,
one a line, in order:

- what ends in ``&`` is a server. The comment behind it is where it listens, and the
  next command waits for that;
- ``npm install``, ``pip install`` and ``apt-get install`` name packages. Tests have
  those of the first two, pinned, and take the third from the system;
- everything else is run by one shell, must succeed, and prints what its comment says.

The ports of the page are replaced by free ones. This knows nothing of what is done.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.support import node, programs
from tests.support.processes import ROOT, Process, free_port, running

PATIENCE = 60.0
"""Seconds for a server to listen, and for the shell to do a command."""

PORTS = (3000, 4437, 4438, 8080, 8081, 8090)
"""Those of the pages."""

_FENCE = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(
    r"(?:^`([\w.-]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"\s+# (.*)$")
_INSTALL = re.compile(r"(npm|pip|apt-get) install (.*)")


class RecipeFault(Exception):
    """A page and what came of it do not agree; the text says where."""


# Reading.


def sections(page: str) -> dict[str, str]:
    """The text below each heading, to the next one, whatever its depth."""
    outside = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), page)
    found: dict[str, str] = {}
    lines, title, start = page.splitlines(keepends=True), "", 0
    for number, line in enumerate(outside.splitlines()):
        if re.match(r"#+ ", line):
            found[title] = "".join(lines[start:number])
            title, start = line.lstrip("# "), number + 1
    found[title] = "".join(lines[start:])
    return found


class Step(NamedTuple):
    """A block of a page: a file, or commands where it names none."""

    file: str
    text: str


def steps(section: str) -> list[Step]:
    """What a section has one do, in order."""
    return [
        Step(name, text)
        for name, language, text in _BLOCK.findall(section)
        if name or language == "sh"
    ]


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a block, each with its comment."""
    found = []
    for line in text.splitlines():
        comment = _COMMENT.search(line)
        command = line[: comment.start()] if comment else line
        found.append((command.strip(), comment[1] if comment else ""))
    return found


# Doing.


@dataclass(slots=True)
class Kitchen:
    """A folder in which recipes are done, and what runs in it."""

    folder: Path
    shell: subprocess.Popen[str]
    processes: ExitStack
    ports: dict[int, int]
    servers: dict[int, Process] = field(default_factory=dict)

    def url(self, port: int) -> str:
        """Where the server of this port of the page really is."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def do(self, section: str) -> None:
        """Write a section's files and run its commands. Raises RecipeFault."""
        for block in steps(section):
            self._take(block)

    def _take(self, block: Step) -> None:
        if block.file:
            folder = Path(self.run("pwd").strip())
            (folder / block.file).write_text(self.as_here(block.text))
            return
        for command, comment in commands(block.text):
            install = _INSTALL.fullmatch(command)
            if install is not None:
                _have(install[1], install[2].split())
            elif command.endswith("&"):
                self._serve(command.removesuffix("&").strip(), comment)
            else:
                self._hold(command, comment, self.run(command))

    def run(self, command: str) -> str:
        """What a command of the shell prints. Raises RecipeFault if it fails."""
        assert self.shell.stdin is not None and self.shell.stdout is not None
        self.shell.stdin.write(f'{self.as_here(command)}\necho "@@$?"\n')
        self.shell.stdin.flush()
        said = []
        for line in self.shell.stdout:
            text, mark, code = line.rpartition("@@")
            if mark:
                said.append(text)
                break
            said.append(line)
        printed = "".join(said)
        if code.strip() != "0":
            raise RecipeFault(f"{command}\nended with {code}{printed}")
        return printed

    def _hold(self, command: str, comment: str, printed: str) -> None:
        if comment not in printed:
            raise RecipeFault(f"{command}\nprinted {printed!r}, and not {comment!r}")

    def _serve(self, command: str, address: str) -> None:
        port = int(address.rpartition(":")[2])
        # The shell gives way to the server, which is then ended by its own id.
        folder = self.run("pwd").strip()
        line = f"cd {shlex.quote(folder)}; exec env {command}"
        words = ["bash", "-c", self.as_here(line)]
        env = _environment(self.folder, self.ports)
        name = f"server at {address}"
        process = self.processes.enter_context(running(name, words, env=env))
        self.servers[port] = process
        _await(process, self.ports[port])

    def as_here(self, text: str) -> str:
        """A text of the page, with the ports that its servers have here."""
        return re.sub(
            rf"(?<![\w.-])(?:{'|'.join(map(str, PORTS))})(?![\w.-]\w)",
            lambda found: str(self.ports[int(found[0])]),
            text,
        )


@contextmanager
def kitchen(folder: Path) -> Iterator[Kitchen]:
    """A shell in this folder; what was started in it ends with the block."""
    free: set[int] = set()
    while len(free) < len(PORTS):
        free.add(free_port())
    ports = dict(zip(PORTS, free, strict=True))
    env = _environment(folder, ports)
    (folder / "node_modules").symlink_to(node.PACKAGES)
    with ExitStack() as processes:
        shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Kitchen(folder, shell, processes, ports)
        finally:
            shell.kill()
            shell.communicate()


def _environment(folder: Path, ports: dict[int, int]) -> dict[str, str]:
    """Ours, with the programs of this repository on PATH and the edge's own addresses,
    which no file of a page has."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")}
    found = node.install()
    path = [str(Path(sys.executable).parent), str(found.binary.parent), programs.PATH]
    return {
        **plain,
        "PATH": os.pathsep.join(path),
        "HOME": str(folder),
        "DS_EDGE_LISTEN": f"127.0.0.1:{ports[8080]}",
        "DS_EDGE_ADMIN__LISTEN": f"127.0.0.1:{ports[8081]}",
    }


def _have(kind: str, names: Sequence[str]) -> None:
    """Raises RecipeFault if tests lack a package that a page has one install."""
    if kind == "apt-get":
        for name in names:
            if not _installed(name):
                programs.install(name)
        return
    if kind == "npm":
        has = (node.FOLDER / "package.json").read_text()
    else:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        has = " ".join(map(str, project["dependency-groups"]["dev"]))
    missing = [name for name in names if name not in has]
    if missing:
        raise RecipeFault(f"{kind} packages that no lock of the tests has: {missing}")


def _installed(package: str) -> bool:
    """Where there is no dpkg, what is missing shows when it is started."""
    if shutil.which("dpkg-query") is None:
        return True
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
    )
    return done.stdout == "installed"


def _await(process: Process, port: int) -> None:
    """Return when somebody listens. Raises RecipeFault."""
    for _ in range(int(PATIENCE / 0.05)):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.ended(within=0.05):
            raise RecipeFault(f"{process.name} ended\n{process.last_lines()}")
    raise RecipeFault(f"{process.name} does not listen\n{process.last_lines()}")
