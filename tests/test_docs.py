"""What the product has, its documents describe; what they describe, it has.

Every setting, reason word, counter and dependency is looked up on its page, and
every row of a page is looked up in the product. Written after datasette's rule
that documentation which can be checked is checked.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from edge.access.signed import signed_text
from edge.cli.app import app
from edge.core.histograms import HISTOGRAMS
from edge.core.node_counters import NODE_DESCRIPTIONS
from edge.core.reasons import Reason
from edge.settings import load, schema_index
from edge.settings.access import JwtSettings, SignedSettings
from edge.settings.asked_ways import ForwardSettings, OriginWaySettings
from edge.settings.layers import variable_of
from edge.settings.section import Section

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config" / "edge.yaml"

_CELL = re.compile(r"(?<!\\)\|")


def rows(page: str) -> dict[str, list[str]]:
    """The table rows of a page that begin with a word in code, by that word."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        if cells and re.fullmatch(r"`[^`]+`", cells[0]):
            word = cells[0].strip("`")
            assert word not in found, f"{page} has {word} twice"
            found[word] = cells[1:]
    return found


def leaves(tree: object, name: str = "") -> Iterator[str]:
    """The names of all settings in a YAML tree, as ``shape.names`` gives them."""
    if isinstance(tree, list) and name == "routes":
        yield from leaves(tree[0], "routes[]")
    elif (
        isinstance(tree, dict)
        and (not name or tree)
        and name not in schema_index.names()
    ):
        for key, value in tree.items():
            yield from leaves(value, f"{name}.{key}".removeprefix("."))
    else:
        yield name


SETTING_ROWS = rows("configuration.md")


@pytest.mark.parametrize("name", schema_index.names())
def test_every_setting_is_described(name: str) -> None:
    assert SETTING_ROWS[name][1].endswith("."), f"{name} has no meaning"


def test_every_setting_that_is_described_exists() -> None:
    assert list(SETTING_ROWS) == list(schema_index.names())


@pytest.mark.parametrize("name", schema_index.names())
def test_the_default_that_is_described_is_the_default(name: str) -> None:
    written = SETTING_ROWS[name][0].strip("`")
    text = f'"{written}"' if written == "*" else written

    assert load(None, _variable(name, text)) == load(None)


def _variable(name: str, text: str) -> dict[str, str]:
    section, many, key = name.partition("[].")
    if many:
        return {variable_of(section): f"[{{{key}: {text}}}]"}
    return {variable_of(name): text}


def test_the_file_that_is_shipped_holds_every_setting_and_only_defaults() -> None:
    tree = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))

    assert list(leaves(tree)) == list(schema_index.names())
    assert load(CONFIG) == load(None)


def test_the_file_that_is_shipped_explains_every_setting() -> None:
    """A comment stands above each key, or above the group of keys it is in."""
    lines = CONFIG.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*(- )?[a-z_]+:", line):
            block = lines[:number][::-1]
            before = next((i for i, text in enumerate(block) if "#" in text), 99)
            between = block[:before]
            assert all(text.strip() for text in between) or _opens(line, between), line


def _opens(line: str, between: list[str]) -> bool:
    """Whether the key begins a section whose heading has the comment."""
    return bool(between) and between[0].rstrip().endswith(":")


def test_every_setting_of_a_way_is_described_and_no_other() -> None:
    ways: dict[str, type[Section]] = {
        "jwt": JwtSettings,
        "signed": SignedSettings,
        "forward": ForwardSettings,
        "origin": OriginWaySettings,
    }
    names = [f"{way}.{name}" for way, one in ways.items() for name in one.model_fields]

    assert list(rows("access.md")) == names


def test_the_text_that_a_link_signs_is_the_one_that_is_described() -> None:
    page = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    text = signed_text("k1", "/v1/stream/docs/7", "lang=en", "1800000000")

    assert f"`{text.decode()}`" in page


def test_the_example_of_access_is_one_that_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("```yaml\n")
    example, _, _ = rest.partition("```")
    (tmp_path / "links").write_text("a secret of the tests, which has 32 bytes")
    config = tmp_path / "edge.yaml"
    config.write_text(example.replace("/etc/ds-edge/links", str(tmp_path / "links")))

    [route] = load(config).route_table
    assert len(route.ways) == 2


def test_every_reason_word_is_explained() -> None:
    assert list(rows("reasons.md")) == [reason.value for reason in Reason]


def test_every_reason_says_what_it_means_and_what_to_do() -> None:
    for word, (status, meaning, remedy) in rows("reasons.md").items():
        assert re.fullmatch(r"-|\d{3}(, \d{3})*", status), word
        assert meaning.endswith("."), word
        assert remedy.endswith((".", "?")), word


def test_every_counter_and_histogram_is_described_with_its_labels() -> None:
    told = rows("metrics.md").items()
    labels = {name: re.findall("`([^`]+)`", cells[0]) for name, cells in told}
    counters = {one.name: [one.label] if one.label else [] for one in NODE_DESCRIPTIONS}

    assert labels == counters | {one.name: list(one.labels) for one in HISTOGRAMS}


def test_every_dependency_has_its_line_and_no_other_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(one for g in groups for one in g)]
    names = {
        re.split(r"[^A-Za-z0-9_-]", one)[0].lower()
        for one in wanted
        if isinstance(one, str)
    }

    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    taken, _, _ = page.partition("## Not taken")

    assert set(re.findall(r"^\| `([a-z0-9_-]+)` \|", taken, re.MULTILINE)) == names


PAGES = (
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
)
DS_EDGE: Any = typer.main.get_command(app)


def shell_lines(page: Path) -> Iterator[str]:
    """The commands that a page would have one type, each on one line."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def unknown(line: str) -> list[str]:
    """The commands and options of ``ds-edge`` in a line that it does not have."""
    found = []
    for text in re.findall(r"(?<![\w/-])ds-edge +([a-z-][^|;&<>)#'\"]*)", line):
        if text.startswith("ds-edge"):  # an image's name, and then its command
            text = text.partition(" ")[2]
        command, words = DS_EDGE, text.split()
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        if command is DS_EDGE and words and not words[0].startswith("-"):
            found.append(words[0])
            continue
        has = {"--help"}.union(
            *(one.opts + one.secondary_opts for one in command.params)
        )
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        found += sorted(given - has)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_a_page_has_one_type_exist(page: Path) -> None:
    assert [one for line in shell_lines(page) for one in unknown(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_has_one_make_is_a_target(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)

    assert set(named) <= set(targets)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("ds-edge serve --origin http://o", []),
        ("docker exec e ds-edge origin backup /x --force", []),
        (
            "echo x | ds-edge append $URL --lines | ds-edge tail $URL --from-end",
            ["--from-end"],
        ),
        ("ds-edge sreve", ["sreve"]),
        ("source <(ds-edge completion bash)", []),
        ("ds-edge origin backup f --no-such", ["--no-such"]),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str, wrong: list[str]) -> None:
    assert unknown(line) == wrong


def test_the_change_log_has_this_version() -> None:
    from edge import __version__

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"\n## [{__version__}] - " in text


def test_settings_have_names_that_variables_can_say() -> None:
    """``__`` parts a variable's name, so no key may hold it or a capital."""
    assert all(
        "__" not in name and name == name.lower() for name in schema_index.names()
    )
