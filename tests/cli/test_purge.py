"""``ds-edge purge``: what it asks of a running edge, and what it tells (L27)."""

from typing import Any

import pytest
import typer.main

from edge.cli.app import app
from tests.cli.access.test_revoking import Run, desk, run
from tests.cli.streams.test_manual import options_in, section
from tests.support.processes import free_port

__all__ = ["run"]

DONE = {"matched": 3, "softened": 2, "processes": {"worker": {}}, "late": []}


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (("--path", "/v1/a%20b"), {"path": "/v1/a%20b", "mode": "soft"}),
        (("--glob", "/v1/**", "--hard"), {"glob": "/v1/**", "mode": "hard"}),
        (("--tag", "room-7"), {"tag": "room-7", "mode": "soft"}),
    ],
)
def test_an_order_is_given_with_the_operators_token(
    run: Run, arguments: tuple[str, ...], order: dict[str, str]
) -> None:
    with desk(document=DONE | {"mode": order["mode"]}) as (address, asked):
        result = run("purge", *arguments, "--admin", address)

    assert result.exit_code == 0, result.output
    [(path, fields, document)] = asked.asked
    assert (path, document) == ("/purge", order)
    assert fields["authorization"] == "Bearer s3cret-token"
    assert "3 matched" in result.stderr and "worker" in result.stderr
    assert result.stdout == ""


def test_who_is_late_is_told_with_what_was_done(run: Run) -> None:
    """And the command has not done it."""
    late = DONE | {"detail": "Not yet done in: keeper-0.", "late": ["keeper-0"]}
    with desk(504, late) as (address, _):
        result = run("purge", "--tag", "a", "--admin", address)
        as_json = run("purge", "--tag", "a", "--admin", address, "--json")

    assert result.exit_code == as_json.exit_code == 1
    assert "2 softened" in result.stderr and "keeper-0" in result.stderr
    assert '"keeper-0"' in as_json.stdout


def test_it_says_that_the_disk_has_more_to_delete(run: Run) -> None:
    hard = {"mode": "hard", "forgotten": 2, "disk": "deleting"}
    with desk(document=DONE | hard) as (address, _):
        result = run("purge", "--tag", "a", "--hard", "--admin", address)

    assert result.exit_code == 0 and "goes on deleting" in result.stderr


def test_a_refusal_is_told_in_the_edges_words(run: Run) -> None:
    with desk(403, {"detail": "no token is set"}) as (address, _):
        result = run("purge", "--tag", "a", "--admin", address)
    with desk(document={"hello": 1}) as (address, _):
        strange = run("purge", "--tag", "a", "--admin", address)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "refused: no token is set" in result.stderr
    assert strange.exit_code == 1 and "is no edge" in strange.stderr


def test_an_edge_that_is_not_there_is_told(run: Run) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = run("purge", "--tag", "a", "--admin", address)

    assert result.exit_code == 1 and "cannot be reached" in result.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--path", "/a", "--tag", "b"), ("--hard",), ("--mode", "soft")]
)
def test_a_command_line_that_names_no_one_thing_is_wrong(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("purge", *arguments).exit_code == 2


def test_the_manual_has_every_option() -> None:
    command: Any = dict(vars(typer.main.get_command(app))["commands"])["purge"]
    has = {name for option in command.params for name in option.opts if len(name) > 2}

    assert options_in(section("## `ds-edge purge`")) == has - {"--help"}
