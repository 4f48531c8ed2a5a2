"""An event stream's body in chunks, as the text of its whole events. Pure.

No event is parsed: whoever feeds it searches the text for marks. It serves a load
generator, and trusts the server's framing.
"""

import re

_LINE = b"\r\n"
_OFFSET = re.compile(rb'"streamNextOffset"\s*:\s*"([^"]*)"')


class EventStreamText:
    """One body. ``over``: its last chunk is there."""

    __slots__ = ("_control", "_rest", "_text", "over")

    def __init__(self) -> None:
        self.over = False
        self._rest = self._text = self._control = b""

    def feed(self, data: bytes) -> bytes:
        """What ``data`` completes: events whose empty line is there, in chunks that are
        whole."""
        if self._rest:
            data = self._rest + data
        pieces, size, at = [self._text] if self._text else [], len(data), 0
        while (end := data.find(_LINE, at)) >= 0:
            length = int(data[at:end], 16)
            stop = end + 2 + length
            if not length:
                self.over = True
                break
            if stop + 2 > size:
                break
            pieces.append(data[end + 2 : stop])
            at = stop + 2
        self._rest = data[at:] if at < size else b""
        return self._whole(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _whole(self, text: bytes) -> bytes:
        """Up to the last empty line; what is behind it waits."""
        if text.endswith(b"\n\n"):
            self._text = b""
        else:
            end = text.rfind(b"\n\n") + 2
            if end < 2:
                self._text = text
                return b""
            text, self._text = text[:end], text[end:]
        if b"event: control" in text:
            self._control = text
        return text

    @property
    def offset(self) -> str:
        """Where the last control event said to read on; empty if there was none."""
        found = _OFFSET.findall(self._control)
        return found[-1].decode() if found else ""
