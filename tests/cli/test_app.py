"""``ds-edge check`` and ``version``, in process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge import __version__
from edge.cli.app import app
from edge.settings import load

runner = CliRunner()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No DS_EDGE_ variable of whoever runs the tests, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DS_EDGE_CONFIG", raising=False)


def write(text: str) -> str:
    Path("edge.yaml").write_text(text)
    return "edge.yaml"


def test_check_prints_what_is_in_force_in_a_form_that_loads_again() -> None:
    file = write("origin: {url: http://o}\nlive: {linger: 1500ms}\n")

    result = runner.invoke(app, ["check", file])

    assert result.exit_code == 0
    assert "  linger: 1500ms\n" in result.stdout
    Path("again.yaml").write_text(result.stdout)
    assert load("again.yaml") == load(file)


def test_check_masks_every_secret() -> None:
    secret = "hunter2-hunter2"
    file = write(
        f"origin: {{url: http://o, headers: {{authorization: {secret}}}}}\n"
        f"routes: [{{origin_headers: {{x-key: {secret}}}}}]\n"
        f"admin: {{token: {secret}}}\n"
    )

    for arguments in (["check", file], ["check", file, "--json"]):
        result = runner.invoke(app, arguments)
        assert result.exit_code == 0
        assert secret not in result.output
        assert result.stdout.count("**********") == 3


def test_check_prints_ways_in_a_form_that_loads_again() -> None:
    """With their files, which hold the secrets; in the order in which they stand."""
    Path("links").write_text("a secret of the tests, which has 32 bytes")
    file = write(
        "limits: {connections: 100}\n"
        "routes:\n"
        "- match: /v1/{sub}/**\n"
        "  access:\n"
        "    signed: {keys: {k1: {secret_file: links}}}\n"
        "    jwt:\n"
        "      keys: [{jwks: 'https://issuer.example/keys', refresh: 5m}]\n"
        "      algorithms: [ES256]\n"
        "      issuer: i\n"
        "      audience: a\n"
        "      bind: [sub]\n"
        "      sources: [authorization, {query: t}]\n"
    )

    result = runner.invoke(app, ["check", file])

    assert result.exit_code == 0 and not result.stderr
    Path("again.yaml").write_text(result.stdout)
    assert load("again.yaml") == load(file)
    assert load("again.yaml").route_table == load(file).route_table


def test_check_says_what_works_and_may_not_be_meant() -> None:
    """B19: a note, and no error."""
    Path("links").write_text("a secret of the tests, which has 32 bytes")
    file = write(
        "routes:\n"
        "- access:\n"
        "    jwt: {keys: [{secret_file: links}], algorithms: [HS256], read_claim: r}\n"
        "    signed: {keys: {k1: {secret_file: links}}}\n"
    )

    result = runner.invoke(app, ["check", file])

    assert result.exit_code == 0
    assert "routes[0].access.signed signed is not the first way" in result.stderr


@pytest.mark.parametrize(
    ("admin", "warned"),
    [
        ("{listen: '127.0.0.1:8081'}", False),
        ("{listen: '[::1]:8081'}", False),
        ("{listen: 'localhost:8081'}", False),
        ("{listen: 'unix:/run/admin'}", False),
        ("{listen: ':8081', token: s3cret-s3cret}", False),
        ("{listen: ':8081'}", True),
        ("{listen: '0.0.0.0:8081'}", True),
        ("{listen: 'edge.internal:8081'}", True),
    ],
)
def test_check_warns_of_an_admin_address_that_others_reach(
    admin: str, warned: bool
) -> None:
    result = runner.invoke(app, ["check", write(f"admin: {admin}\n")])

    assert result.exit_code == 0
    assert ("no admin.token guards it" in result.stderr) is warned


def test_check_names_a_route_that_is_never_met_and_the_one_before_it() -> None:
    file = write("routes: [{match: /a/**}, {match: /b/*}, {match: /a/b, tail: strict}]")
    note = "routes[2].match is never met: routes[0].match (/a/**) covers all of its"

    plain = runner.invoke(app, ["check", file])
    data = runner.invoke(app, ["check", file, "--json"])

    assert (plain.exit_code, data.exit_code) == (0, 0)
    assert f"ds-edge: {note}" in plain.stderr
    assert [one for one in json.loads(data.stdout)["notes"] if note in one]
    assert plain.stderr.count("is never met") == 1


def test_check_counts_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_EDGE_CONFIG", write("origin: {url: http://o}"))
    monkeypatch.setenv("DS_EDGE_LISTEN", ":9")

    result = runner.invoke(app, ["check", "--json"])

    answer = json.loads(result.stdout)
    assert answer["ok"] is True
    assert answer["settings"]["listen"] == ":9"
    assert answer["settings"]["cache"]["memory"] == 256 * 1024 * 1024


def test_check_tells_every_problem_and_exits_with_2() -> None:
    result = runner.invoke(app, ["check", write("lisen: x\nworkers: two\n")])

    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(": ")[:3] for line in result.stderr.splitlines()] == [
        ["error", "edge.yaml:1", "lisen"],
        ["error", "edge.yaml:2", "workers"],
    ]


def test_check_tells_programs_in_json() -> None:
    result = runner.invoke(app, ["check", write("lisen: x"), "--json"])

    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "source": "edge.yaml",
        "line": 1,
        "key": "lisen",
        "message": "is not a setting; did you mean listen?",
    }


def test_a_file_that_is_not_there_is_one_line() -> None:
    result = runner.invoke(app, ["check", "none.yaml"])

    assert result.exit_code == 2
    assert result.stderr == (
        "error: none.yaml: cannot be read: No such file or directory\n"
    )


def test_a_long_problem_stays_on_one_line_and_means_no_markup() -> None:
    name = "x" * 200 + "[bold]"

    result = runner.invoke(app, ["check", write(f"'{name}': 1\norigin: {{url: u}}")])

    (line,) = [line for line in result.stderr.splitlines() if name in line]
    assert line.startswith(f"error: edge.yaml:1: {name}: is not a setting")


def test_version_names_what_it_stands_on() -> None:
    plain = runner.invoke(app, ["version"]).stdout
    data = json.loads(runner.invoke(app, ["version", "--json"]).stdout)

    assert plain.startswith(f"ds-edge {__version__}, python 3.")
    assert data["ds-edge"] == __version__
    assert set(data) == {"ds-edge", "python", "falcon", "gevent", "gunicorn"}
