"""Admission: what each answer of an origin may become."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Framing,
    OriginAnswer,
    Partition,
    PartitionKind,
    StreamKey,
)
from edge.policy.streams.admission import Admission, Verdict, away, fault_of, judge
from edge.policy.streams.routes import OriginNoStore, Route
from edge.protocol.offsets import BEGIN, NOW, is_position
from origin_adapter.scripted import data, no_content

ROUTE = Route()
ONE = Partition(PartitionKind.CREDENTIAL, "one")
A, B = "0_10", "0_20"


def judged(
    answer: OriginAnswer,
    start: str = A,
    partition: Partition = ANONYMOUS,
    route: Route = ROUTE,
    held: bool = False,
) -> Admission:
    key = StreamKey(route.match, "/a", "", partition)
    return judge(answer, start, key, route, held=held)


# -- ranges ----------------------------------------------------------------------


def test_a_range_may_join_the_log() -> None:
    """PROTOCOL.md section 5.6."""
    assert judged(data(b"hello", B)) == (
        Admission(Verdict.ADMIT, None, B, b"hello", up_to_date=True, progress=True)
    )


@pytest.mark.parametrize("up_to_date", [True, False])
@pytest.mark.parametrize("closed", [True, False])
def test_claims_come_from_the_answer_alone(up_to_date: bool, closed: bool) -> None:
    """L3: an origin that does not say so made no claim."""
    admission = judged(data(b"x", B, up_to_date=up_to_date, closed=closed))

    assert (admission.up_to_date, admission.closed) == (up_to_date, closed)


@pytest.mark.parametrize("value", ["TRUE", "True", "true"])
def test_a_flag_is_true_in_any_case(value: str) -> None:
    """PROTOCOL.md section 4.1."""
    answer = data(b"", A, up_to_date=False, stream_closed=value)

    assert judged(answer).closed


@pytest.mark.parametrize("value", ["false", "1", "yes", ""])
def test_every_other_value_is_no_flag(value: str) -> None:
    answer = data(b"", A, stream_up_to_date=value, stream_closed=value)

    assert not judged(answer).up_to_date
    assert not judged(answer).closed


@pytest.mark.parametrize(
    ("start", "body", "next", "progress"),
    [
        (BEGIN, b"x", A, True),
        (BEGIN, b"", A, True),  # the two are aliases (L8)
        (A, b"x", B, True),
        (A, b"", A, False),
        (A, b"", B, True),
        (B, b"", A, False),  # beyond the tail: the real tail (O22)
        (NOW, b"", A, False),
        (NOW, b"", "z9", False),  # no offset, so that nothing sorts after it
    ],
)
def test_an_answer_has_progress_when_it_ends_beyond_its_start(
    start: str, body: bytes, next: str, progress: bool
) -> None:
    admission = judged(data(body, next), start)

    assert admission.verdict is Verdict.ADMIT
    assert admission.next == next
    assert admission.progress is progress


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("claims", [True, False])
def test_a_204_is_an_empty_answer_that_claims_what_it_says(
    closed: bool, claims: bool
) -> None:
    """PROTOCOL.md section 5.7; U8: it is no claim by itself."""
    fields = (
        ("stream-next-offset", A),
        *((("stream-closed", "true"),) * closed),
        *((("stream-up-to-date", "true"),) * claims),
    )

    assert judged(OriginAnswer(204, fields)) == (
        Admission(Verdict.ADMIT, None, A, b"", up_to_date=claims, closed=closed)
    )
    assert judged(no_content(B)).progress


# -- JSON ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"[1,2]", b",1,2"),
        (b' [ {"a": [] } ]\n', b',{"a": [] }'),
        (b"[]", b""),
        (b"[ ]", b""),
    ],
)
def test_of_an_array_the_inner_bytes_are_kept(body: bytes, kept: bytes) -> None:
    """L8, E20."""
    answer = data(body, B, content_type="application/json; charset=utf-8")

    assert judged(answer).data == kept


@pytest.mark.parametrize("body", [b"", b"[1", b'{"a": 1}', b"1]", b"[", b"<html>"])
def test_half_an_array_is_never_kept(body: bytes) -> None:
    """L8: a body without its outer brackets."""
    admission = judged(data(body, B, content_type="application/json"))

    assert admission == Admission(Verdict.FAULT, Reason.ORIGIN_BAD_JSON)


def test_other_types_are_bytes() -> None:
    """PROTOCOL.md section 9.1: JSON mode is application/json only."""
    for content_type in ("application/vnd.a+json", "application/x-ndjson", None):
        assert judged(data(b"[1", B, content_type=content_type)).data == b"[1"


# -- what breaks the protocol ------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, Reason.ORIGIN_NO_NEXT_OFFSET),
        ("", Reason.ORIGIN_GARBAGE),
        ("-1", Reason.ORIGIN_GARBAGE),
        ("now", Reason.ORIGIN_GARBAGE),
        ("a b", Reason.ORIGIN_GARBAGE),
        ("a&b", Reason.ORIGIN_GARBAGE),
        ('a"b', Reason.ORIGIN_GARBAGE),
        ("\xe9", Reason.ORIGIN_GARBAGE),
        ("9" * 257, Reason.ORIGIN_GARBAGE),
    ],
)
def test_an_answer_needs_an_offset_that_can_be_passed_on(
    status: int, told: str | None, reason: Reason
) -> None:
    """PROTOCOL.md section 8; a client would put it into its next URL."""
    fields = () if told is None else (("stream-next-offset", told),)
    admission = judged(OriginAnswer(status, fields, b""))

    assert (admission.verdict, admission.reason) == (Verdict.FAULT, reason)


@pytest.mark.parametrize("next", [A, "0_05"])
def test_data_that_leads_nowhere_would_be_shown_for_ever(next: str) -> None:
    """O22: an origin that echoes the offset with data."""
    admission = judged(data(b"again", next))

    assert admission == Admission(Verdict.FAULT, Reason.ORIGIN_ECHO)


def test_the_fault_carries_its_reason() -> None:
    fault = fault_of(judged(OriginAnswer(200, ())))

    assert (fault.status, fault.reason) == (502, Reason.ORIGIN_NO_NEXT_OFFSET)
    assert fault.retry_after is not None


# -- statuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        (301, Verdict.ONE_READER, Reason.STATUS),
        (304, Verdict.FAULT, Reason.ORIGIN_GARBAGE),
        (307, Verdict.ONE_READER, Reason.STATUS),
        (400, Verdict.SHARE, Reason.STATUS),
        (401, Verdict.ONE_READER, Reason.STATUS),
        (403, Verdict.ONE_READER, Reason.STATUS),
        (404, Verdict.GONE, Reason.GONE),
        (405, Verdict.SHARE, Reason.STATUS),
        (407, Verdict.ONE_READER, Reason.STATUS),
        (410, Verdict.GONE, Reason.GONE),
        (429, Verdict.ONE_READER, Reason.STATUS),
        (500, Verdict.AWAY, Reason.ORIGIN_STATUS),
        (501, Verdict.SHARE, Reason.STATUS),
        (503, Verdict.AWAY, Reason.ORIGIN_STATUS),
        (505, Verdict.SHARE, Reason.STATUS),
        (522, Verdict.AWAY, Reason.ORIGIN_STATUS),
        (206, Verdict.FAULT, Reason.ORIGIN_GARBAGE),
    ],
)
def test_a_status_is_shared_or_goes_to_the_one_who_earned_it(
    status: int, verdict: Verdict, reason: Reason
) -> None:
    """L15, E28, E38; a redirect may carry what only one asker may use."""
    assert judged(OriginAnswer(status, (), b"no")) == Admission(verdict, reason)


def test_an_error_with_a_cookie_is_nobody_elses() -> None:
    """L15, E33."""
    answer = OriginAnswer(400, (("set-cookie", "sid=1"),), b"no")

    assert judged(answer) == Admission(Verdict.ONE_READER, Reason.STATUS)


# -- an origin that is away -----------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 530])
@pytest.mark.parametrize("held", [True, False])
def test_a_status_of_an_outage_is_one_whatever_it_carries(
    status: int, held: bool
) -> None:
    """U1: a maintenance page with a cookie, too."""
    fields = (("set-cookie", "sid=1"), ("vary", "*"), ("cache-control", "private"))
    answer = OriginAnswer(status, fields, b"back soon", Framing.CLOSE)

    assert judged(answer, held=held) == Admission(Verdict.AWAY, Reason.ORIGIN_STATUS)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OriginAnswer(302, (("location", "/maintenance"),)), Reason.ORIGIN_STATUS),
        (
            OriginAnswer(200, (("set-cookie", "sid=1"),), b"<html>"),
            Reason.ORIGIN_NO_NEXT_OFFSET,
        ),
    ],
)
def test_what_no_origin_answers_of_a_known_stream_is_an_outage(
    answer: OriginAnswer, reason: Reason
) -> None:
    """U1. Of a stream that nobody knows yet, both may well be meant."""
    assert judged(answer, held=True) == Admission(Verdict.AWAY, reason)
    assert judged(answer).verdict in (Verdict.ONE_READER, Verdict.BYPASS_KEY)


def test_a_route_says_which_statuses_are_an_outage() -> None:
    """U1: 404 only for what is held; and none at all if it says so."""
    gone, busy = OriginAnswer(404, (), b"no"), OriginAnswer(503, (), b"no")
    lost = Route(stale_if_error=frozenset({404}))

    assert judged(gone, route=lost, held=True).verdict is Verdict.AWAY
    assert judged(gone, route=lost).verdict is Verdict.GONE
    assert judged(busy, route=lost, held=True).verdict is Verdict.SHARE


# -- what an edge above serves while its own origin is away ----------------------------

STALE = ("cache-status", "ds-edge/shield; hit; detail=stale, cdn; fwd=miss")


def stale_answer(*fields: tuple[str, str], **more: Any) -> OriginAnswer:
    answer = data(b"hello", B, up_to_date=False, cache_control="no-store", **more)
    return replace(answer, headers=(*answer.headers, STALE, *fields))


def test_an_edges_stale_answer_is_taken_for_its_bytes_alone() -> None:
    """U9: its ``no-store`` is no reason to pass (L15), and it claims nothing."""
    assert judged(stale_answer(("stream-up-to-date", "true"))) == (
        Admission(
            Verdict.STALE, Reason.ORIGIN_STALE, B, b"hello", False, False, progress=True
        )
    )


@pytest.mark.parametrize(
    "answer",
    [
        stale_answer(("set-cookie", "lb=1")),
        stale_answer(("vary", "*")),
        stale_answer(("content-encoding", "gzip")),
        replace(stale_answer(), framing=Framing.CLOSE),
        replace(stale_answer(), headers=(STALE,)),
        replace(no_content(A), headers=(*no_content(A).headers, STALE)),
        replace(data(b"[1", B, content_type="application/json"), headers=(STALE,)),
    ],
)
def test_a_stale_answer_that_cannot_be_joined_still_says_that_the_origin_is_away(
    answer: OriginAnswer,
) -> None:
    """U9: no key passes, and no reader is sent to ask by itself."""
    assert judged(answer) == Admission(Verdict.AWAY, Reason.ORIGIN_STALE)


def test_a_failure_by_way_of_an_edge_is_an_outage_too() -> None:
    """U11: for what is held here, it does not matter whose failure it is."""
    told = "ds-edge/shield; detail=origin-down"
    answer = OriginAnswer(502, (("cache-status", told),))

    assert judged(answer).verdict is Verdict.AWAY
    assert away(answer, Reason.ORIGIN_STATUS).upstream == told


# -- what the origin forbids, and what cannot be trusted -----------------------------


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("cache-control", "private", Reason.PRIVATE),
        ("cache-control", "no-store", Reason.NO_STORE),
        ("set-cookie", "sid=1", Reason.SET_COOKIE),
        ("vary", "*", Reason.VARY_STAR),
        ("vary", "user-agent", Reason.VARY_STAR),
    ],
)
@pytest.mark.parametrize("partition", [ANONYMOUS, PUBLIC])
def test_what_is_not_for_all_makes_the_key_pass(
    field: str, value: str, reason: Reason, partition: Partition
) -> None:
    """L15, E26, E29, E33."""
    told = data(b"x", B)
    answer = replace(told, headers=(*told.headers, (field, value)))

    assert judged(answer, partition=partition) == Admission(Verdict.BYPASS_KEY, reason)


def test_private_is_kept_inside_a_credential_partition() -> None:
    """L15."""
    answer = data(b"x", B, cache_control="private, max-age=60")

    assert judged(answer, partition=ONE).verdict is Verdict.ADMIT


def test_a_route_may_say_what_no_store_means() -> None:
    """L15: ``origin_no_store: ignore``."""
    route = Route(origin_no_store=OriginNoStore.IGNORE)
    answer = data(b"x", B, cache_control="no-store")

    assert judged(answer, route=route).verdict is Verdict.ADMIT


def test_now_is_shared_though_the_origin_marks_it_no_store() -> None:
    """L15, E11: every reference origin does so."""
    answer = data(b"", A, cache_control="no-store")

    assert judged(answer, NOW).verdict is Verdict.ADMIT


def test_an_answer_that_ends_with_its_connection_is_for_its_asker() -> None:
    """E44: nobody knows whether it is whole."""
    answer = data(b"x", B, framing=Framing.CLOSE)

    assert judged(answer) == Admission(Verdict.ONE_READER, Reason.CLOSE_FRAMED)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip"])
def test_an_answer_in_a_coding_nobody_asked_for_is_for_its_asker(coding: str) -> None:
    """E30: the origin was asked for identity; its offsets count plain bytes."""
    assert judged(data(b"x", B, content_encoding=coding)) == (
        Admission(Verdict.ONE_READER, Reason.CODED)
    )


@pytest.mark.parametrize("coding", ["identity", " Identity ", ""])
def test_identity_is_no_coding(coding: str) -> None:
    assert judged(data(b"x", B, content_encoding=coding)).verdict is Verdict.ADMIT


# -- laws ------------------------------------------------------------------------

#
# Drawn towards each verdict in turn, or anywhere: what an origin sends at random is
# hardly ever admitted.

FIELDS = st.tuples(
    st.sampled_from(
        [
            "cache-control",
            "content-encoding",
            "content-type",
            "set-cookie",
            "stream-closed",
            "stream-next-offset",
            "stream-up-to-date",
            "vary",
        ]
    ),
    st.one_of(
        st.sampled_from(["true", "private", "no-store", "*", A, B, "gzip", "-1"]),
        st.just("application/json"),
        st.text(max_size=5),
    ),
)
anything = st.builds(
    OriginAnswer,
    st.one_of(st.just(200), st.just(204), st.integers(200, 599)),
    st.lists(FIELDS, max_size=6).map(tuple),
    st.one_of(st.binary(max_size=8), st.just(b"[1]")),
    st.sampled_from(Framing),
)
texts = st.builds(
    data,
    st.binary(max_size=8),
    st.just("0_30"),
    up_to_date=st.booleans(),
    closed=st.booleans(),
    content_type=st.sampled_from(["text/plain", None]),
)
arrays = st.builds(
    data,
    st.sampled_from([b"[]", b"[1]", b' [{"a": 2}] ']),
    st.just("0_30"),
    content_type=st.just("application/json"),
)
ranges = st.one_of(texts, arrays)
empty = st.builds(no_content, st.sampled_from([A, "0_30"]), closed=st.booleans())


def and_fields(
    answers: st.SearchStrategy[OriginAnswer], *fields: tuple[str, str]
) -> st.SearchStrategy[OriginAnswer]:
    """These answers, each with one of the fields beside its own."""

    def with_field(answer: OriginAnswer, field: tuple[str, str]) -> OriginAnswer:
        return replace(answer, headers=(*answer.headers, field))

    return st.builds(with_field, answers, st.sampled_from(fields))


def statuses(*choices: int) -> st.SearchStrategy[OriginAnswer]:
    return st.builds(
        OriginAnswer, st.sampled_from(choices), st.just(()), st.binary(max_size=8)
    )


TO_VERDICTS = {
    Verdict.ADMIT: st.one_of(ranges, empty),
    Verdict.SHARE: statuses(400, 405, 409, 418, 501, 505),
    Verdict.ONE_READER: st.one_of(
        statuses(301, 307, 401, 403, 407, 429),
        and_fields(statuses(400, 501), ("set-cookie", "sid=1")),
        and_fields(ranges, ("content-encoding", "gzip")),
        ranges.map(lambda answer: replace(answer, framing=Framing.CLOSE)),
    ),
    Verdict.BYPASS_KEY: and_fields(
        ranges,
        ("set-cookie", "sid=1"),
        ("vary", "*"),
        ("cache-control", "private"),
    ),
    Verdict.FAULT: st.one_of(
        statuses(200, 204, 206, 304),
        st.builds(data, st.just(b"x"), st.sampled_from(["-1", "", "a b", "0_05"])),
        st.builds(
            data,
            st.sampled_from([b"", b"[1", b"1]", b"{}"]),
            st.just("0_30"),
            content_type=st.just("application/json"),
        ),
    ),
    Verdict.GONE: statuses(404, 410),
    Verdict.STALE: and_fields(
        and_fields(ranges, ("cache-control", "no-store"), ("stream-closed", "true")),
        ("cache-status", "ds-edge/shield; hit; detail=stale"),
        ("cache-status", "ds-edge; detail=stale, other; hit, ds-edge/pop; fwd=miss"),
    ),
    Verdict.AWAY: and_fields(statuses(500, 502, 503, 522), ("set-cookie", "sid=1")),
}
"""Each verdict, and answers that should get it."""

disturbances = st.one_of(st.just(()), st.just(()), st.just(()), st.tuples(FIELDS))


@st.composite
def judgements(
    draw: st.DrawFn, wanted: Verdict | None
) -> tuple[OriginAnswer, str, Partition]:
    """An answer, where its read began, and for whom it was. None: anything."""
    answer = draw(anything if wanted is None else TO_VERDICTS[wanted])
    # Now and then another field, which may change the verdict.
    answer = replace(answer, headers=(*draw(disturbances), *answer.headers))
    start = draw(st.sampled_from([BEGIN, NOW, A, B]))
    return answer, start, draw(st.sampled_from([ANONYMOUS, PUBLIC, ONE]))


# A busy machine is no fault of the laws: no time is asserted.
slow_is_fine = [HealthCheck.too_slow]
often = settings(deadline=None, max_examples=60, suppress_health_check=slow_is_fine)
toward = pytest.mark.parametrize("wanted", [*Verdict, None])


@toward
def test_only_what_can_be_read_on_from_is_admitted(wanted: Verdict | None) -> None:
    """L1, L8, P5: whatever an origin sends, and never with an exception."""

    @often
    @given(drawn=judgements(wanted))
    def hold(drawn: tuple[OriginAnswer, str, Partition]) -> None:
        answer, start, partition = drawn
        admission = judged(answer, start, partition)

        if admission.verdict in (Verdict.ADMIT, Verdict.STALE):
            assert answer.status in (200, 204)
            assert is_position(admission.next)
            assert admission.next == answer.get("stream-next-offset")
            assert admission.progress or not admission.data or start == NOW
            if admission.verdict is Verdict.STALE:
                assert not (admission.up_to_date or admission.closed)
        else:
            assert admission.reason is not None
            assert not (admission.data or admission.next or admission.closed)

    hold()


@toward
def test_a_cookie_reaches_one_asker_at_most(wanted: Verdict | None) -> None:
    """L15, E33."""

    @often
    @given(drawn=judgements(wanted))
    def hold(drawn: tuple[OriginAnswer, str, Partition]) -> None:
        answer, start, partition = drawn
        verdict = judged(answer, start, partition).verdict

        if answer.get("set-cookie") is not None and answer.status != 204:
            assert verdict not in (Verdict.ADMIT, Verdict.SHARE, Verdict.STALE)

    hold()


def test_each_verdict_is_reached_often() -> None:
    """In as many cases as a law sees, each verdict comes 20 times or more.

    Always the same cases (``derandomize``). Drawn at random, a count near its bound
    would fail now and then.
    """
    reached: Counter[Verdict] = Counter()
    for wanted in (*Verdict, None):

        @settings(often, derandomize=True, database=None, phases=[Phase.generate])
        @given(drawn=judgements(wanted))
        def count(drawn: tuple[OriginAnswer, str, Partition]) -> None:
            reached[judged(*drawn).verdict] += 1

        count()

    assert {verdict: n for verdict, n in reached.items() if n < 20} == {}
    assert set(reached) == set(Verdict)
