"""Starting: on every interface, on a root that cannot be written, with a dead log.

Some need a machine of their own. They run in namespaces (``unshare``), where the client
is, too: what is there told is one document of JSON.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT, ds_edge, embedded_origin, free_port
from tests.support.talk import ask

STREAM = "/v1/stream/a"
WITHIN = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left some seconds after the grace is killed; a busy machine is slow."""
    monkeypatch.setenv("DS_EDGE_SHUTDOWN__GRACE", "30s")


ASK = """
import fcntl, json, os, socket, struct, subprocess, sys, tempfile, urllib.request

def loopback(ipv4=True):
    # Brought up, it gets its addresses by itself (netdevice(7)).
    with socket.socket(socket.AF_INET6) as any_socket:
        up = struct.pack("16sh14x", b"lo", 1)
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    if not ipv4:
        with socket.socket(socket.AF_INET) as any_socket:
            none = struct.pack("16sH14x", b"lo", socket.AF_INET)
            fcntl.ioctl(any_socket, 0x8916, none)  # SIOCSIFADDR

def kernel(name, text):
    with open(f"/proc/sys/net/ipv6/{name}", "w") as file:
        file.write(text)

def serve(*words):
    command = [sys.executable, "-m", "edge.cli", "serve", *words]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = []
    for line in child.stderr:
        said.append(json.loads(line)["message"])
        if said[-1].startswith("listening at "):
            break
    return child, said

def status(url, method="GET", **fields):
    request = urllib.request.Request(url, b"" if method == "PUT" else None, fields)
    request.method = method
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except OSError as error:
        return str(error)

def writable(folder):
    try:
        return bool(tempfile.TemporaryFile(dir=folder))
    except OSError:
        return False

def end(child):
    child.terminate()
    child.communicate()
    return child.returncode
"""

EVERY_INTERFACE = """
child, said = serve("--listen", ":20001", "--admin", ":20002", "--data", sys.argv[1])
kind = {"Content-Type": "a/b"}
told = {host: status(f"http://{host}:20001/v1/stream/a", "PUT", **kind)
        for host in ("127.0.0.1", "[::1]")}
told |= {"admin": status("http://[::1]:20002/ready"),
         "health": subprocess.run(
            [sys.executable, "-m", "edge.cli", "health"],
            env=os.environ | {"DS_EDGE_ADMIN__LISTEN": ":20002"}).returncode}
print(json.dumps(told | {"ended": end(child)}))
"""

READ_ONLY = """
folders = [folder for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", os.getcwd())
           if writable(folder)]
child, said = serve("--listen", "127.0.0.1:20001", "--admin", "127.0.0.1:20002",
                    "--data", sys.argv[1])
url = "http://127.0.0.1:20001/v1/stream/a"
told = {"writable": folders, "put": status(url, "PUT", **{"Content-Type": "a/b"})}
print(json.dumps(told | {"said": said[-1], "ended": end(child)}))
"""

READ_ONLY_ROOT = """
mount --make-rprivate /
mount -o bind,ro / / || mount -o remount,bind,ro /
for folder in /tmp /var/tmp; do
  mount --bind $folder $folder && mount -o remount,bind,ro $folder
done
mount -t tmpfs none "$1"
mount -t tmpfs none /dev/shm
"""


def alone(setup: str, code: str, *flags: str, folder: Path) -> dict[str, Any]:
    """What ``code`` tells in namespaces of its own, after ``setup`` (for sh)."""
    mine = () if os.geteuid() == 0 else ("--map-root-user",)
    program = f'set -e\n{setup}\nshift; exec "$@"'
    inside = [sys.executable, "-c", ASK + code, str(folder)]
    done = subprocess.run(
        ["unshare", *mine, *flags, "sh", "-c", program, "sh", str(folder), *inside],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_port_alone_is_every_interface_by_both_families(tmp_path: Path) -> None:
    code = f"loopback()\n{EVERY_INTERFACE}"
    told = alone("", code, "--net", folder=tmp_path)

    assert told == {
        "127.0.0.1": 201,
        "[::1]": 200,
        "admin": 200,
        "health": 0,
        "ended": 0,
    }


def test_a_machine_with_ipv6_alone_is_served(tmp_path: Path) -> None:
    """As a pod of a cluster that has nothing else."""
    code = f"loopback(ipv4=False)\n{EVERY_INTERFACE}"
    told = alone("", code, "--net", folder=tmp_path)

    assert "unreachable" in told.pop("127.0.0.1")
    assert told == {"[::1]": 201, "admin": 200, "health": 0, "ended": 0}


def test_a_machine_that_keeps_the_families_apart_has_both(tmp_path: Path) -> None:
    code = f"loopback()\nkernel('bindv6only', '1')\n{EVERY_INTERFACE}"
    told = alone("", code, "--net", folder=tmp_path)

    assert (told["127.0.0.1"], told["[::1]"]) == (201, 200)


def test_a_machine_without_ipv6_is_served_by_ipv4(tmp_path: Path) -> None:
    code = f"loopback()\nkernel('conf/all/disable_ipv6', '1')\n{EVERY_INTERFACE}"
    code = code.replace("[::1]:20002", "127.0.0.1:20002")
    told = alone("", code, "--net", folder=tmp_path)

    assert (told["127.0.0.1"], told["admin"], told["health"]) == (201, 200, 0)


def test_a_root_that_cannot_be_written_is_enough(tmp_path: Path) -> None:
    """A data folder and /dev/shm are all that it needs, as a container often has."""
    told = alone(READ_ONLY_ROOT, READ_ONLY, "--mount", folder=tmp_path)

    assert told["writable"] == ["/dev/shm"]
    assert (told["put"], told["ended"]) == (201, 0)


def test_nowhere_to_write_is_one_line(tmp_path: Path) -> None:
    setup = f"{READ_ONLY_ROOT}mount -o remount,ro /dev/shm"
    code = """
child, said = serve("--data", sys.argv[1])
print(json.dumps({"said": said, "ended": child.wait()}))
"""
    told = alone(setup, code, "--mount", folder=tmp_path)

    [line] = told["said"]
    assert line.startswith(
        "no file can be made in /dev/shm, nor where temporary files "
    )
    assert told["ended"] == 1


def test_who_reads_that_it_listens_can_connect(tmp_path: Path) -> None:
    """And is told what to try after that."""
    port = free_port()
    words = ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"]
    command = ds_edge("serve", *words, "--data", str(tmp_path))
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            with socket.socket() as probe:
                refused = probe.connect_ex(("127.0.0.1", port)) != 0
            message = json.loads(line)["message"]
            assert not message.startswith("curl ")
            if message.startswith("listening at "):
                break
        rest = child.stderr.readline()
        child.terminate()
        child.communicate()

    assert not refused
    assert json.loads(rest)["message"].startswith("Make a stream")


def test_what_lies_in_the_working_folder_is_no_part_of_the_program(
    tmp_path: Path,
) -> None:
    """Of any of its processes, where the script is called."""
    folder, script = tmp_path / "work", tmp_path / "ds-edge"
    folder.mkdir()
    script.write_text("from edge.cli import main; main()")
    for name in ("edge", "json", "select", "yaml", "origin_adapter"):
        (folder / f"{name}.py").write_text("raise SystemExit('not ours')")
    free = ["--listen", f"127.0.0.1:{free_port()}", "--admin", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, str(script), "serve", *free, "--data", str(tmp_path / "data")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        told = next((x for x in child.stderr if "listening at " in x), "it ended")
        child.terminate()
        child.communicate()

    assert json.loads(told)["message"].startswith("listening at ")


def full_pipe() -> tuple[int, int]:
    """A pipe that nobody reads, and that takes no byte more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("embedded", [False, True])
def test_a_log_that_nobody_reads_stops_nobody(tmp_path: Path, embedded: bool) -> None:
    """E56: neither the start, nor a worker, nor a reload, nor the end."""
    reading, writing = full_pipe()
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with embedded_origin(500, tmp_path / "other") as origin:
        words = ["--data", str(tmp_path)] if embedded else ["--origin", origin.url]
        words += ["--listen", listen, "--admin", admin]
        child = subprocess.Popen(ds_edge("serve", *words), cwd=ROOT, stderr=writing)
        try:
            until_ready(admin)
            url = f"http://{listen}{STREAM}"
            assert ask(url, "PUT", b"x", content_type="text/plain")[0] == 201
            for _ in range(50):
                assert ask(f"{url}?offset=-1")[2] == b"x"
            child.terminate()
            assert child.wait(WITHIN) == 0
        finally:
            child.kill()
            child.wait()
            os.close(reading)
            os.close(writing)


def until_ready(admin: str) -> None:
    for _ in range(int(WITHIN / 0.05)):
        try:
            if ask(f"http://{admin}/ready")[0] == 200:
                return
        except OSError:
            threading.Event().wait(0.05)
    raise AssertionError("never ready")
