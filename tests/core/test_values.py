"""The values that floors hand to each other: frozen, comparable, discreet."""

import dataclasses

import pytest

from edge.core import values
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Headers,
    Mode,
    OriginAnswer,
    Partition,
    PartitionKind,
    Provenance,
    Read,
    StreamKey,
)
from edge.protocol.names import LIVE_LONG_POLL, LIVE_SSE

DATACLASSES = [
    value
    for value in vars(values).values()
    if isinstance(value, type)
    and dataclasses.is_dataclass(value)
    # The end of a lease moves nearer while readers hold it.
    and value is not values.Lease
]


@pytest.mark.parametrize("kind", DATACLASSES)
def test_a_value_never_changes_and_takes_no_stray_field(kind: type) -> None:
    """Values are shared by greenlets, memoised, and used as keys."""
    made = vars(kind)

    assert made["__dataclass_params__"].frozen
    assert "__slots__" in made


@pytest.mark.parametrize(
    ("headers", "since"),
    [
        ((), 0.0),
        ((("age", "7"),), 7.0),
        ((("age", "7"), ("age", "9")), 7.0),
        ((("age", "soon"),), 0.0),
        ((("age", "9" * 99),), 2.0**31),
        ((("x-age", "7"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT")), 0.0),
    ],
)
def test_plain_http_tells_an_age_and_no_more(headers: Headers, since: float) -> None:
    """RFC 9111 section 4.2.3. Clocks differ, so a Date tells nothing here."""
    assert Provenance.told_by(headers).since_confirmed == since


def test_only_long_poll_and_sse_are_live() -> None:
    """PROTOCOL.md sections 5.7 and 5.8."""
    assert {mode for mode in Mode if mode.live} == {Mode.LONG_POLL, Mode.SSE}


def test_live_modes_are_called_as_the_parameter_calls_them() -> None:
    """One word on the wire, in the log and in the metric."""
    assert (Mode.LONG_POLL.value, Mode.SSE.value) == (LIVE_LONG_POLL, LIVE_SSE)


def credential(digest: str, token: str) -> Partition:
    """A credential's partition with the header that goes upstream."""
    return Partition(PartitionKind.CREDENTIAL, digest, (("authorization", token),))


def test_a_partition_is_its_kind_and_digest() -> None:
    """L13: the digest covers the headers, so two of one digest are one."""
    assert credential("a", "x") == credential("a", "y")
    assert hash(credential("a", "x")) == hash(credential("a", "y"))
    assert len({ANONYMOUS, PUBLIC, credential("a", "x"), credential("b", "x")}) == 4


def test_a_credential_is_not_shown() -> None:
    """A key is logged; what it was made from is not."""
    key = StreamKey("streams", "/v1/stream/a", "", credential("a", "Bearer secret"))

    assert "secret" not in repr(Read(key))


def test_one_path_under_two_partitions_or_parameters_is_two_logs() -> None:
    """E9, E24, E26: nothing is shared because paths or offsets are alike."""
    keys = {
        StreamKey("streams", "/a"),
        StreamKey("streams", "/b"),
        StreamKey("streams", "/a", "x=1"),
        StreamKey("streams", "/a", "", PUBLIC),
        StreamKey("streams", "/a", "", credential("a", "x")),
        StreamKey("other", "/a"),
    }

    assert len(keys) == 6


def test_a_key_is_found_again_whatever_its_partition_sends() -> None:
    """L13: the digest stands for the fields."""
    sent: Headers = (("authorization", "Bearer x"),)
    ours = Partition(PartitionKind.CREDENTIAL, "d", sent)
    theirs = Partition(PartitionKind.CREDENTIAL, "d")

    rows = {StreamKey("streams", "/a", "", ours): "row"}

    assert rows[StreamKey("streams", "/a", "", theirs)] == "row"


def test_reads_of_one_stream_by_different_cursors_have_one_key() -> None:
    """L22: a cursor is in no key."""
    key = StreamKey("streams", "/a")

    assert Read(key, cursor=1) != Read(key, cursor=2)
    assert Read(key, cursor=1).key == Read(key, cursor=2).key


def test_a_field_is_found_by_its_lower_case_name() -> None:
    """RFC 9110 section 5.3: the first line for single values, all for lists."""
    answer = OriginAnswer(200, (("vary", "a"), ("etag", '"x"'), ("vary", "b, *")))

    assert answer.get("etag") == '"x"'
    assert answer.get("vary") == "a"
    assert answer.get("age") is None
    assert answer.get_all("vary") == "a, b, *"
    assert answer.get_all("age") == ""
