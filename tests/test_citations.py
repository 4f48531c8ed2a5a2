"""What is cited can be looked up, inside this repository.

Code, tests and documents cite rules (L1), hazards (E1), guards (P1) and facts about
origins (O1) by number, and modules, tests and classes by name. Here each citation is
looked up, and nothing may lean on a document that a reader cannot open. The judges
below are tried on small faults of their own first.
"""

import ast
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
RULES = (DOCS / "rules.md", DOCS / "access-rules.md", DOCS / "scale-rules.md")
HAZARDS = DOCS / "hazards.md"
GLOSSARY = DOCS / "glossary.md"

PAGES = (
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
)
"""What is written for people, and names files of the repository."""

OUTSIDE = frozenset({"PROTOCOL.md"})
"""Documents of others that may be cited: the specification of Durable Streams."""

UNDER_WAY: frozenset[str] = frozenset()
"""Rules that are cited, and get their section with what is built last of them."""

PARTS = "edge|origin_adapter|tests|docs|config|tools|requirements"

_MADE = frozenset({"node_modules", "__pycache__", "build", "dist", "var"})

_CITED = re.compile(r"(?<![\w./%-])([ABELOPSUW])([1-9][0-9]?)(?![\w-])")
_HEADING = re.compile(r"^### ([ABELOPSUW][1-9][0-9]?) \S", re.MULTILINE)
_PAGE = re.compile(r"(?<![\w./-])[\w./-]+\.md\b")
_LOST = re.compile(r"\b(?:HAZARDS|ORIGINS|DESIGN|HOUSE|LOG(?= L[0-9]))\b")
_PATH = re.compile(rf"(?<![\w./-])(?:{PARTS})/[\w./*-]*\w")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NAMES = re.compile(r"`([\w/]+\.py)`\s+\(((?:`[\w.]+`(?:,\s+|(?=\))))+)\)")
_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


# The judges. Each takes texts and tells what is wrong with them.


def cited(text: str) -> set[str]:
    """The numbers that a text cites."""
    return {letter + number for letter, number in _CITED.findall(text)}


def headings(*pages: str) -> list[str]:
    """The numbers that pages explain, in order."""
    return [number for page in pages for number in _HEADING.findall(page)]


def entries(page: str) -> dict[str, str]:
    """The text below each numbered heading."""
    pieces = re.split(r"^#+ ", page, flags=re.MULTILINE)
    numbered = (re.match(r"([ABELOPSUW][1-9][0-9]?) ", piece) for piece in pieces)
    return {m[1]: m.string for m in numbered if m is not None}


def strangers(text: str, folder: Path) -> list[str]:
    """Documents that a text names and the repository does not hold."""
    missing = [
        name
        for name in _PAGE.findall(text)
        if name not in OUTSIDE
        and not any((base / name).is_file() for base in (ROOT, DOCS, folder))
    ]
    return missing + _LOST.findall(text)


def lost_paths(text: str) -> list[str]:
    """Paths of the repository that a text names and that do not exist."""
    return [path for path in _PATH.findall(text) if not _exists(path)]


def _exists(path: str) -> bool:
    """As a file, a folder, a pattern, or a module without its ``.py``."""
    if "*" in path:
        return any(ROOT.glob(path))
    return (ROOT / path).exists() or (ROOT / f"{path}.py").is_file()


def lost_links(text: str, page: Path) -> list[str]:
    """Links to other pages of the repository, or into them, that lead nowhere."""
    found = []
    for target in _LINK.findall(text):
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        if "://" in target:
            continue
        if not other.exists() or (anchor and anchor not in anchors(other)):
            found.append(target)
    return found


def anchors(page: Path) -> set[str]:
    """Where a link may lead in a page, by GitHub's rule."""
    titles = _TITLE.findall(page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w -]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def lost_names(text: str) -> list[str]:
    """Functions, classes and tests that a text names beside a module without them."""
    return [
        f"{module}: {name}"
        for module, names in _NAMES.findall(text)
        for name in re.findall(r"`([\w.]+)`", names)
        if name.rpartition(".")[2] not in defined(module)
    ]


def defined(module: str) -> set[str]:
    """The functions and classes of a module, however deep."""
    path = ROOT / module
    if not path.is_file():
        return set()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def lost_classes(page: str) -> list[str]:
    """Classes that a glossary has under a part that does not define them."""
    found = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE):
        title, _, table = section.partition("\n")
        parts = re.findall(r"(?:edge|origin_adapter)(?:/\w+)*", title)
        known = {name for part in parts for name in classes(part)}
        found += [name for name in _ROW.findall(table) if name not in known]
    return found


def classes(part: str) -> Iterator[str]:
    """All classes that a package defines."""
    for path in (ROOT / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name


def files() -> dict[str, str]:
    """Every text of the repository but this one, by its path."""
    found = {}
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not _is_made(name)]
        for path in (Path(folder, name) for name in names):
            if path == Path(__file__) or path.suffix == ".png":
                continue
            if path.is_file():
                text = path.read_bytes().decode("utf-8", "replace")
                found[path.relative_to(ROOT).as_posix()] = text
    return found


def _is_made(folder: str) -> bool:
    """Whether a folder holds what tools left there."""
    hidden = folder.startswith(".") and folder != ".ci"
    return hidden or folder in _MADE or folder.endswith(".egg-info")


FILES = files()


def texts(paths: Iterable[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in paths]


EXPLAINED = headings(*texts((*RULES, HAZARDS)))

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# What the repository says.


def test_the_walk_sees_the_repository() -> None:
    """Were nothing found, everything below would pass."""
    assert "edge/__init__.py" in FILES
    assert "README.md" in FILES
    assert len(FILES) > 300
    assert sum(len(cited(text)) for text in FILES.values()) > 500


def test_every_rule_and_every_hazard_has_its_heading_in_order() -> None:
    rules = [f"L{number}" for number in range(1, 29)]
    rules += [f"U{number}" for number in range(1, 32)]
    rules += [f"A{number}" for number in range(1, 13)]
    rules += [f"A{number}" for number in (14, 15, 16, 17, 19, 20)]
    rules += [f"B{number}" for number in range(1, 24)]
    rules += [f"W{number}" for number in range(1, 18)]
    rules += ["S1", "S2"]
    hazards = [f"E{number}" for number in range(1, 56)]

    assert headings(*texts(RULES)) == [one for one in rules if one not in UNDER_WAY]
    assert headings(*texts([HAZARDS]))[:55] == hazards
    assert len(set(EXPLAINED)) == len(EXPLAINED)


def test_everything_that_is_cited_is_explained() -> None:
    lost = {
        name: missing
        for name, text in FILES.items()
        if (missing := cited(text) - set(EXPLAINED) - UNDER_WAY)
    }

    assert not lost


def test_everything_that_is_explained_is_cited_by_a_test() -> None:
    """A rule that no test names may be broken without a sound."""
    tested = {
        number
        for name, text in FILES.items()
        if name.startswith("tests/") and name.endswith(".py")
        for number in cited(text)
    }

    assert not [number for number in EXPLAINED if number not in tested]


@pytest.mark.parametrize("number", headings(*texts(RULES)))
def test_a_rule_says_why_whence_where_and_how_it_is_tested(number: str) -> None:
    entry = entries("\n".join(texts(RULES)))[number]

    for word in ("Why", "Source", "Decided in", "Tests"):
        assert f"*{word}.* " in entry, word


@pytest.mark.parametrize(
    "number", [number for number in EXPLAINED if number[0] in "EP"]
)
def test_a_hazard_says_what_happens_here_and_where(number: str) -> None:
    """A guard is itself what happens here."""
    entry = entries(HAZARDS.read_text(encoding="utf-8"))[number]

    for word in ("*Where:*", "*Tests.* ", *(["*Here:*"] if number[0] == "E" else [])):
        assert word in " ".join(entry.split()), word


def test_no_text_leans_on_a_document_that_is_not_here() -> None:
    lost = {
        name: missing
        for name, text in FILES.items()
        if (missing := strangers(text, (ROOT / name).parent))
    }

    assert not lost


@every_page
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert not lost_paths(page.read_text(encoding="utf-8"))


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not lost_links(page.read_text(encoding="utf-8"), page)


@every_page
def test_every_name_beside_a_module_is_defined_there(page: Path) -> None:
    assert not lost_names(page.read_text(encoding="utf-8"))


def test_every_class_of_the_glossary_is_where_it_says() -> None:
    assert not lost_classes(GLOSSARY.read_text(encoding="utf-8"))


def test_no_word_is_in_the_glossary_twice() -> None:
    """One word, one meaning."""
    page = GLOSSARY.read_text(encoding="utf-8")
    words = [
        word
        for row in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
        if row not in ("word", "class", "---")
        for word in row.split(", ")
    ]

    assert len(set(words)) == len(words)


# The judges find what is wrong.


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("as L4 and (E12) say; L2, L3.", {"L4", "E12", "L2", "L3"}),
        ("E42 to E44", {"E42", "E44"}),
        ("**O18**", {"O18"}),
        ("L0 L123 XL4 L4x E-4 /L5 -O2 HTML5 %C3%A4", set()),
    ],
)
def test_citations_are_told_from_other_words(text: str, numbers: set[str]) -> None:
    assert cited(text) == numbers


def test_a_heading_is_one_only_with_its_words() -> None:
    assert headings("### L1 Known\n#### L2 No\n### L3\n## L4 No\nL5 x\n") == ["L1"]


def test_an_entry_ends_with_the_next_heading() -> None:
    page = "### L1 A\none\n\n## Part\n\nno\n\n### L2 B\ntwo\n"

    assert {n: "no" in text for n, text in entries(page).items()} == {
        "L1": False,
        "L2": False,
    }


@pytest.mark.parametrize(
    "text",
    [
        "see NOTES.md",
        "see docs/nowhere.md",
        "``LAW.md`` L4",
        "HAZARDS E4",
        "DESIGN section 6",
        "(ORIGINS)",
        "as LOG L4 says",
    ],
)
def test_a_document_that_is_not_here_is_found(text: str) -> None:
    assert strangers(text, ROOT)


@pytest.mark.parametrize(
    "text",
    ["PROTOCOL.md section 8", "rules.md", "docs/rules.md", "README.md", "a LOG line"],
)
def test_a_document_that_is_here_is_no_stranger(text: str) -> None:
    assert not strangers(text, ROOT)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("in `edge/core.py`.", ["edge/core.py"]),
        ("in `tests/no_such/test_x.py`", ["tests/no_such/test_x.py"]),
        ("`docs/r*.md`, `docs/*.txt`", ["docs/*.txt"]),
        ("`edge/cli`, `docs/rules.md`, `edge/cli/`.", []),
        ("/var/edge/lost https://x/docs/lost", []),
    ],
)
def test_a_path_that_is_not_there_is_found(text: str, lost: list[str]) -> None:
    assert lost_paths(text) == lost


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("[a](rules.md) [b](rules.md#l1-known-offsets) [c](https://x/y.md)", []),
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("[a](rules.md#l99-unknown)", ["rules.md#l99-unknown"]),
        ("[a](#glossary) [b](#no)", ["#no"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, lost: list[str]) -> None:
    assert lost_links(text, GLOSSARY) == lost


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("`tests/test_citations.py` (`cited`,\n`no_such`)", ["no_such"]),
        ("`tests/test_citations.py` (`cited`, `Judge.headings`)", []),
        ("`tests/test_citations.py` (some words, `no_such`)", []),
        ("`tests/nowhere.py` (`cited`)", ["cited"]),
    ],
)
def test_a_name_that_is_not_defined_is_found(text: str, lost: list[str]) -> None:
    assert [name.rpartition(" ")[2] for name in lost_names(text)] == lost


def test_a_class_that_is_not_there_is_found() -> None:
    page = "# G\n\n## Words\n\n| word | x |\n\n## edge/cli\n\n| `Hub` | x |\n"

    assert lost_classes(page) == ["Hub"]
