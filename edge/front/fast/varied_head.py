"""VariedHead: the heads of one client that differ in one value that decides nothing.

A client that numbers or traces its requests sends the same head each time, but for that
value. Once ``RequestMemo`` has found it (``HeaderBlock.before`` and ``after``), a whole
head is known by the bytes on both sides, and by what stands between: characters of a
plain value, so that no line can end there. What else comes is not of this kind, and is
judged by the memo. Called by the connection, which keeps one for its client.
"""

from dataclasses import dataclass

from edge.front.fast.plain_requests import PlainRead
from edge.front.fast.request_memo import (
    IN_VALUES,
    MAX_BLOCK_BYTES,
    HeaderBlock,
)


@dataclass(slots=True, eq=False)
class VariedHead:
    """What stands on both sides of the value, and the read that all of them ask for.

    ``before`` begins with the request line, ``after`` ends with the empty line.
    """

    before: bytes
    after: bytes
    plain: PlainRead

    def fits(self, data: bytes) -> bool:
        """Whether ``data`` is one whole head, the same but for that value."""
        before, after = self.before, self.after
        if not data.startswith(before) or not data.endswith(after):
            return False
        value = data[len(before) : -len(after)]
        if len(before) + len(value) + len(after) != len(data):
            # The two overlap.
            return False
        if len(data) > MAX_BLOCK_BYTES:
            return False
        return not value.translate(None, IN_VALUES)


def varied(held: bytes, block: HeaderBlock, plain: PlainRead) -> VariedHead | None:
    """By what the next head of a client is known that has sent ``held``, one whole
    head; None where no value was found that it changes, or where who calls decides."""
    if not block.before or plain.line.by_caller:
        return None
    line = held[: held.find(b"\r\n") + 2]
    return VariedHead(line + block.before, block.after + b"\r\n", plain)
