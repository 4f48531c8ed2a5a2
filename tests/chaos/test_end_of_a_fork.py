"""A fork that is made between two messages, and what an edge tells of its end.

The Node reference server takes any offset of the source for a fork. The fork ends at
that offset, while a read of it ends where its last message does: one place has two
names, and the origin tells the later one only to who stands at the end (E9). What lies
before the earlier one is a closed range (L16). Nobody misses a byte by it.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.chaos.client import once
from tests.support.processes import edge, node_origin

SOURCE = "/v1/stream/source"
FORK = "/v1/stream/fork"
TEXT = {"Content-Type": "text/plain"}
NEXT = "stream-next-offset"


def between(before: str, after: str) -> str:
    """An offset that lies between two of the Node server, which end in a number."""
    part, _, number = before.rpartition("_")
    middle = f"{part}_{int(number) + 1:0{len(number)}}"
    assert before < middle < after
    return middle


def claims(fields: Mapping[str, str]) -> tuple[str, bool]:
    """Where it ends, and whether that is all."""
    return fields[NEXT], fields.get("stream-up-to-date") == "true"


async def tell(origin: int, port: int) -> None:
    await once(origin, "PUT", SOURCE, TEXT)
    ends = [
        (await once(origin, "POST", SOURCE, TEXT, body)).fields[NEXT]
        for body in (b"first", b"second", b"third")
    ]
    begin, last = ends[:2]
    middle = between(last, ends[2])
    how = {**TEXT, "Stream-Forked-From": SOURCE, "Stream-Fork-Offset": middle}
    assert (await once(origin, "PUT", FORK, how)).status == 201

    now = await once(port, "GET", f"{FORK}?offset=now")
    assert claims(now.fields) == (middle, True)
    from_begin = f"{FORK}?offset={begin}"
    asked, held = [await once(port, "GET", from_begin) for _ in range(2)]
    assert asked.body == held.body == b"second"
    assert claims(asked.fields) == (last, True)
    assert "max-age=0" in asked.fields["cache-control"]
    assert claims(held.fields) == (last, False)
    assert "; hit" in held.fields["cache-status"]
    assert "max-age=60" in held.fields["cache-control"]

    assert (await once(port, "POST", FORK, TEXT, b"own")).status == 204
    rest = await once(port, "GET", f"{FORK}?offset={last}")
    assert rest.body == b"own"
    whole = await once(port, "GET", f"{FORK}?offset=-1")
    assert whole.body == b"firstsecondown"
    assert rest.fields[NEXT] == whole.fields[NEXT] > middle


def test_what_lies_before_the_later_name_of_a_forks_end_is_a_closed_range() -> None:
    """E9, L16: whoever keeps it goes on from its end, and gets what was appended."""
    with node_origin() as origin, edge(origin.url) as front:
        ports = [urlsplit(url).port or 0 for url in (origin.url, front.url)]
        asyncio.run(tell(*ports))
