"""Revoker: an order in force, kept, and heard of by other workers. A10, B13."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from edge.access.leases import Leases
from edge.access.revocation_file import RevocationFile
from edge.access.revocations import Revocation, Revocations, RevokedBy, TokenFacts
from edge.access.revoker import RETRY_SECONDS, Heard, Revoker
from edge.core.counters import Counters
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import Lease
from tests.live.support import TestClock
from tests.support.patience import PATIENCE

DAY = 86_400.0
ALICE = TokenFacts(("d1",), "alice", "id-1", "i", 1_799_999_990.0)


class Worker:
    """What one worker knows of orders, on a clock that all of them share."""

    def __init__(self, clock: TestClock, path: Path | None, most: int = 100) -> None:
        self.clock = clock
        self.counters = Counters()
        self.leases = Leases()
        self.revocations = Revocations(DAY, most=most)
        self.epochs = 0
        self.cuts = 0
        file = None if path is None else RevocationFile(str(path))
        self.revoker = Revoker(
            self.revocations, self.leases, file, clock, self.counters
        )
        self.revoker.forget = self._forget
        self.leases.cut = self._cut
        self.revoker.load()

    def _forget(self) -> None:
        self.epochs += 1

    def _cut(self) -> None:
        self.cuts += 1

    def let_in(self, facts: TokenFacts = ALICE) -> Lease:
        return self.leases.give(self.clock.monotonic() + 600.0, facts)

    def look(self) -> None:
        """A tick, and all that it begins."""
        self.revoker.look(self.clock.monotonic())
        wait_for(lambda: not self.revoker._looking)


def wait_for(done: object) -> None:
    assert callable(done)
    with gevent.Timeout(60):
        while not done():
            gevent.sleep(0.001)


@pytest.fixture
def clock() -> Iterator[TestClock]:
    yield TestClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "revocations"


def test_an_order_ends_what_it_names_and_begins_a_new_epoch(
    clock: TestClock, path: Path
) -> None:
    worker = Worker(clock, path)
    lease, twin, other = (
        worker.let_in(),
        worker.let_in(ALICE._replace(digests=("d2",), token_id="id-2")),
        worker.let_in(ALICE._replace(subject="bob")),
    )
    told = worker.revoker.revoke(RevokedBy.SUBJECT, "alice")

    assert (told.ended, told.kept) == (2, True)
    assert told.until == math.floor(clock.wall()) + DAY
    for one in (lease, twin):
        assert (one.ends_at, one.why) == (clock.monotonic(), Reason.REVOKED)
    assert other.ends_at > clock.monotonic()
    assert (worker.epochs, worker.cuts) == (1, 1)
    assert worker.counters.revocations == {"subject": 1}


@pytest.mark.parametrize("late", [False, True])
def test_the_log_says_what_ended_in_all_processes(
    clock: TestClock, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that have answered; and it says so, if one of them is late."""
    worker = Worker(clock, None)
    lease = worker.let_in()

    def tell_others(order: Revocation) -> Heard:
        if late:
            raise Refusal("one is late", reason=Reason.ORDERS_LATE)
        return Heard(2, order.at)

    worker.revoker.tell_others = tell_others
    caplog.set_level("INFO")
    with pytest.raises(Refusal) if late else contextlib.nullcontext():
        worker.revoker.revoke(RevokedBy.SUBJECT, "alice")

    ended = 1 if late else 3
    said = f"revoked by order: subject alice, issuer any: {ended} grants ended"
    assert caplog.messages == [said]
    assert lease.ends_at == clock.monotonic()


def test_a_lease_that_nobody_holds_is_forgotten(clock: TestClock) -> None:
    """The index is weak: it is as large as what is in use."""
    worker = Worker(clock, None)
    kept = [worker.let_in() for _ in range(10)]
    assert len(worker.leases) == 10
    del kept[3:]

    assert len(worker.leases) == 3


@pytest.mark.parametrize("ahead", [0, 1, 25])
def test_the_clock_of_an_issuer_may_go_ahead(clock: TestClock, ahead: int) -> None:
    """B13: of tokens that are in use it is known that they are older than the order.
    Whoever signs in afterwards is let in."""
    worker = Worker(clock, None)
    issued = clock.wall() + ahead
    lease = worker.let_in(ALICE._replace(issued_at=issued))
    worker.revoker.revoke(RevokedBy.SUBJECT, "alice")

    assert lease.why is Reason.REVOKED
    assert worker.revocations.refuses(ALICE._replace(issued_at=issued))
    assert not worker.revocations.refuses(ALICE._replace(issued_at=issued + 1))


def test_an_order_about_a_token_is_kept_as_long_as_that_may_live(
    clock: TestClock, path: Path
) -> None:
    """What it says of its end is enough for that, whoever made it."""
    worker = Worker(clock, path)
    text = "e30.eyJleHAiOiA0MDAwMDAwMDAwfQ.c2ln"
    assert worker.revoker.revoke_token(text).until == 4_000_000_000.0
    assert worker.revoker.revoke_token("opaque").until < 4_000_000_000.0
    clock.move(2 * DAY)

    later = Worker(clock, path)
    assert len(later.revocations) == 1
    assert text not in path.read_text()


def test_what_was_ordered_is_known_after_a_restart(
    clock: TestClock, path: Path
) -> None:
    """Until the tokens have ended by themselves."""
    Worker(clock, path).revoker.revoke(RevokedBy.JTI, "id-1", "i")
    assert Worker(clock, path).revocations.refuses(ALICE)
    clock.move(DAY)

    assert len(Worker(clock, path).revocations) == 0


def test_another_worker_hears_of_it_with_its_next_tick(
    clock: TestClock, path: Path
) -> None:
    """1: the new worker reads the file; 2: the old one is given an order; 3: the new
    one lets in, and looks again."""
    new, old = Worker(clock, path), Worker(clock, path)
    old.revoker.revoke(RevokedBy.SUBJECT, "alice")
    lease = new.let_in()
    new.look()
    new.look()

    assert lease.why is Reason.REVOKED
    assert new.revocations.refuses(ALICE)
    assert (new.epochs, new.cuts, old.epochs) == (1, 1, 1)


def test_two_workers_that_are_ordered_at_once_know_both_orders(
    clock: TestClock, path: Path
) -> None:
    """Whoever writes second reads what the first one wrote."""
    workers = [Worker(clock, path) for _ in range(3)]
    greenlets = [
        gevent.spawn(one.revoker.revoke, RevokedBy.SUBJECT, f"user-{number}-{turn}")
        for number, one in enumerate(workers)
        for turn in range(4)
    ]
    assert len(gevent.joinall(greenlets, timeout=PATIENCE, raise_error=True)) == 12
    for one in workers:
        one.look()

    known = [{order.value for order in one.revocations} for one in workers]
    assert len(known[0]) == 12 and known[0] == known[1] == known[2]


def test_without_a_file_an_order_lives_as_long_as_its_worker(clock: TestClock) -> None:
    worker = Worker(clock, None)
    lease = worker.let_in()
    told = worker.revoker.revoke(RevokedBy.JTI, "id-1")
    worker.revoker.look(clock.monotonic())

    assert (told.ended, told.kept) == (1, False)
    assert lease.why is Reason.REVOKED


def test_an_order_that_cannot_be_kept_is_not_taken(
    clock: TestClock, path: Path
) -> None:
    """There is no room: nothing of it happens, and nothing is forgotten for it."""
    worker = Worker(clock, path, most=1)
    worker.revoker.revoke(RevokedBy.SUBJECT, "bob")
    lease = worker.let_in()
    with pytest.raises(Refusal) as raised:
        worker.revoker.revoke(RevokedBy.SUBJECT, "alice")

    assert raised.value.reason is Reason.LIMIT_REVOCATIONS
    assert lease.why is Reason.GRANT_ENDED
    assert [order.value for order in worker.revocations] == ["bob"]


@pytest.mark.parametrize("harm", ["unwritable", "damaged"])
def test_an_order_that_could_not_be_written_is_in_force_and_written_later(
    clock: TestClock, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its giver is told; until it is written, the edge tries again and again."""
    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "revocations"
    worker = Worker(clock, path)
    lease = worker.let_in()
    if harm == "damaged":
        path.write_bytes(b"")
    else:
        folder.rename(tmp_path / "away")
    with pytest.raises(Refusal) as raised:
        worker.revoker.revoke(RevokedBy.SUBJECT, "alice")
    assert raised.value.reason is Reason.NOT_WRITTEN
    assert lease.why is Reason.REVOKED
    assert worker.revocations.refuses(ALICE)

    if harm == "damaged":
        path.unlink()
    else:
        (tmp_path / "away").rename(folder)
    worker.look()
    assert not path.exists()
    clock.move(RETRY_SECONDS)
    worker.look()
    assert Worker(clock, path).revocations.refuses(ALICE)
    assert caplog.text.count("could not be written") == 1


def test_a_file_that_is_damaged_while_it_runs_changes_nothing(
    clock: TestClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is known stays known, and the log says so once."""
    worker = Worker(clock, path)
    worker.revoker.revoke(RevokedBy.SUBJECT, "alice")
    path.write_bytes(b"\0")
    for _ in range(3):
        worker.look()
        clock.move(RETRY_SECONDS)

    assert worker.revocations.refuses(ALICE)
    assert caplog.text.count("could not be read") == 1


def test_what_others_ordered_long_ago_is_no_news(clock: TestClock, path: Path) -> None:
    """It stands in the file until somebody writes."""
    worker, other = Worker(clock, path), Worker(clock, path)
    other.revoker.revoke(RevokedBy.SUBJECT, "bob")
    clock.move(DAY)
    worker.look()
    worker.look()

    assert (worker.epochs, len(worker.revocations)) == (0, 0)
    worker.revoker.revoke(RevokedBy.SUBJECT, "alice")
    [order] = [o for o in RevocationFile(str(path)).load() if o.value == "alice"]
    assert order == Revocation(RevokedBy.SUBJECT, "alice", math.floor(clock.wall()))
