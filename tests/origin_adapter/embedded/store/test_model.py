"""Any history of streams and forks, against a plain model, byte for byte.

The model keeps each stream's bytes as one string, copied when it is forked; the
keep never copies, sweeps in between, and is closed and opened again. Whatever
was acknowledged must be read back, from every offset that was ever returned,
in pages of any size.
"""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.rules.offsets import to_text
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    ForkRequest,
    MessageBatch,
    ProducerClaim,
    StreamAppended,
    StreamCreated,
)
from origin_adapter.embedded.store import pages
from origin_adapter.embedded.store.store import Maintain, Outcome, Store, look_up
from tests.support.options import embedded_options

PATHS = [f"/v1/stream/{name}" for name in "abcd"]
FIRST = PATHS[:2]
TEXT = "text/plain"

paths = st.sampled_from(PATHS)
bodies = st.binary(min_size=1, max_size=12)
seldom = st.sampled_from([False] * 9 + [True])


@dataclass
class Model:
    """One stream as its writers know it."""

    data: bytes
    offsets: list[int]
    closed: bool = False
    source: "Model | None" = None
    forks: int = 0
    gone: bool = False
    producers: dict[str, tuple[int, int]] = field(default_factory=dict)


class Histories(RuleBasedStateMachine):
    """Rules are what clients do; invariants are what they may rely on."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.options = embedded_options(
            Path(self.folder.name), durability=Durability.OS
        )
        self.store = Store(self.options)
        self.now = 1_000_000.0
        self.models: dict[str, Model] = {}
        for path in FIRST:
            self.create(path, b"first", False)
            self.append(path, b"second", False)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # --- What clients do.

    @rule(path=paths, body=st.none() | bodies, closed=seldom)
    def create(self, path: str, body: bytes | None, closed: bool) -> None:
        batch = None if body is None else MessageBatch(body)
        outcome = self._do(CreateStream(path, TEXT, closed=closed, batch=batch))
        there = self.models.get(path)
        if there is None:
            assert isinstance(outcome, StreamCreated) and outcome.new
            data = body or b""
            self.models[path] = Model(data, [0, len(data)], closed)
        elif there.gone:
            assert self._why(outcome) is RefusalReason.BLOCKED
        elif there.source is not None or there.closed != closed:
            assert self._why(outcome) is RefusalReason.EXISTS
        else:
            assert isinstance(outcome, StreamCreated) and not outcome.new

    @rule(path=paths, body=st.none() | bodies, close=seldom)
    def append(self, path: str, body: bytes | None, close: bool) -> None:
        if body is None and not close:
            return
        batch = None if body is None else MessageBatch(body)
        outcome = self._do(AppendToStream(path, TEXT, batch, close=close))
        model = self.models.get(path)
        if model is None or model.gone:
            assert self._why(outcome) is (
                RefusalReason.GONE if model else RefusalReason.NOT_FOUND
            )
        elif model.closed:
            if body is None:
                assert isinstance(outcome, StreamAppended) and outcome.duplicate
            else:
                assert self._why(outcome) is RefusalReason.CLOSED
        else:
            assert isinstance(outcome, StreamAppended)
            self._grow(model, body or b"", close)

    @rule(
        path=paths,
        body=bodies,
        name=st.sampled_from("pq"),
        epoch=st.sampled_from([0, 0, 0, 1]),
        step=st.sampled_from([0, 1, 1, 2]),
    )
    def produce(self, path: str, body: bytes, name: str, epoch: int, step: int) -> None:
        model = self.models.get(path)
        cache = None if model is None else model.producers.get(name)
        last = cache[1] if cache is not None and cache[0] == epoch else -1
        seq = max(0, last + step)
        outcome = self._do(
            AppendToStream(
                path, TEXT, MessageBatch(body), claim=ProducerClaim(name, epoch, seq)
            )
        )
        if model is None or model.gone or model.closed:
            assert isinstance(outcome, Refused)
        elif cache is not None and epoch < cache[0]:
            assert self._why(outcome) is RefusalReason.STALE_EPOCH
        elif seq == last + 1:
            assert isinstance(outcome, StreamAppended) and not outcome.duplicate
            model.producers[name] = (epoch, seq)
            self._grow(model, body, close=False)
        elif seq <= last:
            assert isinstance(outcome, StreamAppended) and outcome.duplicate
        else:
            assert self._why(outcome) in (
                RefusalReason.SEQ_GAP,
                RefusalReason.EPOCH_START,
            )

    @rule(path=paths, source=paths, pick=st.integers(0, 99), part=st.integers(0, 99))
    def fork(self, path: str, source: str, pick: int, part: int) -> None:
        model = self.models.get(source)
        offsets = sorted(set(model.offsets)) if model is not None else [0]
        anchor = offsets[pick % len(offsets)]
        following = [offset for offset in offsets if offset > anchor]
        room = following[0] - anchor if following else 0
        sub = part % (room + 2)
        ask = ForkRequest(source, to_text(anchor), sub)
        outcome = self._do(CreateStream(path, None, fork=ask))
        if path in self.models:
            return
        if model is None or model.gone:
            assert self._why(outcome) in (
                RefusalReason.SOURCE_NOT_FOUND,
                RefusalReason.SOURCE_GONE,
            )
            return
        if sub > room:
            assert self._why(outcome) is RefusalReason.BAD_FORK
            return
        assert isinstance(outcome, StreamCreated) and outcome.new
        at = anchor + sub
        inherited = [offset for offset in model.offsets if offset <= at]
        self.models[path] = Model(model.data[:at], [*inherited, at], source=model)
        model.forks += 1

    @rule(path=paths, really=st.sampled_from([False, False, True]))
    def delete(self, path: str, really: bool) -> None:
        if not really:
            return
        outcome = self._do(DeleteStream(path))
        model = self.models.get(path)
        if model is None or model.gone:
            assert self._why(outcome) is (
                RefusalReason.GONE if model else RefusalReason.NOT_FOUND
            )
            return
        model.gone = True
        self._collect()

    @rule()
    def tick(self) -> None:
        self.now += 1
        while self._do(Maintain()) is True:
            pass

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.options)

    # --- What clients may rely on.

    @invariant()
    def every_byte_is_there_from_every_offset(self) -> None:
        for path in PATHS if hasattr(self, "models") else []:
            stream = look_up(self.store.db, path)
            model = self.models.get(path)
            if stream is None or stream.soft_deleted:
                assert model is None or model.gone
                continue
            assert model is not None and not model.gone
            assert (stream.tail, stream.closed) == (len(model.data), model.closed)
            for offset in set(model.offsets):
                for limit in (1, 20):
                    assert self._read(path, offset, limit) == model.data[offset:]
                self._check_answers(path, offset, model.data[offset:])

    # --- How.

    def _read(self, path: str, start: int, limit: int) -> bytes:
        stream = look_up(self.store.db, path)
        assert stream is not None
        read = b""
        while start < stream.tail:
            page = pages.page(self.store.db, stream, start, limit)
            assert page.start == start < page.end
            read += b"".join(page.parts)
            start = page.end
        return read

    def _check_answers(self, path: str, start: int, data: bytes) -> None:
        """What an answer is to hold is known before it is read: its end, its rows."""
        stream = look_up(self.store.db, path)
        assert stream is not None
        # As JSON, because only there rows are counted.
        counted = replace(stream, content_type="application/json")
        read = b""
        while start < stream.tail:
            page, extent = pages.opening(self.store.db, counted, start, 3, 20)
            parts = [*page.parts]
            while page.end < extent.end:
                most = min(3, extent.end - page.end)
                page = pages.page(self.store.db, stream, page.end, most)
                parts += page.parts
            assert page.end == extent.end
            assert (extent.start, extent.rows) == (start, len(parts))
            assert len(b"".join(parts)) <= max(20, len(parts[0]))
            assert pages.extent(self.store.db, stream, page, 0).end == page.end
            read += b"".join(parts)
            start = extent.end
        assert read == data

    def _do(
        self, command: CreateStream | AppendToStream | DeleteStream | Maintain
    ) -> Outcome:
        return self.store.commit([command], self.now).outcomes[0]

    def _why(self, outcome: Outcome) -> RefusalReason:
        assert isinstance(outcome, Refused), outcome
        return outcome.reason

    def _grow(self, model: Model, body: bytes, close: bool) -> None:
        model.data += body
        model.offsets.append(len(model.data))
        model.closed = model.closed or close

    def _collect(self) -> None:
        """Deleted streams go when no fork reads them, and so on up the chain."""
        again = True
        while again:
            again = False
            for path, model in list(self.models.items()):
                if model.gone and not model.forks:
                    del self.models[path]
                    if model.source is not None:
                        model.source.forks -= 1
                    again = True


Histories.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
test_histories = Histories.TestCase
