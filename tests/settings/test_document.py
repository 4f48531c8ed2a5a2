"""YAML to plain text data with the line of every key, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.settings import document
from edge.settings.document import Document
from edge.settings.problems import SourceLocation


def said(text: str) -> list[str]:
    return [str(problem) for problem in document.parse(text, "f").problems]


def test_scalars_stay_text_whatever_yaml_would_read_into_them() -> None:
    """The Norway problem: in YAML 1.1 off, no and 1:30 are false, false and 90."""
    text = "{a: off, b: no, c: 010, d: 1:30, e: 2020-01-01, f: 1_000, g: .inf}"

    assert document.parse(text, "f").data == {
        "a": "off",
        "b": "no",
        "c": "010",
        "d": "1:30",
        "e": "2020-01-01",
        "f": "1_000",
        "g": ".inf",
    }


def test_only_unquoted_null_is_nothing() -> None:
    found = document.parse("{a: null, b: ~, c: , d: 'null', e: \"\"}", "f")

    assert found.data == {"a": None, "b": None, "c": None, "d": "null", "e": ""}


def test_every_key_and_item_has_its_line() -> None:
    found = document.parse("a:\n  b: 1\n  c:\n    - x\n    - y\n", "f")

    assert found.places == {
        ("a",): SourceLocation("f", 1),
        ("a", "b"): SourceLocation("f", 2),
        ("a", "c"): SourceLocation("f", 3),
        ("a", "c", 0): SourceLocation("f", 4),
        ("a", "c", 1): SourceLocation("f", 5),
    }


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a comment\n", "---\n"])
def test_an_empty_document_says_nothing(text: str) -> None:
    found = document.parse(text, "f")

    assert (found.data, found.problems, found.readable) == (None, [], True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "f:3: a: is written twice; the first is on line 1"),
        ("a:\n  b: 1\n  b: 2", "f:3: a.b: is written twice; the first is on line 2"),
        ("a: &x 1\nb: *x", "f:2: aliases are not taken; write the value out"),
        ("a: !!python/object:os.system x", "f:1: a: tags (!...) are not taken"),
        ("a: !!int 5", "f:1: a: tags (!...) are not taken"),
        ("a: !env X", "f:1: a: tags (!...) are not taken"),
        ("a: !!omap [b: 1]", "f:1: a: tags (!...) are not taken"),
        ("[a, b]: 1", "f:1: a key must be plain text"),
        ("a: 1\n--- \nb: 2", "f:2: holds more than one document (---)"),
        ("a: [1", "f:1: is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n\tb: 2", "f:2: is not YAML"),
        ("a: 1\nb: \x07", "f:2: holds a control character"),
        ("a: @x", "f:1: is not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, problem: str) -> None:
    assert any(line.startswith(problem) for line in said(text)), said(text)


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("a: 1\nb: [{c: d}\ne: 2\nf: 3", "f:3: ; the [ of line 2, column 4"),
        ("a: {b: [c],\n\n d: e", "f:3: ; the { of line 1, column 4"),
        ("a:\n- [x,\n   {y: z]", "f:3: ; the { of line 3, column 4"),
        ("a: [b:", "f:1: ; the [ of line 1, column 4"),
        ("---\n# [\na: {", "f:3: ; the { of line 3, column 4"),
        ("a: 1\nb: 'c\nd: e", "f:3: ; the ' of line 2, column 4"),
        ('"a: 1', 'f:1: ; the " of line 1, column 1'),
    ],
)
def test_what_is_not_closed_is_said_with_where_it_opened(
    text: str, opened: str
) -> None:
    """The end is missed lines later, often where nothing is wrong."""
    noticed, _, rest = opened.partition(" ")
    [line] = said(text)

    assert line.startswith(f"{noticed} is not YAML: ")
    assert line.endswith(f"{rest} is not closed")


def test_a_bracket_that_is_closed_is_not_named() -> None:
    assert "not closed" not in str(said("a: [b, {c: d}]\ne: f: g"))


def test_a_billion_laughs_are_refused_at_the_first() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]

    assert said("\n".join(lines)) == ["f:2: aliases are not taken; write the value out"]


def test_depth_is_bounded() -> None:
    assert said("[" * 20_000) == ["f:1: is nested deeper than 16 levels"]


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    missing, folder = tmp_path / "none.yaml", tmp_path

    assert _only(document.read(missing)).endswith("No such file or directory")
    assert _only(document.read(folder)).endswith("Is a directory")


def test_a_file_too_large_or_not_text_is_one_problem(tmp_path: Path) -> None:
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    large.write_bytes(b"#" * (document.MAX_BYTES + 1))
    binary.write_bytes(b"a: 1\nb: \xff\n")

    assert _only(document.read(large)).endswith("is larger than 262144 bytes")
    assert _only(document.read(binary)) == f"{binary}:2: is not UTF-8 text"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert document.read(file).data == {"a": "1"}


@given(
    st.text(alphabet=st.sampled_from("ab:-[]{},#&*!|>'\"%@`?~ \n\t0\x00é"), max_size=60)
)
def test_no_text_makes_it_raise(text: str) -> None:
    found = document.parse(text, "f")

    assert found.readable or found.problems


def _only(found: Document) -> str:
    assert not found.readable
    (problem,) = found.problems
    return str(problem)
