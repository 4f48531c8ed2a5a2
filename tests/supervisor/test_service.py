"""``ds-edge serve`` with its own origin: real processes, killed in every order.

A service is three processes: the supervisor, the origin, the edge's master (and
its worker). Whoever dies, no reader that waits is lost and no process is left.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.kin import children, command_of, ends
from tests.support.log_lines import said
from tests.support.processes import (
    Edge,
    ProcessFault,
    ds_edge,
    free_port,
    running,
    service,
)
from tests.support.talk import Talk, ask

STREAM = "/v1/stream/demo"
TEXT = {"content_type": "text/plain"}
WITHIN = 60.0
PATIENT = {"shutdown": {"grace": "30s"}}
"""Nobody here waits that long. But some seconds after it what is left is killed, and a
busy machine takes its time to end a process."""

_NUMBERS = count()


@pytest.fixture(scope="module")
def shared() -> Iterator[Edge]:
    """A service for tests after which it runs on as before."""
    with service(**PATIENT) as front:
        yield front


def child(front: Edge, word: str) -> int:
    """The supervisor's child that runs ``ds-edge`` with this command."""
    found = [pid for pid in children(front.process.pid) if word in command_of(pid)]
    assert len(found) == 1, found
    return found[0]


def pause() -> None:
    """Between two looks at something outside."""
    threading.Event().wait(0.05)


def until_parked(front: Edge, number: int) -> None:
    """Return when so many readers wait at the edge."""
    for _ in range(int(WITHIN / 0.05)):
        lines = ask(f"{front.admin}/metrics")[2].decode().splitlines()
        if f"ds_edge_viewers {number}.0" in lines:
            return
        pause()
    raise AssertionError(f"never {number} viewers")


def until_said(front: Edge, words: str) -> str:
    """What the log says, as soon as these words are in it."""
    for _ in range(int(WITHIN / 0.05)):
        text = said(front.process.log.read_text())
        if words in text:
            return text
        pause()
    raise AssertionError(f"{words!r} was not said")


def until_listening(path: Path) -> None:
    """Return when somebody answers at a socket file."""
    for _ in range(int(WITHIN / 0.05)):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        pause()
    raise AssertionError("the origin did not come back")


def refused(front: Edge) -> bool:
    """Whether the edge takes no connection any more."""
    host, _, port = front.url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def create(front: Edge, path: str = STREAM) -> str:
    """A stream with some text; its end."""
    assert ask(front.url + path, "PUT", b"old", **TEXT)[0] == 201
    return ask(front.url + path, "HEAD")[1]["stream-next-offset"]


def serves(front: Edge) -> bool:
    """Whether a stream that nobody has made yet can be made."""
    return bool(create(front, f"{STREAM}/{next(_NUMBERS)}"))


def poll(front: Edge, offset: str) -> Talk:
    return Talk(f"{front.url}{STREAM}?offset={offset}&live=long-poll")


def follow(front: Edge, offset: str) -> Talk:
    return Talk(f"{front.url}{STREAM}?offset={offset}&live=sse")


def test_readers_wait_on_while_a_killed_origin_comes_back(tmp_path: Path) -> None:
    """L21: neither the poll nor the SSE answer hears of it; both get the next event."""
    with service(origin={"data": str(tmp_path / "data")}) as front:
        end = create(front)
        with poll(front, end) as waiting, follow(front, end) as following:
            until_parked(front, 2)
            before = child(front, "origin")
            os.kill(before, signal.SIGKILL)
            assert ends(before, WITHIN)
            until_listening(tmp_path / "data" / "origin.sock")
            assert ask(front.url + STREAM, "POST", b"new", **TEXT)[0] == 204

            status, fields, body = waiting.answer()
            assert (status, body) == (200, b"new")
            assert following.head()[0] == 200
            assert b"data:new" in following.until(b"data:new")
        assert child(front, "origin") != before
        assert ask(front.url + STREAM + "?offset=-1")[2] == b"oldnew"
        assert fields["stream-next-offset"] > end
    assert front.process.handle.returncode == 0


def test_term_answers_who_waits_and_exits_with_0() -> None:
    with service(**PATIENT) as front:
        end = create(front)
        pids = [child(front, "origin"), child(front, "serve")]
        with poll(front, end) as waiting:
            until_parked(front, 1)
            front.process.handle.terminate()
            status, fields, _ = waiting.answer()
        assert (status, fields["stream-next-offset"]) == (204, end)
        assert front.process.ended(WITHIN)
        assert front.process.handle.returncode == 0
        assert all(ends(pid, 0) for pid in pids)


def test_ctrl_c_in_a_terminal_is_as_good_as_term() -> None:
    """The children are in process groups of their own, so only the supervisor hears."""
    with service(**PATIENT) as front:
        os.killpg(front.process.pid, signal.SIGINT)
        assert front.process.ended(WITHIN)
        assert front.process.handle.returncode == 0


def test_children_end_with_a_killed_supervisor() -> None:
    """Asked by the kernel to stop, they do so as they do on TERM."""
    with service(**PATIENT) as front:
        pids = [child(front, "origin"), child(front, "serve")]
        pids += children(pids[1])
        front.process.handle.kill()
        assert all(ends(pid, WITHIN) for pid in pids)


def test_the_service_ends_with_its_edge_and_passes_the_code_on() -> None:
    """Whatever started the service decides what happens next."""
    with service() as front:
        edge, origin = child(front, "serve"), child(front, "origin")
        (worker,) = children(edge)
        os.kill(edge, signal.SIGKILL)
        assert front.process.ended(WITHIN)
        assert front.process.handle.returncode == 128 + signal.SIGKILL
        assert ends(origin, 0)
        assert ends(worker, WITHIN)


def test_a_second_term_does_not_wait_for_anybody() -> None:
    """A writer that never finishes its body holds the edge for its grace."""
    with service(shutdown={"grace": "60s"}) as front:
        create(front)
        with Talk(front.url + STREAM, "POST", b"half", **TEXT, content_length="8"):
            pids = [child(front, "origin"), child(front, "serve")]
            front.process.handle.terminate()
            while not refused(front):
                pause()
            assert not front.process.ended(within=0)
            front.process.handle.terminate()
            assert front.process.ended(WITHIN)
        assert front.process.handle.returncode == 128 + signal.SIGKILL
        assert all(ends(pid, WITHIN) for pid in pids)


def test_hup_gives_the_edge_a_new_worker_and_leaves_the_origin_alone(
    shared: Edge,
) -> None:
    origin, edge = child(shared, "origin"), child(shared, "serve")
    (before,) = children(edge)
    shared.process.handle.send_signal(signal.SIGHUP)
    assert ends(before, WITHIN)
    assert child(shared, "origin") == origin
    assert serves(shared)


def test_signals_that_would_break_the_service_are_ignored(shared: Edge) -> None:
    """USR2 would replace the edge behind the supervisor's back."""
    edge = child(shared, "serve")
    for number in (signal.SIGUSR2, signal.SIGTTIN, signal.SIGUSR1):
        shared.process.handle.send_signal(number)
    assert serves(shared)
    assert child(shared, "serve") == edge
    assert len(children(edge)) == 1


def told(*flags: str) -> tuple[int, str]:
    """Start a service that cannot start: its exit code, and what it says."""
    with running("refused", ds_edge("serve", *flags)) as process:
        assert process.ended(WITHIN)
        return process.handle.returncode, said(process.log.read_text())


def free() -> list[str]:
    words = []
    for flag in ("--listen", "--admin"):
        words += [flag, f"127.0.0.1:{free_port()}"]
    return words


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["--listen", address, "--admin", f"127.0.0.1:{free_port()}"]
        code, text = told("--data", str(tmp_path / "data"), *words)

    assert (code, text) == (
        1,
        f"error: listen: {address} is in use by another process\n",
    )
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"

    code, text = told("--data", str(folder), *free())

    assert (code, text) == (
        1,
        f"error: origin.data: {folder} cannot be written: Not a directory\n",
    )


def test_a_folder_too_deep_for_a_socket_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)

    code, text = told("--data", str(folder), *free())

    assert code == 1
    assert text == (
        f"error: origin.data: {folder} is too long: "
        "a socket in it may have 107 bytes in its path\n"
    )


def folder_of(front: Edge) -> str:
    """Where its origin has its streams."""
    words = command_of(child(front, "origin"))
    (pair,) = [word for word in words if word.startswith("origin.data=")]
    return pair.removeprefix("origin.data=")


def test_a_folder_that_another_origin_serves_is_told_and_ends_it(
    shared: Edge,
) -> None:
    folder = folder_of(shared)

    code, text = told("--data", folder, *free())

    assert code == 1
    assert text.endswith(f"error: origin: another process serves {folder}\n")
    assert serves(shared)


def test_a_file_that_is_no_origin_s_is_told_and_ends_it(tmp_path: Path) -> None:
    (tmp_path / "streams.db").write_bytes(b"not a database, but long enough" * 100)

    code, text = told("--data", str(tmp_path), *free())

    assert code == 1
    assert "error: origin: " in text
    assert "Traceback" not in text


def test_where_everything_is_and_what_to_try_is_said_at_the_start(
    shared: Edge,
) -> None:
    text = until_said(shared, "/metrics\n")

    assert f"streams in {folder_of(shared)}\n" in text
    listening, _, to_try = text.partition("listening at ")[2].partition("\n")
    assert listening.startswith(f"{shared.url.removeprefix('http://')}, ")
    assert f"curl -X PUT {shared.url}{STREAM} " in to_try
    assert f"curl {shared.admin}/metrics" in to_try


@pytest.mark.parametrize("relative", ["", "deep/er"])
def test_a_service_starts_again_where_it_stopped(tmp_path: Path, relative: str) -> None:
    settings = {"origin": {"data": str(tmp_path / relative)}}
    with service(**settings, **PATIENT) as front:
        create(front)
    with service(**settings, **PATIENT) as front:
        assert ask(front.url + STREAM + "?offset=-1")[2] == b"old"


def test_an_edge_that_cannot_start_ends_the_service(tmp_path: Path) -> None:
    """Its settings are judged before anything is started."""
    with pytest.raises(ProcessFault, match="ended with 2"), service(workers=4):
        raise AssertionError("it started")
