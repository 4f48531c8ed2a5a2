"""``ds-edge config diff`` with the running edge: what it asks, and what it tells."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.settings import load
from edge.settings.dump import MASK, for_people
from tests.cli.access.test_revoking import Run, run
from tests.cli.test_reload_order import desk

__all__ = ["run"]

BASE = "origin: {url: 'http://127.0.0.1:4437'}\n"
TOKEN = {"DS_EDGE_ADMIN__TOKEN": "s3cret-token"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "edge.yaml"
    path.write_text(BASE)
    return path


def shown(file: Path) -> dict[str, Any]:
    """What an edge shows that has started with the file and the operator's token."""
    return {"version": "1", "settings": for_people(load(file, TOKEN))}


def test_what_the_file_would_change_is_told_as_between_two_files(
    run: Run, file: Path
) -> None:
    """And what of it a reload would not take."""
    in_force = shown(file)
    file.write_text(BASE + "live: {linger: 7s}\nlisten: ':9090'\n")
    with desk([in_force]) as (address, asked):
        result = run("config", "diff", str(file), "--admin", address)

    assert result.exit_code == 0, result.stderr
    assert asked == [("GET /settings", "Bearer s3cret-token")]
    listen, linger = sorted(result.stdout.splitlines(), reverse=True)
    assert linger.startswith("listen: 127.0.0.1:8080 -> ")
    assert linger.endswith("(needs a restart)")
    assert listen == "live.linger: 5s -> 7s"


def test_nothing_is_told_of_secrets_but_that_they_are_there(
    run: Run, file: Path
) -> None:
    """Whether two are the same, nobody can say."""
    in_force = shown(file)
    file.write_text(BASE + "admin: {token: another-one}\n")
    with desk([in_force]) as (address, _):
        told = run("config", "diff", "--running", str(file), "--admin", address)
        as_json = run("config", "diff", str(file), "--admin", address, "--json")
    unset = {**in_force, "settings": {**in_force["settings"], "admin": {}}}
    with desk([unset]) as (address, _):
        set_now = run("config", "diff", str(file), "--admin", address)

    assert in_force["settings"]["admin"]["token"] == MASK
    assert "cannot be compared: admin.token" in told.stderr and told.stdout == ""
    assert json.loads(as_json.stdout) == {"differences": [], "unknown": ["admin.token"]}
    assert "admin.token: changed (secret)" in set_now.stdout
    assert "another-one" not in told.output + set_now.output


def test_the_file_of_the_environment_is_compared_where_none_is_named(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS_EDGE_CONFIG", str(file))
    with desk([shown(file)]) as (address, _):
        result = run("config", "diff", "--running", "--admin", address)

    assert result.exit_code == 0 and "no setting differs" in result.stderr


def test_an_edge_that_shows_none_is_told(run: Run, file: Path) -> None:
    arguments = ("config", "diff", str(file), "--admin")
    with desk([{}], look_status=404) as (address, _):
        older = run(*arguments, address)
    with desk([{"detail": "A bearer token is required."}], look_status=401) as other:
        refused = run(*arguments, other[0])
    with desk([{"settings": "\x1b[2J"}]) as (address, _):
        strange = run(*arguments, address)

    assert [one.exit_code for one in (older, refused, strange)] == [1, 1, 1]
    assert "an older version" in older.stderr
    assert "A bearer token is required" in refused.stderr
    assert "is no edge" in strange.stderr


def test_what_an_edge_says_cannot_command_the_terminal(run: Run, file: Path) -> None:
    with desk([{"settings": {"\x1b[2J": "\x1b]0;x\x07"}}]) as (address, _):
        result = run("config", "diff", str(file), "--admin", address)

    assert result.exit_code == 0 and "?[2J: ?]0;x? -> not set" in result.stdout
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    "arguments", [(), ("a", "b", "c"), ("a", "b", "--running"), ("a", "b", "--admin=x")]
)
def test_anything_else_than_two_files_or_one_is_no_question(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("config", "diff", *arguments).exit_code == 2
