"""A head that is like the last one is read as the parser reads it, or by the parser."""

from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.errors import OriginGarbage
from edge.core.values import Framing
from origin_adapter.http.response_parser import (
    MAX_REMEMBERED,
    HeadMemo,
    ResponseHead,
    ResponseHeadReader,
)

MAX_HEAD = 2048
POLL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nStream-Next-Offset: 1_5\r\n"
    b"Stream-Cursor: 17\r\nDate: Sun, 29 Nov 2026 13:00:00 GMT\r\n"
    b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\n"
)
NEXT = POLL.replace(b"1_5", b"1_66").replace(b"Length: 5", b"Length: 1234")


Outcome = tuple[ResponseHead, str, bytes] | str


def read(memo: HeadMemo, head: bytes, method: str = "GET") -> Outcome:
    """What comes out of a head and a byte of the body behind it."""
    reader = ResponseHeadReader(method, MAX_HEAD, memo)
    try:
        answer = reader.feed(head + b"x")
    except OriginGarbage as fault:
        return fault.detail
    if answer is None:
        return "more"
    body = answer[1]
    return answer[0], f"{type(body).__name__} {body.done}", reader.rest()


def names_and_values() -> st.SearchStrategy[bytes]:
    names = st.sampled_from(
        [
            b"Stream-Next-Offset",
            b"ETag",
            b"Content-Length",
            b"content-length",
            b"Transfer-Encoding",
            b"Connection",
            b"Keep-Alive",
            b"Set-Cookie",
            b"X-Hop",
            b"Location",
            b"Bad Name",
            b"",
        ]
    )
    values = st.sampled_from(
        [
            b"0",
            b"7",
            b"12345",
            b"+5",
            b"5, 5",
            b"9" * 19,
            b"close",
            b"X-Hop",
            b"chunked",
            b"gzip",
            b"timeout=5",
            b'"a"',
            b"http://origin/x",
            b"a b",
            b"",
            b" ",
            b"a ",
            b"a\tb",
            b"\xe9",
            b"a\x00b",
            b"a\nb",
            b"a\rb",
            b"y" * 3000,
        ]
    )
    spaces = st.sampled_from([b": ", b":", b":  ", b":\t", b" : "])
    return st.tuples(names, spaces, values).map(b"".join)


STATUS_LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 103 Early Hints",
    ]
)
HEADS = st.tuples(STATUS_LINES, st.lists(names_and_values(), max_size=4)).map(
    lambda parts: b"\r\n".join([parts[0], *parts[1], b"", b""])
)


@given(st.lists(HEADS, min_size=2, max_size=4), st.sampled_from(["GET", "HEAD"]))
@example([POLL, NEXT], "GET")
@example([POLL, POLL.replace(b"Length: 5", b"Length: +5")], "GET")
@example([POLL, POLL.replace(b"keep-alive", b"close")], "GET")
@example([POLL, POLL.replace(b"Cursor: 17", b"Cursor: \xe9")], "GET")
@example([POLL, POLL.replace(b"Cursor: 17", b"Cursor: 1\n7")], "GET")
@example([POLL.replace(b"1_5", b"http://origin/"), POLL], "GET")
def test_whatever_came_before_a_head_is_read_as_the_parser_reads_it(
    heads: list[bytes], method: str
) -> None:
    memo = HeadMemo()
    for head in heads:
        assert read(memo, head, method) == read(HeadMemo(), head, method)


@given(
    st.lists(
        st.tuples(st.sampled_from([b"ETag", b"Content-Length"]), st.binary(max_size=6)),
        min_size=2,
        max_size=6,
    )
)
def test_any_value_in_the_place_of_another(fields: list[tuple[bytes, bytes]]) -> None:
    """The same lines but for a value: what the memo is for."""
    memo = HeadMemo()
    for name, value in fields:
        head = b"HTTP/1.1 200 OK\r\nA: 1\r\n%b: %b\r\nB: 2\r\n\r\n" % (name, value)
        assert read(memo, head) == read(HeadMemo(), head)


def test_a_poll_like_the_last_one_needs_no_parser() -> None:
    memo = HeadMemo()
    read(memo, POLL)

    head = memo.recall("GET", NEXT)

    assert head is not None
    assert (head.framing, head.content_length) == (Framing.LENGTH, 1234)
    assert dict(head.headers)["stream-next-offset"] == "1_66"
    assert "connection" not in dict(head.headers)
    assert not head.tells_urls
    assert memo.recall("HEAD", NEXT) is None


def test_a_url_that_was_not_there_before_is_noticed() -> None:
    """O18: the origin's address is looked for where a URL is."""
    memo = HeadMemo()
    read(memo, POLL)

    head = memo.recall("GET", POLL.replace(b"1_5", b"http://origin/"))

    assert head is not None
    assert head.tells_urls


def test_a_head_above_the_bound_is_not_remembered_to_be_smaller() -> None:
    memo = HeadMemo()
    read(memo, POLL)

    large = POLL.replace(b"1_5", b"5" * MAX_HEAD)

    assert read(memo, large) == "the answer's head is too large"


def test_what_is_remembered_is_bounded() -> None:
    memo = HeadMemo()
    for number in range(5 * MAX_REMEMBERED):
        read(memo, b"HTTP/1.1 200 OK%d\r\nContent-Length: 5\r\n\r\n" % number)

    assert len(memo._heads) <= MAX_REMEMBERED
