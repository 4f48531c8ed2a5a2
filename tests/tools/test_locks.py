"""The locks pin exact versions, fit what is asked for, and name no address."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tools.lock import LOCKS, without_addresses

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests" / "node"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
ASKED = {
    "run": PROJECT["project"]["dependencies"],
    "build": GROUPS["build"],
    "dev": [
        *PROJECT["project"]["dependencies"],
        *(asked for asked in GROUPS["dev"] if isinstance(asked, str)),
        *GROUPS["build"],
    ],
    "otel": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["otel"],
    ],
    "node": GROUPS["node"],
}


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_pinned(name: str) -> None:
    """Within its bounds too: the Makefile asks pip after it has installed."""
    names = {re.split(r"[^\w.-]", asked)[0].lower() for asked in ASKED[name]}
    assert names
    assert names <= pins(name).keys()


def test_tests_run_with_what_users_run() -> None:
    assert pins("run").items() <= pins("otel").items() <= pins("dev").items()


@pytest.mark.parametrize("lock", [*LOCKS, "tests/node/package-lock.json"])
def test_a_lock_names_no_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()


def test_serving_imports_nothing_but_what_users_have() -> None:
    """The development lock would hide a package that the run lock lacks."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "import edge.cli.serve, edge.cli.start, edge.wiring, edge.origin\n"
        "print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert loaded.returncode == 0, loaded.stderr
    owners = packages_distributions()
    roots = {module.partition(".")[0] for module in loaded.stdout.split()}
    used = {owner.lower() for root in roots for owner in owners.get(root, ())}
    ours = {"durable-streams-edge", *pins("run")}
    assert "gunicorn" in used
    assert {re.sub(r"[._]", "-", name) for name in used} <= ours


def test_npm_locks_what_package_json_asks_for() -> None:
    asked = json.loads((NODE / "package.json").read_text())["dependencies"]
    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    for name, version in asked.items():
        assert locked[f"node_modules/{name}"]["version"] == version


def test_npm_locks_the_digest_of_every_package() -> None:
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    assert [path for path, p in packages.items() if path and "integrity" not in p] == []


def test_npm_locks_every_platform() -> None:
    """A package that brings native code names one package per platform; without
    them in the lock, ``npm ci`` fails, or installs without them, elsewhere."""
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    names = {path.rpartition("node_modules/")[2] for path in packages}
    wanted = [
        name for p in packages.values() for name in p.get("optionalDependencies", ())
    ]
    assert wanted
    assert set(wanted) <= names


def test_addresses_are_taken_out_of_npms_lock() -> None:
    lock = {
        "packages": {"a": {"version": "1", "resolved": "r", "funding": {"url": "u"}}}
    }
    assert without_addresses(lock) == {"packages": {"a": {"version": "1"}}}
