"""Orders in a file: written whole, read by all, never taken for something else. B13."""

import json
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.access.revocation_file import RevocationFault, RevocationFile
from edge.access.revocations import Revocation, RevokedBy
from tests.support.patience import PATIENCE

AT = 1_800_000_000
ORDERS = (
    Revocation(RevokedBy.SUBJECT, 'alice "é" \n', AT),
    Revocation(RevokedBy.SUBJECT, "bob", AT, "https://issuer.example"),
    Revocation(RevokedBy.JTI, "id-1", AT),
    Revocation(RevokedBy.TOKEN, "d" * 64, AT, until=AT + 60.5),
)


@pytest.fixture
def file(tmp_path: Path) -> RevocationFile:
    return RevocationFile(str(tmp_path / "revocations"))


def orders_in(file: RevocationFile) -> set[Revocation]:
    return set(RevocationFile(file.path).load())


def test_what_was_written_is_read_again(file: RevocationFile) -> None:
    assert file.load() == ()
    assert file.save(ORDERS) == ()

    assert orders_in(file) == set(ORDERS)


def test_only_its_owner_may_read_it_and_nothing_is_left_beside_it(
    file: RevocationFile,
) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        file.save(ORDERS)
    finally:
        os.umask(before)
    folder = Path(file.path).parent
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}

    assert modes == {"revocations": 0o600, "revocations.lock": 0o600}


def test_what_another_worker_wrote_is_kept_and_told(file: RevocationFile) -> None:
    """Each writes what it knows; the later of two orders about one thing stays."""
    other = RevocationFile(file.path)
    other.save(ORDERS[:2])
    later = Revocation(RevokedBy.SUBJECT, "bob", AT + 9, "https://issuer.example")
    told = file.save((later, *ORDERS[2:]))

    assert set(told) == set(ORDERS[:2])
    assert orders_in(file) == {ORDERS[0], later, *ORDERS[2:]}
    assert other.has_changed() and not file.has_changed()
    other.load()
    assert not other.has_changed()


def test_no_order_is_lost_between_writers_at_once(file: RevocationFile) -> None:
    """1: one reads; 2: another writes; 3: the first would write over it. So whoever
    writes holds a lock from its reading on."""
    names = [f"user-{number}" for number in range(24)]
    starting = threading.Barrier(len(names))

    def write(name: str) -> None:
        starting.wait(10)
        RevocationFile(file.path).save([Revocation(RevokedBy.SUBJECT, name, AT)])

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert {order.value for order in orders_in(file)} == set(names)


DAMAGED = {
    "empty": b"",
    "cut": b'{"version": 1, "revocations": [{"subject": "al',
    "no JSON": b"\0\0\0\0",
    "another document": b"[]",
    "another version": b'{"version": 2, "revocations": []}',
    "no list": b'{"version": 1, "revocations": 7}',
    "no order": b'{"version": 1, "revocations": [7]}',
    "nothing named": b'{"version": 1, "revocations": [{"at": 1}]}',
    "two": b'{"version": 1, "revocations": [{"jti": "a", "subject": "b", "at": 1}]}',
    "no time": b'{"version": 1, "revocations": [{"jti": "a"}]}',
    "a time that is none": b'{"version": 1, "revocations": [{"jti": "a", "at": true}]}',
    "an endless time": b'{"version": 1, "revocations": [{"jti": "a", "at": 1e999}]}',
    "no text": b'{"version": 1, "revocations": [{"jti": 7, "at": 1}]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("octets", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_no_empty_one_and_is_not_written_over(
    file: RevocationFile, octets: bytes
) -> None:
    Path(file.path).write_bytes(octets)
    for act in (file.load, lambda: file.save(ORDERS), file.try_out):
        with pytest.raises(RevocationFault) as raised:
            act()
        assert str(raised.value).startswith(file.path)

    assert Path(file.path).read_bytes() == octets


def test_a_damaged_file_is_looked_at_once(file: RevocationFile) -> None:
    """Until it changes again: it is not read four times a second."""
    file.save(ORDERS)
    Path(file.path).write_bytes(b"")
    assert file.has_changed()
    with pytest.raises(RevocationFault):
        file.load()

    assert not file.has_changed()


def test_a_full_disk_leaves_the_old_file_whole(file: RevocationFile) -> None:
    """In a process of its own, whose files may not grow beyond a few octets."""
    file.save(ORDERS[:1])
    before = Path(file.path).read_bytes()
    program = (
        "import resource, signal, sys\n"
        "from edge.access.revocation_file import RevocationFile\n"
        "from edge.access.revocations import Revocation, RevokedBy\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
        "order = Revocation(RevokedBy.SUBJECT, 'x' * 100, 1)\n"
        "try:\n"
        "    RevocationFile(sys.argv[1]).save([order])\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, file.path],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "File too large\n"
    assert Path(file.path).read_bytes() == before
    left = {one.name for one in Path(file.path).parent.iterdir()}
    assert left == {"revocations", "revocations.lock"}
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)


def test_its_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = RevocationFile(str(tmp_path / "state" / "edge" / "revocations"))
    file.try_out()
    assert [one.name for one in Path(file.path).parent.iterdir()] == [
        "revocations.lock"
    ]
    assert stat.S_IMODE((tmp_path / "state" / "edge").stat().st_mode) == 0o700
    file.save(ORDERS)

    assert orders_in(file) == set(ORDERS)


def test_a_place_that_cannot_be_written_is_found_out(tmp_path: Path) -> None:
    """Here a file stands where its folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(OSError):
        RevocationFile(str(tmp_path / "state" / "revocations")).try_out()


def test_it_tells_no_token(file: RevocationFile) -> None:
    """And can be read by people."""
    file.save(ORDERS)
    document = json.loads(Path(file.path).read_text())

    assert document["version"] == 1
    assert document["revocations"][-1] == {
        "digest": "d" * 64,
        "at": AT,
        "until": AT + 60.5,
    }
