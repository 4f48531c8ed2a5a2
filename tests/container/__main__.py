"""``make container``: the commands of ``docs/containers.md``, and a look inside.

    python -m tests.container

Each block of commands is run by bash as it stands on the page, in an empty folder (the
build in the checkout), with an engine as ``tests.container.engine`` finds it. Then one
container, locked down, is looked into. Ports 8080 and 8081 of this machine must be
free. Prints what it does; ends with 1 at the first thing that is not as it should be.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.container import engine
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "containers.md"
PORTS = (8080, 8081)
URL = "http://127.0.0.1:8080/v1/stream/looked-into"
NAMES = ("service", "origin", "edge", "watched", "locked", "inside")
STOP_WITHIN = 10.0
"""What ``docker stop`` waits before it kills."""


class Wrong(Exception):
    """Something is not as the page or the image promises."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="container-") as name:
        folder = Path(name)
        try:
            environ = engine.environment(folder)
            _ports_are_free()
            print("base image:", engine.provide_base(environ))
            _clear(environ)
            try:
                for number, block in enumerate(blocks(PAGE.read_text())):
                    _run_block(block, ROOT if number == 0 else folder, environ)
                _look_inside(environ)
                _play_the_pod(folder, environ)
            finally:
                _clear(environ)
        except (Wrong, engine.NoEngine) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print("all commands of docs/containers.md work")
    return 0


def blocks(page: str) -> list[str]:
    """The commands of a page, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _run_block(block: str, folder: Path, environ: dict[str, str]) -> None:
    print(f"\n{block}", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        ["timeout", "600", "bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Wrong(f"exit code {done.returncode} of\n{block}\n{done.stdout}")
    print(f"# done in {time.monotonic() - begun:.1f} s")


def _look_inside(environ: dict[str, str]) -> None:
    """User, what can be written, health; and a stop with viewers that read on."""
    locked = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    ports = ("-p", "8080:8080", "-v", "streams:/var/lib/ds-edge")
    _docker(environ, "run", "-d", "--name", "inside", *locked, *ports, "ds-edge")
    waited = _until_healthy(environ)
    print(f"\nhealthy after {waited:.1f} s")
    user = _docker(environ, "exec", "inside", "id", "-u").strip()
    if user == "0":
        raise Wrong("it runs as root")
    for path in ("/tmp", "/etc/ds-edge", "/opt/ds-edge", "/var/tmp", "/run", "/"):
        if _can_write(environ, path):
            raise Wrong(f"{path} can be written")
    for path in ("/dev/shm", "/var/lib/ds-edge"):
        if not _can_write(environ, path):
            raise Wrong(f"{path} cannot be written")
    print(f"user {user}; only /dev/shm and the volume can be written")
    _health_check_of_the_image(environ)
    _stop_with_viewers(environ)


def _stop_with_viewers(environ: dict[str, str]) -> None:
    text = {"Content-Type": "text/plain"}
    requests.delete(URL, timeout=10)
    requests.put(URL, headers=text, timeout=10).raise_for_status()
    requests.post(URL, headers=text, data="one", timeout=10).raise_for_status()
    viewer = requests.get(f"{URL}?offset=-1&live=sse", stream=True, timeout=STOP_WITHIN)
    lines = viewer.iter_lines()
    while b"one" not in next(lines):
        pass
    begun = time.monotonic()
    _docker(environ, "stop", "inside")
    took = time.monotonic() - begun
    # It raises where the stream was cut and not ended.
    last = [line for line in lines if line][-2:]
    state = json.loads(_docker(environ, "inspect", "inside"))[0]["State"]
    if took >= STOP_WITHIN or state["ExitCode"] != 0:
        raise Wrong(f"the stop took {took:.1f} s, exit code {state['ExitCode']}")
    if not last or not last[0].startswith(b"event: control"):
        raise Wrong(f"the viewer's stream ended with {last}")
    print(f"stopped in {took:.1f} s, exit code 0; the viewer's stream ended whole")


def _play_the_pod(folder: Path, environ: dict[str, str]) -> None:
    """The page's pod, where the engine is Podman: Docker plays none."""
    if not (folder / "bin" / "docker").exists():
        print("Docker plays no pods: the pod was left out")
        return
    pod = folder / "pod.yaml"
    [text] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    pod.write_text(text.replace("image: ds-edge", "image: localhost/ds-edge"))
    try:
        _docker(environ, "play", "kube", str(pod))
        waited = _until_healthy(environ, "ds-edge-ds-edge", "--ready")
        print(f"the pod was ready after {waited:.1f} s")
    finally:
        _docker(environ, "play", "kube", "--down", str(pod))


def _until_healthy(
    environ: dict[str, str], name: str = "inside", *options: str
) -> float:
    begun = time.monotonic()
    command = ["docker", "exec", name, "ds-edge", "health", *options]
    while time.monotonic() < begun + 30:
        if subprocess.run(command, env=environ, capture_output=True).returncode == 0:
            return time.monotonic() - begun
        time.sleep(0.2)
    raise Wrong("never healthy:\n" + _docker(environ, "logs", name))


def _health_check_of_the_image(environ: dict[str, str]) -> None:
    """The engine's own run of it; Podman tells by a command, Docker by its state."""
    image = json.loads(_docker(environ, "inspect", "ds-edge"))[0]
    check = (image.get("Config") or {}).get("Healthcheck") or image.get("Healthcheck")
    if not check or check["Test"] != ["CMD", "ds-edge", "health"]:
        raise Wrong(f"the image's health check is {check}")
    command = ["docker", "healthcheck", "run", "inside"]
    if subprocess.run(command, env=environ, capture_output=True).returncode == 0:
        print("the engine finds it healthy")
        return
    for _ in range(60):
        state = json.loads(_docker(environ, "inspect", "inside"))[0]["State"]
        if state.get("Health", {}).get("Status") == "healthy":
            print("the engine finds it healthy")
            return
        time.sleep(0.5)
    raise Wrong("the engine does not find it healthy")


def _can_write(environ: dict[str, str], folder: str) -> bool:
    probe = ["docker", "exec", "inside", "sh", "-c", f"echo > {folder}/probe"]
    return subprocess.run(probe, env=environ, capture_output=True).returncode == 0


def _docker(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], env=environ, capture_output=True, text=True
    )
    if done.returncode:
        raise Wrong(f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def _clear(environ: dict[str, str]) -> None:
    """Remove what the commands make: an earlier run may have ended in the middle."""
    for command in (
        ("rm", "-f", *NAMES),
        ("network", "rm", "streams"),
        ("volume", "rm", "-f", "streams"),
    ):
        subprocess.run(["docker", *command], env=environ, capture_output=True)


def _ports_are_free() -> None:
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise Wrong(f"port {port} is in use, and the page's commands need it")


if __name__ == "__main__":
    sys.exit(main())
