"""The messages of one stream of the living origin, and the offsets between them.

Offsets look like the Node reference server's: ``%016d_%016d``, where the second
number counts each message's bytes plus five of framing.
"""

import json
import re
from dataclasses import dataclass, field

from edge.protocol.offsets import BEGIN

_OFFSET = re.compile(r"\d{16}_\d{16}", re.ASCII)
_FRAMING = 5


def _minted(position: int) -> str:
    return f"{0:016d}_{position:016d}"


@dataclass(slots=True)
class Messages:
    """What a stream holds. JSON streams hold one element per message."""

    content_type: str
    closed: bool = False
    _messages: list[bytes] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    @property
    def tail(self) -> str:
        """The offset after the last message."""
        return _minted(self._ends[-1] if self._ends else 0)

    @property
    def _is_json(self) -> bool:
        return self.content_type.partition(";")[0].strip() == "application/json"

    @staticmethod
    def understands(offset: str) -> bool:
        """Whether ``offset`` has the form of an offset of this origin."""
        return offset == BEGIN or _OFFSET.fullmatch(offset) is not None

    def append(self, data: bytes) -> None:
        """Keep ``data``; the elements of a JSON array one by one."""
        for message in self._split(data):
            start = self._ends[-1] if self._ends else 0
            self._messages.append(message)
            self._ends.append(start + len(message) + _FRAMING)

    def _split(self, data: bytes) -> list[bytes]:
        if not self._is_json:
            return [data]
        value = json.loads(data)
        elements = value if isinstance(value, list) else [value]
        return [json.dumps(e, separators=(",", ":")).encode() for e in elements]

    def reaches_beyond(self, offset: str) -> bool:
        """Whether there is data after ``offset``."""
        return bool(self._ends) and (offset == BEGIN or offset < self.tail)

    def after(self, offset: str, page: int | None) -> tuple[bytes, str]:
        """The body that follows ``offset``, at most ``page`` bytes, and its end.

        A page holds at least one message. An offset inside a message returns
        that message whole.
        """
        taken: list[bytes] = []
        end = self.tail
        room = page
        for message, position in zip(self._messages, self._ends, strict=True):
            if offset != BEGIN and _minted(position) <= offset:
                continue
            if room is not None and taken and len(message) > room:
                break
            taken.append(message)
            end = _minted(position)
            room = None if room is None else room - len(message)
        return self._joined(taken), end

    def _joined(self, messages: list[bytes]) -> bytes:
        if self._is_json:
            return b"[" + b",".join(messages) + b"]"
        return b"".join(messages)
