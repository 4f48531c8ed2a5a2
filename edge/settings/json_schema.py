"""The settings as a JSON Schema (draft 7), by which editors complete and judge a file.

Made from the schema that the loader goes by: every key, how its value is written
(``fragments``), its default, and what it is for, in the words of ``config/edge.yaml``.
What one key means for another it does not know; ``ds-edge check`` does. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from edge.settings.dump import for_people
from edge.settings.fragments import Fragment
from edge.settings.schema import Settings

DRAFT = "http://json-schema.org/draft-07/schema#"
_DEFINITIONS = "#/definitions/"
_KEY = re.compile(r"( *)(- )?([a-z_]+):")


def json_schema(commented: str) -> Fragment:
    """The schema; ``commented`` is the text of ``config/edge.yaml``."""
    made = Settings.model_json_schema(
        by_alias=True,
        ref_template=_DEFINITIONS + "{model}",
        schema_generator=_WithoutDefaults,
    )
    made["definitions"] = made.pop("$defs")
    whole = {"$schema": DRAFT, "title": "Settings of ds-edge", **_plain(made)}
    described, defaults = dict(comments(commented)), for_people(Settings())
    _describe(whole, whole, "", defaults, described)
    return whole


class _WithoutDefaults(GenerateJsonSchema):
    """Defaults are written as people write them; ``_describe`` adds them."""

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])


def comments(text: str) -> Iterator[tuple[str, str]]:
    """What stands above each key of a settings file, by the key's name; examples are
    left out. Keys that stand together have one comment."""
    above: list[tuple[int, str]] = []
    block, is_open = "", False
    for line in text.splitlines():
        found = line.strip()
        if found.startswith("#"):
            words = "" if found.startswith("#  ") else found.removeprefix("#").strip()
            block, is_open = f"{block} {words}".strip() if is_open else words, True
            continue
        is_open = False
        if match := _KEY.match(line):
            depth = len(match[1]) + len(match[2] or "")
            above = [one for one in above if one[0] < depth]
            parent = above[-1][1] if above else ""
            many = "[]" if match[2] or parent == "routes" else ""
            name = f"{parent}{many}.{match[3]}".removeprefix(".")
            above.append((depth, name))
            yield name, block


def _plain(node: Any) -> Any:
    """Without the titles and texts that name classes of the program."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _plain(one) for name, one in value.items()}
        if key in ("properties", "definitions")
        else _plain(value)
        for key, value in node.items()
        if key not in ("title", "description") or not isinstance(value, str)
    }


def _describe(
    whole: Fragment,
    node: Fragment,
    prefix: str,
    defaults: Any,
    described: dict[str, str],
) -> None:
    """Add to every key below ``node`` what it is for, and its default. A section may
    be left empty. (In draft 7 nothing counts beside a ``$ref``.)"""
    for name, value in node.get("properties", {}).items():
        path = f"{prefix}{name}"
        default = defaults.get(name) if isinstance(defaults, dict) else None
        section, many = _section(whole, value)
        told: Fragment = {}
        if path in described:
            told["description"] = described[path]
        if section is None or many:
            told["default"] = default
        else:
            section["type"] = ["object", "null"]
            value = {"allOf": [value]}
        node["properties"][name] = {**told, **value}
        if section is not None:
            inside = default[0] if many and default else default
            dot = "[]." if many else "."
            _describe(whole, section, f"{path}{dot}", inside, described)


def _section(whole: Fragment, value: Fragment) -> tuple[Fragment | None, bool]:
    """The section that a key holds, and whether it is a list of them."""
    many = value.get("type") == "array"
    reference = value.get("items", {}) if many else value
    place = reference.get("$ref", "")
    found = whole["definitions"].get(place.removeprefix(_DEFINITIONS))
    return (found if found and "properties" in found else None), many
