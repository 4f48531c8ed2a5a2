"""What differs between two files of settings, and what a reload would not take."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.cli.app import app
from edge.settings import load
from edge.settings.difference import differences

BASE = "origin: {url: 'http://127.0.0.1:4437'}\n"


def diff(folder: Path, old: str, new: str, *more: str) -> tuple[int, str, str]:
    """Run the command on these two: exit code, standard output and standard error."""
    files = []
    for name, text in (("old.yaml", old), ("new.yaml", new)):
        (folder / name).write_text(text)
        files.append(str(folder / name))
    done = CliRunner().invoke(app, ["config", "diff", *files, *more])
    return done.exit_code, done.stdout, done.stderr


def test_a_setting_that_differs_is_told_as_people_write_it(tmp_path: Path) -> None:
    code, told, _ = diff(tmp_path, BASE, BASE + "live: {linger: 7s}\n")

    assert (code, told) == (0, "live.linger: 5s -> 7s\n")


def test_what_is_written_in_another_way_does_not_differ(tmp_path: Path) -> None:
    old, new = BASE + "cache: {memory: 1024MiB}\n", BASE + "cache: {memory: 1GiB}\n"

    assert diff(tmp_path, old, new)[1] == ""
    assert "no setting differs" in diff(tmp_path, old, new)[2]


def test_what_only_a_restart_can_change_is_marked(tmp_path: Path) -> None:
    new = BASE + "listen: ':9090'\nadmin: {names: [a.example]}\n"
    told = diff(tmp_path, BASE, new)[1].splitlines()

    (listen,) = [line for line in told if line.startswith("listen")]
    (names,) = [line for line in told if line.startswith("admin.names")]
    assert listen.endswith("(needs a restart)") and "9090" in listen
    assert "restart" not in names


def test_of_a_secret_it_is_told_that_it_differs_and_nothing_else(
    tmp_path: Path,
) -> None:
    old = BASE + "admin: {token: first-secret}\n"
    new = BASE + "admin: {token: other-secret}\n"

    assert diff(tmp_path, old, new)[1] == "admin.token: changed (secret)\n"
    assert diff(tmp_path, old, old)[1] == ""
    (one,) = json.loads(diff(tmp_path, BASE, new, "--json")[1])["differences"]
    assert one["secret"] and one["old"] is None
    assert "secret" not in json.dumps([one["old"], one["new"]])


def test_a_credential_of_the_edge_is_a_secret_wherever_it_stands(
    tmp_path: Path,
) -> None:
    old = BASE.replace("}", ", headers: {Authorization: Bearer first-secret}}")
    new = BASE.replace("}", ", headers: {Authorization: Bearer other-secret}}")
    told = diff(tmp_path, old, new)[1]

    assert told.startswith("origin.headers") and "secret)" in told
    assert "first-secret" not in told and "other-secret" not in told


def test_routes_are_told_apart_by_their_number(tmp_path: Path) -> None:
    old = BASE + "routes: [{match: '/a/**'}, {match: '/b/**'}]\n"
    new = BASE + "routes: [{match: '/a/**'}, {match: '/c/**'}, {match: '/d/**'}]\n"
    told = diff(tmp_path, old, new)[1].splitlines()

    assert "routes[1].match: /b/** -> /c/**" in told
    assert "routes[2].match: not set -> /d/**" in told
    assert not any(line.startswith("routes[0]") for line in told)


def test_wrong_settings_are_told_with_file_and_line(tmp_path: Path) -> None:
    code, told, said = diff(tmp_path, BASE, BASE + "live: {linger: soon}\n")

    assert (code, told) == (2, "")
    assert "new.yaml:2: live.linger" in said


@pytest.mark.parametrize("text", [BASE, BASE + "admin: {token: a-secret-token}\n"])
def test_no_settings_differ_from_themselves(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.yaml").write_text(text)
    one, other = (load(tmp_path / "one.yaml", {}) for _ in range(2))

    assert differences(one, other) == []
