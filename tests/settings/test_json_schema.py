"""The JSON Schema of the settings: published, whole, and of one mind with the loader.

Files are read here as editors read them, by the core schema of YAML 1.2: ``8`` is a
number and ``off`` a word.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from edge.settings import SettingsError, load, schema_index
from edge.settings.json_schema import comments, json_schema

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config" / "edge.yaml"
PUBLISHED = ROOT / "docs" / "edge.schema.json"
SCHEMA: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
VALIDATOR = Draft7Validator(SCHEMA)


class AsEditorsRead(yaml.SafeLoader):
    """Text, but for what YAML 1.2 has other kinds of."""


AsEditorsRead.yaml_implicit_resolvers = {}
for kind, pattern, first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)", [*"-+.0123456789"]),
):
    AsEditorsRead.add_implicit_resolver(
        f"tag:yaml.org,2002:{kind}", re.compile(rf"^(?:{pattern})$"), first
    )


def blamed(text: str) -> list[str]:
    """The keys that an editor would mark, each once."""
    # What S506 warns of is a loader that makes objects; this one makes less than safe.
    data = yaml.load(text, AsEditorsRead)
    found = (
        ".".join(map(str, one.absolute_path)) for one in VALIDATOR.iter_errors(data)
    )
    return sorted(set(found))


def problems(text: str, folder: Path) -> list[str]:
    """What the loader says is wrong, each without its place."""
    file = folder / "edge.yaml"
    file.write_text(text)
    try:
        load(file)
    except SettingsError as error:
        return [one.message for one in error.problems]
    return []


def test_the_one_that_is_published_is_made_from_the_settings() -> None:
    """``ds-edge schema > docs/edge.schema.json`` makes it anew."""
    assert json_schema(CONFIG.read_text("utf-8")) == SCHEMA


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "edge.cli", "schema"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert said.stdout == PUBLISHED.read_text("utf-8")


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def found_in(name: str) -> dict[str, Any]:
    """What the schema says of a key by its name."""
    node: dict[str, Any] = SCHEMA
    for part in name.replace("[]", "").split("."):
        text = json.dumps(node) if node is not SCHEMA else ""
        if reference := re.search(r'"#/definitions/(\w+)"', text):
            node = SCHEMA["definitions"][reference[1]]
        node = node["properties"][part]
    return node


@pytest.mark.parametrize("name", schema_index.names())
def test_every_setting_is_told_with_its_default(name: str) -> None:
    told = found_in(name)

    assert told["description"] == dict(comments(CONFIG.read_text("utf-8")))[name]
    assert "default" in told
    assert {"anyOf", "type", "enum", "oneOf", "$ref"} & set(told)


def test_the_file_that_is_shipped_names_it_and_is_right() -> None:
    text = CONFIG.read_text("utf-8")
    [named] = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.M)

    assert (CONFIG.parent / named).resolve() == PUBLISHED
    assert blamed(text) == []


def examples() -> list[Any]:
    """The settings that the documents show, whole or in part; not parts of a route."""
    found = [pytest.param((ROOT / "deploy" / "edge.yaml").read_text(), id="deploy")]
    for page in sorted((ROOT / "docs").glob("*.md")):
        blocks = re.findall(
            r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S
        )
        for number, block in enumerate(blocks):
            keys = yaml.load(block, AsEditorsRead)
            names = set(keys) if isinstance(keys, dict) else set()
            if names and names != {"access"} and names <= set(SCHEMA["properties"]):
                found.append(pytest.param(block, id=f"{page.name}-{number}"))
    return found


@pytest.mark.parametrize("text", examples())
def test_what_the_documents_show_is_right(text: str) -> None:
    assert blamed(text) == []


def test_the_documents_show_some() -> None:
    assert len(examples()) > 10


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("lisen: :8080", ""),
        ("live: {lingr: 5s}", "live"),
        ("live: {linger: 5 seconds}", "live.linger"),
        ("live: {sse_lifetime: 500ms}", "live.sse_lifetime"),
        ("live: {long_poll_timeout: 0s}", "live.long_poll_timeout"),
        ("cache: {memory: 256M i}", "cache.memory"),
        ("cache: {memory: 12}", "cache.memory"),
        ("workers: 0", "workers"),
        ("workers: one", "workers"),
        ("listen: localhost", "listen"),
        ("listen: [{address: ':80', proxy: true}]", "listen"),
        ("origin: {url: example.com}", "origin.url"),
        ("origin: {durability: none}", "origin.durability"),
        ("origin: {breaker: off}", "origin.breaker"),
        ("routes: [{access: private}]", "routes.0.access"),
        ("routes: [{access: {jwt: {keys: []}}}]", "routes.0.access"),
        ("routes: [{match: v1}]", "routes.0.match"),
        ("routes: [{stale_if_error: [200]}]", "routes.0.stale_if_error.0"),
        ("limits: {denied_per_client: 100}", "limits.denied_per_client"),
        ("admin: {token: short}", "admin.token"),
        ("log: {access: 1/0}", "log.access"),
    ],
)
def test_a_mistake_is_marked_where_it_is(text: str, key: str, tmp_path: Path) -> None:
    """And it is one to the loader."""
    assert blamed(text) == [key]
    assert problems(text, tmp_path)


VALUES = (
    *("0", "1", "7", "1.5", "30", "4437", "100000", "5000000", "99999999999", "-1"),
    *("0s", "1s", "30s", "1h30m", "30m1h", "500ms", "1.5s", "365d", "1 s", "s", "1y"),
    *("64KiB", "1 MiB", "16mib", "4GB", "512B", "256M", "1.5KiB", "0KiB", "KiB"),
    *("4/1s", "4 / s", "100/1m", "0/1s", "4", "full", "off", "sampled 1/10", "1/0"),
    *("true", "false", "yes", "null", "~", "''", "'8'", "'30s'", "'true'"),
    *(
        "127.0.0.1:80",
        ":0",
        "'[::1]:8080'",
        "unix:/run/e.sock",
        "'unix:'",
        "unix:e",
        "a:b",
    ),
    *("http://a", "https://a.test:8443", "http://a/b", "http://u@a", "ftp://a"),
    *("embedded", "/v1/**", "/{a}/*", "v1", "a b", "a.test", "stream.example:8443"),
    *("[]", "[a]", "[authorization]", "[host]", "['*']", "'*'", "['*', 'http://a']"),
    *("[502-504, 500]", "[399]", "[600-601]", "[10.0.0.0/8, unix]", "[10.0.0.1/8]"),
    *("{}", "{a: b}", "{X-A: b, x-a: c}", "[{}]", "[{match: /a}]", "[{match: a}]"),
    *("partitioned", "public", "never", "strict", "auto", "honour", "json", "debug"),
    *(
        "lent",
        "full",
        "possible",
        "application/json",
        "[application/*+json]",
        "abcdefgh",
    ),
)
"""Each is right somewhere, or nearly."""


def of_a_file(name: str) -> bool:
    return name.endswith("_file")


def written(name: str, value: str) -> str:
    """A file that says nothing but this."""
    text = ""
    *above, last = name.replace("[].", ".- ").split(".")
    for depth, part in enumerate(above):
        text += f"{'  ' * depth}{part}:\n"
    return f"{text}{'  ' * len(above)}{last}: {value}\n"


NAMES = [name for name in schema_index.names() if not of_a_file(name)]
"""Files are read: whether they are there no schema knows."""


BEYOND = {
    *(("trusted_proxies", value) for value in ("[a]", "[10.0.0.1/8]")),
    *(("origin.host", "-1"), ("origin.server_name", "-1")),
    *(("live.follow_after", "1/0"), ("limits.denied_per_client", "1/0")),
}
"""What no pattern tells: whether bits are set, that a time is none."""


@settings(max_examples=400)
@given(st.sampled_from(NAMES), st.sampled_from(VALUES))
def test_it_is_of_one_mind_with_the_loader(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str
) -> None:
    """No editor blames what is right, and every value blames that is none of its key.
    What one key means for another is the loader's alone."""
    assume((name, value) not in BEYOND)
    text = written(name, value)
    found = problems(text, tmp_path_factory.getbasetemp())

    if blamed(text):
        assert found
    elif found:
        assert not all(one.startswith("expected") for one in found)
