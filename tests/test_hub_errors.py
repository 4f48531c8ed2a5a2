"""A test has failed when gevent's hub reported an error, unless it expects one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import threading

import gevent


def die():
    gevent.spawn(lambda: 1 / 0).join()


def test_dies():
    die()


def test_is_well():
    gevent.idle()


def test_expects_it(hub_errors):
    die()
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]


def test_dies_on_another_thread():
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()


def test_is_well_again():
    gevent.idle()
"""


def test_what_the_hub_reports_fails_the_test_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(TESTS)
    options = ("-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:randomly")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rE", *options, "--rootdir", ".", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    lines = done.stdout.splitlines()
    failed = [line.split("::")[1].split()[0] for line in lines if "ERROR " in line[:6]]
    assert failed == ["test_dies", "test_dies_on_another_thread"], done.stdout
    assert done.stdout.count("gevent's hub reported") >= 2
