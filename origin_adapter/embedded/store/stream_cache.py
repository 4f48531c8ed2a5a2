"""StreamCache: known streams, for the writer and the event loop, without the disk.

The writer's thread changes it, after a commit and never before. The event loop only
reads. Every operation is a single one on a dict and every value is frozen, so neither
side needs a lock. The streams known longest are forgotten first.
"""

from origin_adapter.embedded.rules.values import StoredStream

MAX_STREAMS = 50_000


class StreamCache:
    """Committed streams by path and by id, and when each was last read.

    ``touches`` are Unix seconds of reads that are not on disk yet, by id; only
    streams with a TTL are in it.
    """

    __slots__ = ("_by_id", "_by_path", "limit", "touches")

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self._by_path: dict[str, StoredStream] = {}
        self._by_id: dict[int, StoredStream] = {}
        self.limit = limit
        self.touches: dict[int, float] = {}

    def at(self, path: str) -> StoredStream | None:
        """The stream at a path; None means only that it is not known here."""
        return self._by_path.get(path)

    def by_id(self, id: int) -> StoredStream | None:
        """The stream with an id; None means only that it is not known here."""
        return self._by_id.get(id)

    def learn(self, stream: StoredStream) -> None:
        """Writer only: the stream as it was just committed or read."""
        self._by_path.pop(stream.path, None)
        self._by_path[stream.path] = stream
        self._by_id[stream.id] = stream
        if len(self._by_path) > self.limit:
            oldest = self._by_path.pop(next(iter(self._by_path)))
            self._by_id.pop(oldest.id, None)

    def forget(self, stream: StoredStream) -> None:
        """Writer only: the stream is no more."""
        if (there := self._by_path.get(stream.path)) and there.id == stream.id:
            del self._by_path[stream.path]
        self._by_id.pop(stream.id, None)
        self.touches.pop(stream.id, None)

    def touch(self, stream: StoredStream, now: float) -> None:
        """Loop only: the stream was read. Has no effect without a TTL."""
        if stream.lifetime.ttl is not None:
            # Moved to the end. Otherwise only the touches of streams that are read all
            # the time would be written down.
            self.touches.pop(stream.id, None)
            self.touches[stream.id] = now

    def written(self, id: int, at: float) -> None:
        """Writer only: the touch at this time is on disk."""
        if self.touches.get(id) == at:
            self.touches.pop(id, None)

    def touched(self, stream: StoredStream) -> float:
        """When the stream was last touched, on disk or not yet."""
        return max(stream.touched, self.touches.get(stream.id, 0.0))
