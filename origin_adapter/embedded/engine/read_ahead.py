"""ReadAhead: the pages of a long answer, each read while the one before it is sent.

``Engine`` hands it the first page and the end of the answer; the reader's connection
takes page after page. One page is read ahead and no more: a reader that takes its time
holds two. The pages that all readers have ahead are bounded too; whoever finds no slot
has its next page read when it comes for it. A reader that leaves gives its slot back,
and a page that is being read for it is dropped when it is there.

Never killed: the read of a page. Its thread would go on with a connection that the next
reader is given.
"""

from collections.abc import Callable, Generator

import gevent

from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store.pages import StoredPage

ReadPage = Callable[[StoredStream, int, int], StoredPage]
"""The page of a stream at an offset, of so many bytes at most. Raises Refused."""


class ReadAhead:
    """Reads pages by ``read``. ``free``: how many more may be read ahead."""

    def __init__(self, read: ReadPage, most: int) -> None:
        self._read = read
        self.free = most

    def pages(
        self, stream: StoredStream, first: StoredPage, end: int
    ) -> Generator[StoredPage]:
        """``first``, and the pages behind it up to ``end``, which is a row's end.

        Raises Refused when bytes that were there are gone. Rows of another incarnation
        have another id: they never come instead.
        """
        # What is yielded is not held here: its user drops it as early as it can.
        held = [first]
        del first
        while held:
            at = held[0].end
            ahead = None
            if at < end and self.free > 0:
                ahead = self._begin(stream, at, end)
            try:
                yield held.pop()
                if at < end:
                    read = (
                        self._read(stream, at, end - at) if ahead is None else ahead()
                    )
                    held.append(read)
                    del read
            finally:
                if ahead is not None:
                    self.free += 1

    def _begin(
        self, stream: StoredStream, start: int, end: int
    ) -> Callable[[], StoredPage]:
        """Begin to read a page; what is returned waits for it."""
        self.free -= 1
        reading = gevent.spawn(self._try, stream, start, end - start)

        def wait() -> StoredPage:
            found: StoredPage | Refused = reading.get()
            if isinstance(found, Refused):
                raise found
            return found

        return wait

    def _try(self, stream: StoredStream, start: int, most: int) -> StoredPage | Refused:
        # A refusal is an answer: gevent would print what leaves a greenlet.
        try:
            return self._read(stream, start, most)
        except Refused as refusal:
            return refusal
