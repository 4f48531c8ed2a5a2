"""The house stands: imports run downwards, pure floors are pure, bars are kept.

The floors are those of docs/architecture.md. Every module of the product is read
as a syntax tree, so an import inside a function or under TYPE_CHECKING counts
like any other. The judges below are tried on small faults of their own first.
"""

import ast
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    "edge.protocol": 0,
    "edge.core": 1,
    "edge.streamlog": 2,
    "edge.policy.http": 2,
    "edge.policy.streams": 3,
    "edge.policy": 3,
    "edge.access": 4,
    "edge.board": 4,
    "edge.live": 4,
    "edge.files": 4,
    "edge.telemetry": 4,
    "origin_adapter": 4,
    "edge.front": 5,
    "edge.link": 5,
    "edge.front.app": 6,
    "edge.front.http1": 7,
    "edge.front.fast": 8,
    "edge.admin": 8,
    "edge.process": 9,
    "edge.settings": 10,
    "edge.node_wiring": 11,
    "edge.ask_wiring": 11,
    "edge.file_wiring": 11,
    "edge.trace_wiring": 11,
    "edge.wiring": 12,
    "edge.origin": 12,
    "edge.supervisor": 12,
    "edge.cli": 13,
    "edge.__main__": 14,
}
"""Each part of the house, and its height."""

ROOF = "edge"
"""The package itself: the version and nothing else; anybody may read it."""

HIGHEST_PURE = 3

KNOWS_ONLY = {
    "origin_adapter": {"edge.protocol", "edge.core"},
    "edge.board": {"edge.protocol", "edge.core"},
    "edge.files": {"edge.protocol", "edge.core"},
    "edge.telemetry": {"edge.protocol", "edge.core"},
}
"""Parts that may not use everything below them."""

KNOWN_ONLY_TO = {
    "origin_adapter": {
        *("edge.settings", "edge.ask_wiring", "edge.node_wiring"),
        *("edge.wiring", "edge.origin"),
    },
    "edge.board": {"edge.process", "edge.node_wiring", "edge.wiring"},
    "edge.files": {"edge.file_wiring", "edge.cli"},
    "edge.telemetry": {"edge.trace_wiring"},
}
"""Concrete parts: settings reads their options, wiring names them."""

IMPURE = {
    *("gevent", "socket", "select", "selectors", "ssl", "asyncio", "signal"),
    *("time", "random", "secrets", "uuid", "threading", "subprocess"),
    *("os", "sys", "io", "pathlib", "shutil", "tempfile", "mmap", "sqlite3"),
    *("logging", "warnings", "importlib"),
    *("falcon", "gunicorn", "httptools", "prometheus_client", "requests"),
}
"""What a pure floor must not import: clocks, chance, files, sockets, frameworks."""

IMPURE_FUNCTIONS = {"open", "print", "input"}
IMPURE_METHODS = {"now", "utcnow", "today"}
"""What a pure floor must not call: files and terminals, and ``datetime.now``."""

MODULE_LINES = 500
FUNCTION_LINES = 60

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for package in ("edge", "origin_adapter")
    for path in sorted((ROOT / package).rglob("*.py"))
}

every_module = pytest.mark.parametrize("name", MODULES)


def part_of(module: str) -> str | None:
    """The part that a module belongs to; None for what is not of this house."""
    for part in sorted(FLOORS, key=len, reverse=True):
        if module == part or module.startswith(part + "."):
            return part
    return ROOF if module == ROOF or module.startswith(ROOF + ".") else None


def imported(name: str, tree: ast.Module, is_package: bool = False) -> Iterator[str]:
    """Every module that ``name`` imports, absolute, as deep as its text tells."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = origin_of(name, node, is_package)
            # ``from edge import log`` names a part; the rest is inside ``base``.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def origin_of(name: str, node: ast.ImportFrom, is_package: bool) -> str:
    """The absolute module that a ``from`` statement reads."""
    if not node.level:
        return node.module or ""
    above = name.split(".")
    kept = len(above) - node.level + is_package
    return ".".join([*above[:kept], *([node.module] if node.module else [])])


def fault(importer: str, target: str) -> str | None:
    """Why ``importer`` may not import ``target``; None when it may."""
    above, below = part_of(importer), part_of(target)
    if below is None or below == ROOF or above == below:
        return None
    if above is None or above == ROOF:
        return f"{importer} stands on no floor, and imports {target}"
    if FLOORS[below] >= FLOORS[above]:
        return f"{importer} imports {target}, which is not below it"
    if below not in KNOWS_ONLY.get(above, {below}):
        return f"{above} knows only {KNOWS_ONLY[above]}, not {target}"
    if above not in KNOWN_ONLY_TO.get(below, {above}):
        return f"{below} is known only to {KNOWN_ONLY_TO[below]}, not to {importer}"
    return None


def module_of(target: str, modules: Container[str]) -> str | None:
    """The module that an imported name is, or is defined in; None for others'."""
    while target not in modules:
        target, dot, _ = target.rpartition(".")
        if not dot:
            return None
    return target


def circles(imports: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Sets of modules that import each other, however far around (Tarjan).

    ``imports`` has the modules that each module imports, itself not among them.
    """
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        path.append(name)
        for target in imports.get(name, ()):
            if target not in numbers:
                visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in path:
                lowest[name] = min(lowest[name], numbers[target])
        if lowest[name] == numbers[name]:
            first = path.index(name)
            if len(path) - first > 1:
                found.append(sorted(path[first:]))
            del path[first:]

    for name in imports:
        if name not in numbers:
            visit(name)
    return found


def imports_between(sources: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which of these modules each of them imports, late and for the type checker too.

    A package is its ``__init__``. That importing a module runs the packages around it
    counts for nothing: those import their modules, and nothing else.
    """
    graph: dict[str, set[str]] = {}
    for name, tree in sources.items():
        is_package = any(other.startswith(name + ".") for other in sources)
        targets = imported(name, tree, is_package)
        seen = {module_of(target, sources) for target in targets}
        graph[name] = {target for target in seen if target is not None} - {name}
    return graph


def impurities(name: str, tree: ast.Module) -> list[str]:
    """What a module of a pure floor imports or calls and must not."""
    found = [m for m in imported(name, tree) if m.partition(".")[0] in IMPURE]
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=word)) if word in IMPURE_FUNCTIONS:
                found.append(f"{word}()")
            case ast.Call(func=ast.Attribute(attr=word)) if word in IMPURE_METHODS:
                found.append(f".{word}()")
    return found


def long_functions(tree: ast.Module) -> list[str]:
    """Functions above the bar, with their length in lines."""
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]


def type_names(tree: ast.Module) -> Iterator[str]:
    """The public classes of a module, and its ``Name: TypeAlias = ...``."""
    for node in tree.body:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.AnnAssign(
                    target=ast.Name(id=name),
                    annotation=ast.Name(id="TypeAlias")
                    | ast.Attribute(attr="TypeAlias"),
                )
            ) if not name.startswith("_"):
                yield name


def tree_of(name: str) -> ast.Module:
    """The syntax tree of a module of this house."""
    return ast.parse(MODULES[name].read_text("utf-8"))


# The house.


def test_the_walk_sees_the_house() -> None:
    """Were nothing found, everything below would pass."""
    assert "edge.protocol" in MODULES
    assert "edge.core.values" in MODULES


@every_module
def test_a_module_stands_on_a_floor(name: str) -> None:
    """docs/architecture.md names every part; a new one gets its height here."""
    assert name == ROOF or part_of(name) in FLOORS


@every_module
def test_imports_run_downwards(name: str) -> None:
    """Only from lower floors, and never from a sibling."""
    is_package = MODULES[name].name == "__init__.py"
    targets = imported(name, tree_of(name), is_package)

    assert [fault(name, target) for target in targets if fault(name, target)] == []


def test_no_modules_import_each_other() -> None:
    """Not inside a part either, and not for the type checker alone: where two modules
    need each other, they are one subject, or a third one is missing."""
    assert circles(imports_between({name: tree_of(name) for name in MODULES})) == []


@every_module
def test_a_pure_floor_is_pure(name: str) -> None:
    """Time is an argument, and nothing leaves floors 0 to 3."""
    part = part_of(name)

    if part in FLOORS and FLOORS[part] <= HIGHEST_PURE:
        assert impurities(name, tree_of(name)) == []


@every_module
def test_a_module_opens_with_its_contract(name: str) -> None:
    """House style: what it decides, what it never does, who calls it."""
    assert ast.get_docstring(tree_of(name))


@every_module
def test_a_module_and_its_functions_stay_within_their_bars(name: str) -> None:
    """House style: no module above 500 lines, no function above 60."""
    lines = MODULES[name].read_text("utf-8").splitlines()

    assert len(lines) <= MODULE_LINES
    assert long_functions(tree_of(name)) == []


def floors_told() -> dict[str, int]:
    """The floors as docs/architecture.md tells them."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", page, flags=re.MULTILINE)
    return {
        part.replace("/", "."): int(floor)
        for floor, parts in rows
        for part in re.findall(r"`([\w/]+)`", parts)
    }


def test_the_floors_are_told_as_they_are() -> None:
    """docs/architecture.md has a row for each; a package's own face needs none."""
    faces = {"edge.policy", "edge.__main__"}

    assert floors_told() == {p: f for p, f in FLOORS.items() if p not in faces}


def test_a_class_name_has_one_meaning() -> None:
    """One word, one meaning: no two classes of the product share a name, nor does a
    class share one with a ``TypeAlias``."""
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for name in type_names(tree_of(module)):
            where.setdefault(name, []).append(module)

    assert {name: places for name, places in where.items() if len(places) > 1} == {}


# The judges.


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("edge.policy.streams.decide", "edge.streamlog.segments.Segment"),
        ("edge.streamlog.segments", "edge.streamlog.boundaries"),
        ("edge.live.hub", "edge.policy"),
        ("edge.process.worker", "edge.live.hub"),
        ("edge.settings.schema", "origin_adapter.http.options.PoolOptions"),
        ("edge.wiring", "origin_adapter.http"),
        ("origin_adapter.http.pool", "edge.core.ports"),
        ("origin_adapter.http.pool", "origin_adapter.http.options"),
        ("edge.cli.main", "edge.__version__"),
        ("edge.protocol.sse", "json"),
        ("edge.live.hub", "edgewise"),
    ],
)
def test_an_import_from_below_or_from_within_is_no_fault(
    importer: str, target: str
) -> None:
    """Nor is one from outside the house, whatever its name begins with."""
    assert fault(importer, target) is None


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("edge.core.values", "edge.streamlog.segments"),
        ("edge.streamlog.segments", "edge.policy.streams.decide"),
        ("edge.live.hub", "edge.front.app.app"),
        ("edge.live.hub", "origin_adapter.scripted"),
        ("origin_adapter.http.pool", "edge.live.hub"),
        ("origin_adapter.http.pool", "edge.streamlog.segments"),
        ("edge.front.app.app", "origin_adapter.http"),
        ("edge.front.app.app", "edge.settings"),
        ("edge.cli.serve", "origin_adapter.http"),
        ("edge.settings", "edge.wiring"),
        ("edge", "edge.core.values"),
        ("edge.somewhere", "edge.core.values"),
    ],
)
def test_an_import_upwards_sideways_or_around_is_a_fault(
    importer: str, target: str
) -> None:
    """Each of them once."""
    assert fault(importer, target)


@pytest.mark.parametrize(
    "statement",
    [
        "import edge.live.hub",
        "import json, edge.live.hub as hub",
        "from edge import live",
        "from edge.live import hub",
        "from .. import live",
        "from ..live.hub import Hub",
        "def late():\n    from edge.live.hub import Hub",
        "if TYPE_CHECKING:\n    from edge.live.hub import Hub",
    ],
)
def test_no_way_of_writing_an_import_hides_it(statement: str) -> None:
    """Absolute, relative, renamed, late or only for the type checker."""
    targets = imported("edge.streamlog.segments", ast.parse(statement))

    assert any(fault("edge.streamlog.segments", target) for target in targets)


HOUSE_OF_THREE = {
    "edge.live": "",
    "edge.live.rows": "import enum\n",
    "edge.live.flights": "from edge.live.rows import Reader\n",
    "edge.live.hub": "from edge.live.flights import Flights\nimport edge.live.rows\n",
}


def house(**changed: str) -> dict[str, ast.Module]:
    """The small house, with the text of some modules changed."""
    texts = {**HOUSE_OF_THREE, **{f"edge.live.{k}": v for k, v in changed.items()}}
    return {name: ast.parse(text) for name, text in texts.items()}


def test_modules_that_import_downwards_make_no_circle() -> None:
    """Nor does one that two others import."""
    assert circles(imports_between(house())) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from edge.live.flights import Flights",
        "from edge.live import flights",
        "from . import flights",
        "from .flights import Flights",
        "import edge.live.flights",
        "def late():\n    from edge.live.flights import Flights",
        "if TYPE_CHECKING:\n    from edge.live.flights import Flights",
    ],
)
def test_a_circle_of_two_modules_is_seen(statement: str) -> None:
    """In whatever way it is written."""
    (circle,) = circles(imports_between(house(rows=statement)))

    assert circle == ["edge.live.flights", "edge.live.rows"]


def test_a_circle_around_three_modules_is_seen_as_one() -> None:
    """However long it is, and whatever hangs on it."""
    found = circles(
        imports_between(
            house(rows="import edge.live.hub", aside="import edge.live.hub")
        )
    )

    assert found == [["edge.live.flights", "edge.live.hub", "edge.live.rows"]]


def test_two_circles_are_two() -> None:
    """Each is named by itself."""
    found = circles(
        imports_between(
            house(
                rows="import edge.live.flights",
                one="import edge.live.two",
                two="import edge.live.one, edge.live.hub",
            )
        )
    )

    assert sorted(found) == [
        ["edge.live.flights", "edge.live.rows"],
        ["edge.live.one", "edge.live.two"],
    ]


def test_a_package_that_its_own_module_imports_is_in_a_circle() -> None:
    """If it imports that module; importing names around it is none."""
    sources = house(rows="from edge.live import VERSION")
    assert circles(imports_between(sources)) == []

    sources["edge.live"] = ast.parse("from edge.live.rows import Reader")
    assert circles(imports_between(sources)) == [["edge.live", "edge.live.rows"]]


def test_a_package_counts_its_dots_from_itself() -> None:
    """In an ``__init__`` one dot is the package, elsewhere the one above."""
    tree = ast.parse("from . import hub")

    assert list(imported("edge.live", tree, is_package=True)) == ["edge.live.hub"]
    assert list(imported("edge.live.tick", tree)) == ["edge.live.hub"]


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from gevent.event import Event",
        "from datetime import datetime\nx = datetime.now()",
        "def f():\n    return open('x')",
        "def f():\n    print('x')",
    ],
)
def test_an_impurity_is_seen(source: str) -> None:
    """Clocks, files and sockets, imported or called."""
    assert impurities("edge.streamlog.segments", ast.parse(source))


def test_a_constant_of_the_calendar_is_pure() -> None:
    """The cursor's epoch is a date; asking what day it is would not be."""
    tree = ast.parse("from datetime import UTC, datetime\nx = datetime(2024, 10, 9)")

    assert impurities("edge.protocol.cursor", tree) == []


@pytest.mark.parametrize(
    "source",
    [
        "class Verdict:\n    pass",
        "Verdict: TypeAlias = Grant | Denied",
        "Verdict: typing.TypeAlias = 'Grant | Denied'",
    ],
)
def test_a_name_of_a_type_is_seen(source: str) -> None:
    """A class and an alias alike; a private one and a plain constant are none."""
    around = "class _Own:\n    pass\n_Mine: TypeAlias = int\nLIMIT: int = 1\n"

    assert list(type_names(ast.parse(around + source))) == ["Verdict"]


def test_the_bar_for_functions_lies_at_sixty_lines() -> None:
    """Sixty is within it."""
    within = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)

    assert long_functions(ast.parse(within)) == []
    assert long_functions(ast.parse(within + "    x = 1\n")) == ["f: 61"]
