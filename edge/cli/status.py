"""``ds-edge status``: the running edge in a screenful, as its ``/status`` tells it.

Called by ``edge.cli.app``. What is shown of the document is made here for ``top``, too.
A document of another version of this program may lack members, or have others: what is
not there is left out. Nothing that comes from the edge reaches the terminal with
characters that it would obey.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from edge.cli.admin_client import NotWell, fetch
from edge.settings import Settings

SILENT_SECONDS = 5.0
"""A process that gave no sign of life for so long is not well."""

FULL = 0.9
"""The share of a limit from which it is shown as nearly met."""

Document = Mapping[str, Any]


def document(settings: Settings, page: str, within: float) -> Document:
    """A JSON document of the admin address. Raises NotWell."""
    try:
        told = json.loads(fetch(settings, page, within))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise NotWell(f"{settings.admin.listen} answers with no JSON document")
    return told


def worries(status: Document) -> list[str]:
    """What is not well, each in a few words; none: the edge is healthy."""
    found = []
    if not status.get("ready"):
        found.append(f"not ready: {clean(status.get('unready'))}")
    if outage := part(status, "outage"):
        found.append(_outage(outage, status))
    for process in status.get("processes", ()):
        beat = process.get("beat") or 0.0
        if beat >= SILENT_SECONDS:
            name = clean(process.get("name"))
            found.append(f"{name} gave no sign of life for {beat:.0f} s")
    return found


def lines(status: Document) -> Iterator[str]:
    """The document for a person, line by line."""
    yield title(status)
    viewers, fan_out = part(status, "viewers"), part(status, "fan_out")
    yield f"viewers    {_counts(viewers)}"
    yield f"fan-out    {_fan_out(fan_out)}"
    yield f"answers    {_counts(part(status, 'answers'))}"
    if status.get("writes"):
        yield f"writes     {_counts(part(status, 'writes'))}"
    if status.get("refusals"):
        yield f"refused    {_counts(part(status, 'refusals'))}"
    traffic = part(status, "bytes")
    out, came = size(traffic.get("out", 0)), size(traffic.get("from_origin", 0))
    yield f"bytes      {out} to clients, {came} from the origin"
    yield f"origin     {_origin(status)}"
    yield f"limits     {_limits(part(status, 'limits'))}"
    if last := part(status, "reload"):
        yield f"reload     {_reload(last, status)}"
    for process in status.get("processes", ()):
        yield f"process    {_process(process)}"
    for fault in status.get("faults", ()):
        yield f"fault      {fault_of(fault, status)}"


def title(status: Document) -> str:
    """Which edge it is, since when, and whether it is ready."""
    ready = (
        "ready"
        if status.get("ready")
        else f"NOT READY ({clean(status.get('unready'))})"
    )
    name, version = clean(status.get("node")), clean(status.get("version"))
    return f"{name}  ds-edge {version}  up {duration(status.get('uptime', 0))}  {ready}"


def fault_of(fault: Document, status: Document) -> str:
    """One kind of failure: what, how often, and how long ago."""
    ago = _since(fault.get("last") or 0, status)
    words = f"{clean(fault.get('kind'))}: {clean(fault.get('reason'))}"
    times = fault.get("times", 0)
    often = "once" if times == 1 else f"{number(times)} times, last"
    return f"{words}, {often} {ago} ago"


def _outage(outage: Document, status: Document) -> str:
    """Who is away, why, and for how long."""
    who = "the origin is away"
    if outage.get("where") == "behind":
        who = "the edge that this one asks has lost its origin"
    words = f"{who}: {clean(outage.get('reason') or 'unknown')}"
    since = outage.get("since")
    return f"{words}, for {_since(since, status)}" if since else words


def _since(at: float, status: Document) -> str:
    return duration(max(0.0, (status.get("time") or 0) - at))


def _origin(status: Document) -> str:
    origin = part(status, "origin")
    up = "up" if origin.get("up", True) else "AWAY"
    since = origin.get("since")
    if since:
        up += f" for {_since(since, status)}"
    parts = [up, f"requests {_counts(part(origin, 'requests'))}"]
    for name in ("faults", "statuses"):
        if origin.get(name):
            parts.append(f"{name} {_counts(part(origin, name))}")
    return "; ".join(parts)


def _reload(last: Document, status: Document) -> str:
    """What became of the last one, and how long ago."""
    at = last.get("ended") or last.get("began") or 0.0
    ago = duration(max(0.0, (status.get("time") or 0) - at))
    problems = last.get("problems")
    why = [clean(one) for one in (problems if isinstance(problems, list) else ())]
    return "; ".join([f"{clean(last.get('result'))} {ago} ago", *why])


def _fan_out(fan_out: Document) -> str:
    growths, woken = fan_out.get("growths", 0), fan_out.get("woken", 0)
    if not growths:
        return "nothing that viewers waited for has grown yet"
    each = number(round(woken / growths))
    return f"{each} viewers for each event ({number(growths)} events)"


def _limits(limits: Document) -> str:
    """How full each is that anything is used of; those nearly met in capitals."""
    shown = []
    for name, one in limits.items():
        used, limit = one.get("used", 0), one.get("limit", 0)
        if limit and 100 * used >= limit:
            word = clean(name).upper() if used >= FULL * limit else clean(name)
            shown.append(f"{word} {100 * used // limit} %")
    return ", ".join(shown) or "less than 1 % of any"


def _process(process: Document) -> str:
    name, held = clean(process.get("name")), size(process.get("memory", 0))
    beat = process.get("beat")
    words = [
        f"pid {number(process.get('pid', 0), group=False)}",
        f"up {duration(process.get('uptime', 0))}",
        f"{held}",
        f"{number(process.get('connections', 0))} connections",
        f"{number(process.get('viewers', 0))} viewers",
    ]
    if beat is not None and beat >= SILENT_SECONDS:
        words.append(f"SILENT for {beat:.0f} s")
    return f"{name:<10} {', '.join(words)}"


def _counts(counts: Document) -> str:
    """Numbers by their labels, the largest first."""
    pairs = sorted(counts.items(), key=lambda pair: -pair[1])
    return (
        ", ".join(f"{clean(name)} {number(count)}" for name, count in pairs) or "none"
    )


def part(status: Document, name: str) -> Document:
    """A member that is an object; empty where it is not."""
    found = status.get(name)
    return found if isinstance(found, dict) else {}


def clean(text: object, most: int = 200) -> str:
    """Text from elsewhere for a terminal: one line, and nothing that it obeys."""
    shown = "".join(c if c.isprintable() else "?" for c in str(text))
    return shown[:most]


def number(count: float, *, group: bool = True) -> str:
    """A whole number as people write it."""
    return f"{round(count):,}" if group else f"{round(count)}"


def size(octets: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds as people say them: the two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
