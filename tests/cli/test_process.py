"""``ds-edge`` as a process of its own: the patch, the start, the exit codes.

``serve`` is run with a stand-in for ``edge.wiring``, which says what it was
given: how the parts are wired is not the command line's business.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.log_lines import said

ROOT = Path(__file__).parents[2]

STAND_IN = """
import os, resource, sys, types
from edge.cli import main

if files := int(os.environ.pop("FILES", 0)):
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
if cores := int(os.environ.pop("CORES", 0)):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

def serve(settings, written, again, serving):
    serving()
    from gevent import monkey
    print("patched", monkey.is_module_patched("socket"))
    print("connections", settings.limits.connections)
    print("origin", settings.origin.url)
    print("level", settings.log.level.value)
    print("processes", settings.workers, settings.keepers)

sys.modules["edge.wiring"] = types.ModuleType("edge.wiring")
sys.modules["edge.wiring"].serve = serve
main()
"""

ORIGIN = ("--origin", "http://127.0.0.1:9")
FREE = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python with ``command`` and no DS_EDGE_ variables but those given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serve(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``ds-edge serve`` on the stand-in; FILES limits its open files."""
    return run("-c", STAND_IN, "serve", *arguments, **environ)


def test_the_configuration_that_is_shipped_is_valid() -> None:
    result = run("-m", "edge.cli", "check", "config/edge.yaml")

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("listen: 127.0.0.1:8080\n")


def test_wrong_settings_exit_with_2_plainly_and_without_a_traceback() -> None:
    result = run("-m", "edge.cli", "check", DS_EDGE_LISTEN="x")

    assert result.returncode == 2
    assert result.stderr.startswith("error: DS_EDGE_LISTEN: listen: expected host")
    assert "\x1b" not in result.stderr
    assert "Traceback" not in result.stderr


def test_the_entry_imports_nothing_that_the_patch_would_come_too_late_for() -> None:
    code = (
        "import sys, edge.cli; "
        "print([m for m in ('threading', 'socket', 'select', 'ssl', 'subprocess', "
        "'logging', 'typer', 'gevent') if m in sys.modules])"
    )

    assert run("-c", code).stdout.strip() == "[]"


def test_the_patch_comes_before_everything_else_of_serve() -> None:
    code = (
        "import sys, edge.cli.serve; from gevent import monkey; "
        "assert monkey.is_module_patched('threading'); "
        "print([m for m in ('typer', 'rich', 'pydantic', 'edge.settings', "
        "'edge.front', 'importlib.metadata') if m in sys.modules])"
    )

    # The last one would tell of a search for plugins, in all that is installed.
    assert run("-c", code).stdout.strip() == "[]"


def test_a_command_that_does_not_serve_is_not_patched() -> None:
    code = (
        "import sys; sys.argv = ['ds-edge', 'version']\n"
        "import atexit; atexit.register(lambda: print('gevent' in sys.modules))\n"
        "from edge.cli import main; main()"
    )

    assert run("-c", code).stdout.splitlines()[-1] == "False"


def test_serve_starts_patched_and_with_flags_over_variables() -> None:
    result = serve(*ORIGIN, *FREE, DS_EDGE_ORIGIN__URL="x", DS_EDGE_LOG__LEVEL="debug")

    assert result.returncode == 0, result.stderr
    assert "patched True\n" in result.stdout
    assert "origin http://127.0.0.1:9\n" in result.stdout
    assert "level debug\n" in result.stdout


def test_serve_reads_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("origin: {url: http://from.file}")

    result = serve(*FREE, DS_EDGE_CONFIG=str(file))

    assert "origin http://from.file\n" in result.stdout


def test_connections_are_capped_to_the_open_files_and_both_are_told() -> None:
    result = serve(*ORIGIN, *FREE, FILES="4096")

    assert "connections 2688\n" in result.stdout
    told = "open files: 4096, limits.connections: 2688 (of 50000"
    assert told in said(result.stderr)


def test_the_connections_of_a_node_are_what_the_files_of_its_fronts_bear() -> None:
    """The limit of open files is each process's."""
    cap = {"FILES": "8192", "DS_EDGE_CACHE__MEMORY": "1GiB"}
    result = serve(*ORIGIN, *FREE, "--workers", "2", **cap)
    several = {"DS_EDGE_WORKERS": "2", "DS_EDGE_CACHE__MEMORY": "1GiB"}
    check = run("-c", CHECK, "check", "8192", **several)

    assert "connections 11520\n" in result.stdout
    told = "limits.connections: 11520 (of 50000 asked for), 5760 in one front"
    assert told in said(result.stderr)
    told = "50000 do not fit into 8192 open files of each of 2 fronts; serve would take"
    assert f"{told} 11520." in check.stderr


CHECK = """
import resource, sys
from edge.cli import main

files = int(sys.argv.pop())
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
main()
"""


def test_check_says_that_the_connections_do_not_fit() -> None:
    """Before anybody finds out that some are refused. It is no fault of the file."""
    tight = run("-c", CHECK, "check", "4096")
    told = run("-c", CHECK, "check", "--json", "4096")
    roomy = run("-c", CHECK, "check", "4096", DS_EDGE_LIMITS__CONNECTIONS="2688")

    assert tight.stderr == (
        "warning: limits.connections: 50000 do not fit into 4096 open files; "
        "serve would take 2688. Raise ulimit -n\n"
    )
    assert [len(json.loads(told.stdout)["notes"]), tight.returncode] == [1, 0]
    assert (roomy.stderr, roomy.returncode) == ("", 0)


def test_check_refuses_what_serve_would_refuse() -> None:
    """It is no fault of the file, and so another code than that of wrong settings."""
    none = run("-c", CHECK, "check", "512")
    told = run("-c", CHECK, "check", "--json", "512")

    assert none.returncode == told.returncode == 1
    assert none.stdout == ""
    assert "512 open files leave no room for clients" in none.stderr
    answer = json.loads(told.stdout)
    assert answer["ok"] is False and len(answer["problems"]) == 1


def test_too_few_open_files_are_an_error() -> None:
    result = serve(*ORIGIN, *FREE, FILES="512")

    assert result.returncode == 1
    *before, error = said(result.stderr).splitlines()
    assert all(line.startswith("info: spool") for line in before)
    assert error == (
        "error: 512 open files leave no room for clients beside "
        "origin.connections (1024); raise ulimit -n"
    )


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_an_address_in_use_is_one_line_and_exit_code_1(flag: str) -> None:
    key = {"--listen": "listen", "--admin": "admin.listen"}[flag]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = serve(*ORIGIN, *FREE, flag, address)

    assert result.returncode == 1
    expected = f"error: {key}: {address} is in use by another process\n"
    assert said(result.stderr) == expected


def test_a_master_that_takes_over_sockets_does_not_try_to_bind_them() -> None:
    """gunicorn hands its listeners to the program that replaces it (USR2)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = serve(*ORIGIN, *FREE, "--listen", address, GUNICORN_FD="3")

    assert result.returncode == 0, result.stderr


def test_an_admin_address_that_others_reach_is_warned_of_at_the_start() -> None:
    result = serve(*ORIGIN, "--listen", "127.0.0.1:0", "--admin", ":0")

    assert result.returncode == 0
    assert "warning: admin.listen: :0 is reached from other" in said(result.stderr)


def test_serve_with_wrong_settings_exits_with_2() -> None:
    result = serve("--workers", "4")

    assert result.returncode == 2
    assert "error: --workers: workers: 256MiB of cache.memory" in said(result.stderr)


SEVERAL = (*ORIGIN, *FREE, "--workers", "2")


def test_a_run_folder_that_cannot_be_had_is_one_line() -> None:
    """Several processes need one; one worker does not."""
    missing = "/nowhere/to/be/found"
    command = ("-m", "edge.cli", "serve", *SEVERAL)
    result = run(*command, DS_EDGE_RUN_FOLDER=missing)

    assert result.returncode == 1
    assert f"error: run_folder: {missing}: No such file" in said(result.stderr)
    assert "Traceback" not in result.stderr


def test_a_keeper_of_so_many_workers_must_have_its_files() -> None:
    """Their connections come to it alone."""
    few = serve(*SEVERAL, FILES="3000")
    enough = serve(*SEVERAL, FILES="4000")

    assert few.returncode == 1
    assert "3000 open files are too few for a keeper of so many" in said(few.stderr)
    assert enough.returncode == 0
    assert "2 fronts, 1 keeper, " in said(enough.stderr)


def test_on_one_core_auto_is_one_worker() -> None:
    """As in a container with half a core: no keeper, no run folder, no board."""
    result = serve(*ORIGIN, *FREE, "--workers", "auto", CORES="1")

    assert result.returncode == 0
    assert "processes 1 0" in result.stdout.splitlines()
    assert "keepers" not in said(result.stderr)
