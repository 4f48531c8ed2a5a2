"""What processes cost, and how many files may be open."""

import os
import resource
import subprocess
import sys

import pytest

from edge.cli.bench.costs import ProcessTree, allow_files
from edge.cli.streams.exit_faults import Exit, Fault

# Says that it is there, when its child is, and ends with its standard input.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""
CHILD = """
import time
held = bytes([1]) * 100_000_000
while time.process_time() < 0.2: pass
print(flush=True)
time.sleep(600)
"""


def test_a_process_tree_is_a_process_with_its_children() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        processes = ProcessTree(parent.pid)

        assert processes.memory_kib() > 100_000_000 / 1024
        assert processes.cpu_seconds() >= 0.19
        parent.communicate()

    assert processes.memory_kib() == 0
    assert processes.cpu_seconds() == 0


def test_a_process_that_is_not_there_has_no_tree() -> None:
    with pytest.raises(Fault, match="--pid: there is no process 0 here") as caught:
        ProcessTree(0)

    assert caught.value.exit_code is Exit.WRONG


def test_as_many_files_are_allowed_as_may_be() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        allow_files("--viewers", 1)

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_than_may_be_open_is_told_with_what_fits() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
        "import sys; sys.argv = ['ds-edge', 'bench', 'fanout', 'http://127.0.0.1:9/']\n"
        "from edge.cli import main; main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )

    assert ended.returncode == 2
    assert ended.stderr == (
        "error: --viewers: 1000 connections need 1064 open files, and the hard limit "
        "is 200 (ulimit -Hn); at most 136 fit\n"
    )
    assert hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
