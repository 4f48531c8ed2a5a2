"""A ``docker`` for the commands of ``docs/containers.md``, whatever engine is here.

Docker if its engine answers, else Podman with a script called ``docker`` before it on
PATH. Podman gets what this kind of machine needs and no document should tell: limits
that are not above our own, an OCI runtime for both versions of cgroups, images in the
format that keeps health checks, no folder writable that Docker would not make so.
"""

import os
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.processes import ROOT

PACKAGES = (
    *("podman", "runc", "buildah", "netavark", "aardvark-dns", "iptables"),
    *("catatonit", "debootstrap", "ca-certificates"),
)
DOCKERFILE = ROOT / "Dockerfile"
SUITE = "trixie"
"""Debian with the Python that the Dockerfile names."""

_SHIM = """#!/bin/sh
command=$1
shift
case "$command" in
build)
    exec podman build --format docker --pull=never \\
        --network host --isolation chroot "$@" ;;
run)
    for one in "$@"; do
        [ "$one" = --read-only ] && set -- --read-only-tmpfs=false "$@"
    done ;;
esac
exec podman --runtime runc "$command" "$@"
"""


class NoEngine(Exception):
    """There is no engine here, and none could be installed; the text says why."""


def environment(folder: Path) -> dict[str, str]:
    """Variables with which ``docker`` works; ``folder`` keeps what that takes."""
    if _answers("docker", "info"):
        return dict(os.environ)
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine answers; as root this would use Podman")
    if any(shutil.which(name) is None for name in ("podman", "runc", "debootstrap")):
        _install()
    programs = folder / "bin"
    programs.mkdir()
    shim = programs / "docker"
    shim.write_text(_SHIM)
    shim.chmod(0o755)
    limits = folder / "containers.conf"
    limits.write_text(f"[containers]\ndefault_ulimits = [{', '.join(_limits())}]\n")
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CONTAINERS_CONF": str(limits)}


def base_image() -> str:
    """The image that the Dockerfile begins with."""
    [name] = set(re.findall(r"^FROM (\S+:\S+)", DOCKERFILE.read_text(), re.MULTILINE))
    return str(name)


def provide_base(environ: dict[str, str]) -> str:
    """Have the base image here: held, pulled, or made. Returns which of them."""
    name = base_image()
    if _answers("docker", "image", "inspect", name, env=environ):
        return "held"
    if _answers("docker", "pull", f"docker.io/library/{name}", env=environ):
        return "pulled"
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        _make_root(Path(folder))
        packed = subprocess.Popen(
            ["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE
        )
        command = ["docker", "import", "-", f"docker.io/library/{name}"]
        subprocess.run(command, stdin=packed.stdout, env=environ, check=True)
        if packed.wait():
            raise NoEngine("tar could not pack the base image")
    return "made"


def _make_root(folder: Path) -> None:
    """A Debian with Python and pip, and what pip needs of this machine to reach an
    index: the certificates that are trusted here."""
    with_python = "--include=python3,python3-venv,python3-pip,ca-certificates"
    command = ["debootstrap", "--variant=minbase", with_python, SUITE, str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    (folder / "usr/bin/python").symlink_to("python3")
    for marker in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    trusted = "etc/ssl/certs/ca-certificates.crt"
    if Path("/", trusted).exists():
        shutil.copy(Path("/", trusted), folder / trusted)
    (folder / "etc/pip.conf").write_text(f"[global]\ncert = /{trusted}\n")


def _limits() -> list[str]:
    """Podman asks for a million files and processes; we may not have so many."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = int(Path("/proc/sys/kernel/pid_max").read_text())
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if allowed != resource.RLIM_INFINITY:
        processes = min(processes, allowed)
    return [f'"nofile={files}:{files}"', f'"nproc={processes}:{processes}"']


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise NoEngine(f"install {', '.join(PACKAGES)}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update"], install):
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)


def _answers(*command: str, env: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=300)
    except OSError:
        return False
    return done.returncode == 0
