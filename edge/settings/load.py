"""Loading settings: layers in, one valid Settings out, or every problem at once.

A setting is text in a file, a variable or a flag (``document``, ``layers``). Each key
is then checked alone (``schema``), and all of them together (``cross_checks``). Called
by ``edge.cli``. It reads the one file that it is given, and the keys that this names.
"""

import copy
import os
from collections.abc import Collection, Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edge.settings import cross_checks, document, schema_index
from edge.settings.access import WAYS, WORD
from edge.settings.document import Data, Document
from edge.settings.layers import Flag, stack
from edge.settings.problems import (
    Path,
    Problem,
    SettingsError,
    SourceLocation,
    repeated,
)
from edge.settings.schema import LogFormat, LogSettings, Settings
from edge.settings.schema_index import KeyKind


def load(
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Sequence[Flag] = (),
) -> Settings:
    """The settings of a file, of ``environ`` over it, and of ``flags`` over both.

    Without a file, the defaults. Raises SettingsError with all problems.
    """
    base = Document() if path is None else document.read(path)
    layered = stack(base, environ or {}, flags)
    if not layered.readable:
        raise SettingsError(layered.problems)
    return _validate(layered)


def load_admin(
    path: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> Settings:
    """The section ``admin``, and the defaults of all else, which may be wrong.

    For whoever asks an edge that runs. It goes on with what it had when its file has
    become wrong since, and is as well as before. Raises SettingsError with what is
    wrong in this section, or with a file that cannot be read.
    """
    base = Document() if path is None else document.read(path)
    layered = stack(base, environ)
    if not layered.readable:
        raise SettingsError(layered.problems)
    admin = _without_empty_sections(layered.data).get("admin", {})
    try:
        return Settings.model_validate({"admin": admin})
    except ValidationError as error:
        found = [_problem(detail, layered) for detail in error.errors()]
        raise SettingsError(found) from None


def log_format(
    path: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    flags: Sequence[Flag] = (),
) -> LogFormat:
    """The format of the log as far as it can be told, whatever else is wrong.

    For errors about settings that cannot be loaded. The default where ``log.format`` is
    not readable or no format.
    """
    base = Document() if path is None else document.read(path)
    data = stack(base, environ, flags).data
    log = data.get("log") if isinstance(data, dict) else None
    written = log.get("format") if isinstance(log, dict) else None
    known = {form.value: form for form in LogFormat}
    return known.get(str(written), LogSettings().format)


def _validate(layered: Document) -> Settings:
    data = _without_empty_sections(layered.data)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        found = [_problem(detail, layered) for detail in error.errors()]
        problems = layered.problems + found
        problems += _together(data, problems, layered)
        raise SettingsError(problems) from None
    problems = layered.problems + _conflicts(settings, layered)
    if problems:
        raise SettingsError(problems)
    return settings


def _without_empty_sections(data: Data) -> dict[str, Data]:
    """A section whose keys are all commented out means its defaults."""
    given = data if isinstance(data, dict) else {}
    return {
        key: {}
        if value is None and schema_index.kind_of((key,)) is KeyKind.SECTION
        else value
        for key, value in given.items()
    }


_NOT_WRITTEN = ("[key]", WORD, WAYS)
"""What pydantic puts into the path of an error, and nobody has written."""


def _problem(detail: ErrorDetails, layered: Document) -> Problem:
    path: Path = tuple(part for part in detail["loc"] if part not in _NOT_WRITTEN)
    return Problem(_place(path, layered), path, _message(detail, path))


def _message(detail: ErrorDetails, path: Path) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(path)
        case "model_type":
            return "expected a mapping of settings"
        case "tuple_type":
            return "expected a list, as in [a, b]"
        case "dict_type":
            return "expected a mapping, as in {name: value}"
        case "enum":
            given = repeated(detail["input"])
            return f"expected {detail['ctx']['expected']}; got {given}"
        case _:
            return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _unknown(path: Path) -> str:
    guess = schema_index.meant(path)
    if guess is not None:
        return f"is not a setting; did you mean {guess}?"
    known = ", ".join(schema_index.known_in(path[:-1]))
    return f"is not a setting; known here: {known}"


def _place(path: Path, layered: Document) -> SourceLocation:
    """Where ``path`` was written, or the nearest mapping around it."""
    while path and path not in layered.places:
        path = path[:-1]
    return layered.places.get(path, layered.source)


def _conflicts(
    settings: Settings, layered: Document, wrong: Collection[Path] = ()
) -> list[Problem]:
    """The conflicts between keys that are right alone, each with its location."""
    found = []
    for conflict in cross_checks.conflicts(settings):
        path, other = conflict.path, conflict.other
        if path in wrong or other in wrong:
            continue
        written = path if other is None or path in layered.places else other
        found.append(Problem(_place(written, layered), path, conflict.message))
    return found


def _together(
    data: dict[str, Data], problems: Sequence[Problem], layered: Document
) -> list[Problem]:
    """The conflicts between the keys that are right; wrong keys are left out."""
    wrong = {problem.path for problem in problems}
    remaining = copy.deepcopy(data)
    for path in sorted(wrong, key=len, reverse=True):
        _remove(remaining, path)
    try:
        settings = Settings.model_validate(remaining)
    except ValidationError:
        return []
    return _conflicts(settings, layered, wrong)


def _remove(data: Data, path: Path) -> None:
    """Remove the value at ``path``; for an item of a list, the whole list."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    for part in path[:-1]:
        if isinstance(data, dict):
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    if isinstance(data, dict) and path:
        data.pop(str(path[-1]), None)
