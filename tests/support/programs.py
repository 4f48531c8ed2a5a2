"""Programs of the system that tests drive: found, or installed, never skipped.

On Debian and Ubuntu, as root, a program is installed by the name of its package;
elsewhere the machine's owner is told what to install.
"""

import os
import shutil
import subprocess

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
"""Where programs are looked for; servers lie beside the administrator's tools."""


class ProgramMissing(Exception):
    """A program is not there, and could not be installed; the text says why."""


def ensure(program: str, package: str) -> str:
    """The path of a program, after installing it where that is possible. Raises
    ProgramMissing."""
    found = shutil.which(program, path=PATH)
    if found is None:
        install(package)
        found = shutil.which(program, path=PATH)
    if found is None:
        raise ProgramMissing(f"{package} was installed, and {program} is not on PATH")
    return found


def install(package: str) -> None:
    """Install a package of the system. Raises ProgramMissing."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ProgramMissing(f"this test drives a real program: install {package}")
    # Another process may install something at the same time.
    apt = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
    wanted = ("install", "--yes", "--no-install-recommends", package)
    for command in ((*apt, "update"), (*apt, *wanted)):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            said = "\n".join(done.stdout.splitlines()[-10:])
            raise ProgramMissing(f"{' '.join(command)} failed:\n{said}")
