"""``ds-edge origin`` and ``ds-edge origin backup``, as processes of their own."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from origin_adapter.embedded.http.server import plain_address
from tests.cli.test_process import run
from tests.support.log_lines import said
from tests.support.processes import (
    EmbeddedOrigin,
    ds_edge,
    embedded_origin,
    free_port,
    running,
    wait_until_ready,
)
from tests.support.talk import Talk, ask

STREAM = "/v1/stream/demo"
TEXT = {"content_type": "text/plain"}
WITHIN = 60.0


def fill(origin: EmbeddedOrigin) -> str:
    """A stream with some text; its end."""
    status, fields, _ = ask(origin.url + STREAM, "PUT", b"kept", **TEXT)
    assert status == 201
    return fields["stream-next-offset"]


def backup(origin: EmbeddedOrigin, target: Path, *flags: str) -> tuple[int, str, str]:
    """Exit code and output of a backup of a running origin."""
    words = ("origin", "backup", str(target), "--data", str(origin.data), *flags)
    done = run("-m", "edge.cli", *words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_copy_made_while_the_origin_runs_is_an_origin_s_folder(
    tmp_path: Path,
) -> None:
    """Nobody else may read it: it holds the signing keys."""
    copy = tmp_path / "copy" / "streams.db"
    copy.parent.mkdir()
    with embedded_origin() as origin:
        fill(origin)
        code, _, said = backup(origin, copy)
        assert (code, said.splitlines()[-1].split(": ")[:2]) == (
            0,
            ["ds-edge", str(copy)],
        )
        assert ask(origin.url + STREAM, "POST", b" later", **TEXT)[0] == 204
        keys = ask(f"{origin.url}/v1/stream/__ds/jwks.json")[2]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    with embedded_origin(500, copy.parent) as restored:
        assert ask(restored.url + STREAM + "?offset=-1")[2] == b"kept"
        assert ask(f"{restored.url}/v1/stream/__ds/jwks.json")[2] == keys


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    with embedded_origin() as origin:
        refused = backup(origin, copy)
        assert (refused[0], copy.read_text()) == (1, "precious")
        assert refused[2] == (f"error: {copy} is there already; --force replaces it\n")

        code, said, _ = backup(origin, copy, "--force", "--json")

    assert code == 0
    assert json.loads(said) == {"file": str(copy), "bytes": copy.stat().st_size}


@pytest.mark.parametrize("made", [True, False])
def test_no_origin_s_folder_is_one_line(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "data").mkdir()
    words = ("backup", str(tmp_path / "copy.db"), "--data", str(tmp_path / "data"))
    done = run("-m", "edge.cli", "origin", *words)

    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/data/streams.db: no such file\n"
    assert list(tmp_path.glob("copy*")) == []


def test_a_folder_that_is_not_there_is_no_place_for_a_copy(tmp_path: Path) -> None:
    with embedded_origin() as origin:
        code, _, said = backup(origin, tmp_path / "nowhere" / "copy.db")

    assert code == 1
    assert said.startswith(f"error: {tmp_path}/nowhere/")
    assert said.count("\n") == 1


def test_term_answers_who_waits_and_exits_with_0() -> None:
    """The poll was sent first, so it is parked once the other is answered."""
    with embedded_origin(long_poll_ms=30_000) as origin:
        end = fill(origin)
        at_end = f"{origin.url}{STREAM}?offset={end}"
        with (
            Talk(f"{at_end}&live=long-poll") as poll,
            Talk(f"{at_end}&live=sse") as following,
        ):
            assert following.head()[0] == 200
            following.until(b"streamNextOffset")
            origin.process.handle.terminate()
            status, fields, _ = poll.answer()
        assert (status, fields["stream-next-offset"]) == (204, end)
        assert origin.process.ended(WITHIN)
        assert origin.process.handle.returncode == 0


def test_hup_and_usr1_are_for_others() -> None:
    with embedded_origin() as origin:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            os.kill(origin.process.pid, number)
        fill(origin)
        assert origin.process.handle.poll() is None


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("origin", "--listen", address, "--data", str(tmp_path))
        done = run("-m", "edge.cli", *words)

    assert done.returncode == 1
    expected = f"error: origin: {address}: Address already in use\n"
    assert said(done.stderr) == expected


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("--durability", "none", "origin.durability: expected 'full' or 'os'"),
        ("--retention-age", "old", "origin.retention_age: expected a duration"),
        ("--listen", "here", "expected host:port"),
        ("--rate", "0/1s", "expected a count within a time"),
        ("--public-url", "ftp://x", "public_url: expected http"),
    ],
)
def test_wrong_flags_exit_with_2_and_name_themselves(
    flag: str, text: str, expected: str
) -> None:
    done = run("-m", "edge.cli", "origin", flag, text)

    assert done.returncode == 2
    assert said(done.stderr).startswith(f"error: {flag}: {expected}")


def test_the_settings_of_the_edge_count_but_for_the_url(tmp_path: Path) -> None:
    """One file for both; here it names another origin, which this one replaces."""
    file = tmp_path / "edge.yaml"
    file.write_text("public_url: https://streams.example\norigin: {url: 'http://o'}\n")
    with embedded_origin(500, None, "-c", str(file)) as origin:
        _, fields, _ = ask(origin.url + STREAM, "PUT", b"", **TEXT)

    assert fields["location"] == f"https://streams.example{STREAM}"


def test_limits_are_those_that_were_asked_for(tmp_path: Path) -> None:
    flags = ("--max-body", "1KiB", "--rate", f"{3}/1h")
    with embedded_origin(500, None, *flags) as origin:
        statuses = [ask(origin.url + STREAM, "PUT", b"x" * 1025, **TEXT)[0]]
        for _ in range(3):
            status, fields, _ = ask(origin.url + STREAM)
            statuses.append(status)

    assert statuses[0] == 413
    assert statuses[-1] == 429
    assert int(fields["retry-after"]) > 0


def test_it_says_where_it_listens_and_where_the_streams_lie(tmp_path: Path) -> None:
    with embedded_origin(500, tmp_path) as origin:
        told = said(origin.process.log.read_text())

    address = origin.url.removeprefix("http://")
    assert told == f"info: listening at {address}, streams in {tmp_path}\n"


def test_a_port_alone_is_every_interface_by_both_families(tmp_path: Path) -> None:
    """And a client of IPv4 is one, whatever the socket: each has a rate of its own."""
    port = free_port()
    command = ds_edge("origin", "--listen", f":{port}", "--data", str(tmp_path))
    with running("origin", [*command, "--rate", "1/1h"]) as process:
        wait_until_ready(process, f"127.0.0.1:{port}", "/v1/stream/__ds/jwks.json")
        statuses = [
            ask(f"http://{host}:{port}{STREAM}")[0] for host in ("[::1]", "127.0.0.1")
        ]

    assert statuses == [404, 429]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:0:192.0.2.1", "::ffff:0:192.0.2.1"),
    ],
)
def test_ipv4_by_a_socket_of_both_families_is_ipv4(text: str, plain: str) -> None:
    assert plain_address(text) == plain


def test_a_socket_file_is_an_address_too(tmp_path: Path) -> None:
    """What a dead process left there is taken over."""
    path = tmp_path / "o.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    words = ("origin", "--listen", f"unix:{path}", "--data", str(tmp_path / "d"))
    code = (
        "import signal, subprocess, sys, socket\n"
        f"words = {[*words]!r}\n"
        "it = subprocess.Popen([sys.executable, '-m', 'edge.cli', *words], "
        "stderr=subprocess.PIPE, text=True)\n"
        "print(it.stderr.readline(), end='')\n"
        f"socket.socket(socket.AF_UNIX).connect({str(path)!r})\n"
        "it.send_signal(signal.SIGINT)\n"
        "it.communicate()\n"
        "print(it.returncode)\n"
    )
    done = run("-W", "ignore", "-c", code)

    line, code = done.stdout.splitlines()
    expected = f"info: listening at unix:{path}, streams in {tmp_path}/d\n"
    assert (said(line), code) == (expected, "0")
