"""Servers that fail, cut, stall and repeat: nothing lost, nothing twice, one line."""

import base64

import pytest

from edge.cli.streams import following, retry_policy, sse_events
from tests.cli.streams.conftest import Run
from tests.cli.streams.faulty import Faulty, answer, control, data, events

TEXT = {"type": "text/plain"}
DONE = {**TEXT, "done": "true"}
END = {**DONE, "closed": "true"}


# Reading.


def test_pages_are_followed_until_up_to_date(ds: Run, faulty: Faulty) -> None:
    faulty.answers(
        answer(body=b"one", next="1", more=TEXT),
        answer(body=b"two", next="2", more=DONE),
    )

    assert ds("read", faulty.url + "?z=1").out == b"onetwo"
    assert faulty.targets == ["/s?offset=-1&z=1", "/s?offset=1&z=1"]


def test_one_page_is_one_page(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(body=b"one", next="1", more=TEXT))

    ended = ds("read", faulty.url, "--one-page")

    assert (ended.out, ended.err) == (
        b"one",
        "ds-edge: next offset: 1 (more follows)\n",
    )


def test_a_server_that_never_says_up_to_date_is_read_to_where_it_stays(
    ds: Run, faulty: Faulty
) -> None:
    """L3: some origins make no claims."""
    faulty.answers(
        answer(body=b"one", next="1", more=TEXT), answer(next="1", more=TEXT)
    )

    assert ds("read", faulty.url).out == b"one"
    assert len(faulty.asked) == 2


def test_a_body_that_was_cut_goes_on_where_it_stopped(
    ds: Run, faulty: Faulty, waits: list[float]
) -> None:
    faulty.answers(
        answer(body=b"one tw", length=7, next="1", more=DONE),
        answer(body=b"one two", next="1", more=DONE),
    )

    ended = ds("read", faulty.url)

    assert (ended.code, ended.out) == (0, b"one two")
    assert "the answer ended too early; trying again" in ended.err
    assert len(waits) == 1


def test_a_chunked_body_without_its_end_is_cut_too(ds: Run, faulty: Faulty) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        b"Stream-Next-Offset: 1\r\nStream-Up-To-Date: true\r\n\r\n"
    )
    faulty.answers(head + b"3\r\none\r\n", head + b"3\r\none\r\n0\r\n\r\n")

    assert ds("read", faulty.url).out == b"one"
    assert len(faulty.asked) == 2


def test_lines_that_were_cut_go_on_where_they_stopped(ds: Run, faulty: Faulty) -> None:
    json = {**DONE, "type": "application/json"}
    faulty.answers(
        answer(body=b'[{"a":1},{"b', length=99, next="1", more=json),
        answer(body=b'[{"a":1},{"b":2},3]', next="2", more=json),
    )

    assert ds("read", faulty.url, "--json-lines").out == b'{"a":1}\n{"b":2}\n3\n'


def test_other_bytes_after_a_cut_are_another_stream(ds: Run, faulty: Faulty) -> None:
    faulty.answers(
        answer(body=b"one tw", length=7, next="1", more=DONE),
        answer(body=b"the new one", next="1", more=DONE),
    )

    ended = ds("read", faulty.url)

    assert (ended.code, ended.out) == (4, b"one tw")
    assert "the stream at this URL is another one now" in ended.err
    assert "next offset: -1 (6 bytes after it are out)" in ended.err


def test_a_server_that_is_busy_is_asked_again_when_it_says(
    ds: Run, faulty: Faulty, waits: list[float]
) -> None:
    faulty.answers(
        answer(429, b"slow down", Retry_After="9"),
        answer(body=b"x", next="1", more=DONE),
    )

    assert ds("read", faulty.url).out == b"x"
    assert waits == [9]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_stays_away_is_unreachable(
    ds: Run, faulty: Faulty, status: int
) -> None:
    faulty.answers(*[answer(status)] * 3)

    assert ds("read", faulty.url, "--retries", "2").code == 7
    assert len(faulty.asked) == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (401, 6), (403, 6), (404, 3), (405, 1), (407, 6), (409, 5), (410, 4),
     (413, 1), (304, 1)],
)  # fmt: skip
def test_a_refusal_is_final_and_its_exit_code_tells_it(
    ds: Run, faulty: Faulty, status: int, code: int
) -> None:
    faulty.answers(answer(status, b"because\x1b[2J of\nthis", more=TEXT))

    ended = ds("read", faulty.url)

    assert ended.code == code
    assert ended.err.startswith(f"error: {status} ")
    if status != 304:
        assert ended.err.partition("\n")[0].endswith(": because\ufffd[2J of this")
    assert len(faulty.asked) == 1


@pytest.mark.parametrize(
    ("type_", "body", "said"),
    [
        ("application/problem+json", b'{"title":"T","detail":"why"}', "why"),
        ("application/problem+json", b'{"title":"T"}', "T"),
        ("application/json", b'{"error":{"message":"m"}}', "m"),
        ("application/json", b'{"error":"e"}', "e"),
        ("application/json", b"[broken", "[broken"),
        ("text/plain", b"x" * 9999, "x" * 300 + "…"),
    ],
)
def test_the_servers_own_words_are_told(
    ds: Run, faulty: Faulty, type_: str, body: bytes, said: str
) -> None:
    faulty.answers(answer(404, body, type=type_))

    assert ds("read", faulty.url).err.partition("\n")[0] == (
        f"error: 404 Not Found: {said}"
    )


def test_a_page_of_html_is_not(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(404, b"<html>", type="text/html"))

    assert ds("read", faulty.url).err.startswith("error: 404 Not Found\n")


def test_an_answer_without_an_offset_is_no_stream(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(body=b"<html>", more=DONE))

    ended = ds("read", faulty.url)

    assert (ended.code, ended.out) == (1, b"")
    assert "no stream is served at this URL" in ended.err


def test_nobody_listening_is_one_line_without_the_secrets_of_the_url(ds: Run) -> None:
    """A port of this machine that nobody listens at."""
    with Faulty() as server:
        place = server.place

    ended = ds("read", f"http://me:secret@{place}/s?token=secret", "--retries", "1")

    assert ended.code == 7
    assert f"error: {place}: Connection refused\n" in ended.err
    assert "secret" not in ended.err


def test_an_answer_that_never_comes_is_not_waited_for(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(body=b"o", length=9, next="1", more=DONE)[:-1].strip(b"\r\n"))

    ended = ds("read", faulty.url, "--timeout", "0.1", "--retries", "0")

    assert ended.code == 7


def test_fields_are_sent_but_follow_no_redirect_to_another_host(
    ds: Run, faulty: Faulty
) -> None:
    with Faulty() as other:
        elsewhere = f"http://localhost:{other.place.rpartition(':')[2]}/s"
        other.answers(answer(body=b"x", next="1", more=DONE))
        faulty.answers(answer(307, Location=elsewhere))
        fields = (
            "-H",
            "Authorization: Bearer s3",
            "-H",
            "X-Key: s3",
            "-H",
            "x-key: t4",
        )

        assert ds("read", faulty.url, *fields).out == b"x"

        assert "Bearer s3" in faulty.asked[0]
        assert "s3, t4" in faulty.asked[0]
        assert "s3" not in other.asked[0]


def test_the_password_of_the_url_is_sent_and_no_other(
    ds: Run, faulty: Faulty, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login wrong password wrong\n")
    monkeypatch.setenv("NETRC", netrc)
    faulty.answers(*[answer(next="1", more=DONE)] * 2)

    ds("read", faulty.url.replace("//", "//me:pass@"))
    ds("read", faulty.url)

    assert base64.b64encode(b"me:pass").decode() in faulty.asked[0]
    assert "Authorization" not in faulty.asked[1]


# Following.


def test_an_event_stream_that_was_cut_goes_on_without_loss_or_repetition(
    ds: Run, faulty: Faulty
) -> None:
    """PROTOCOL.md section 5.8: reconnect at the last streamNextOffset."""
    faulty.answers(
        answer(body=b"old", next="1", more=DONE),
        # Data of which no control event told where it ends.
        events(
            control("1", "5"), data("one"), control("2", "6"), data("tw"), data("o")
        ),
        # The same again, otherwise cut into events.
        events(data("two"), control("3"), data("end"), control("4", streamClosed=True)),
    )

    ended = ds("tail", faulty.url, "--from-start")

    assert (ended.code, ended.out) == (0, b"oldonetwoend")
    assert faulty.targets == [
        "/s?offset=-1",
        "/s?live=sse&offset=1",
        "/s?cursor=6&live=sse&offset=2",
    ]


def test_messages_that_were_cut_are_not_repeated_in_other_arrays(
    ds: Run, faulty: Faulty
) -> None:
    json = {**DONE, "type": "application/json"}
    faulty.answers(
        answer(body=b"[]", next="1", more=json),
        events(data("[1]"), data('[{"a":2}]')),
        events(data('[1,{"a":2},3]'), control("2", streamClosed=True)),
    )

    assert ds("tail", faulty.url).out == b'1\n{"a":2}\n3\n'


def test_an_event_that_was_cut_is_not_printed(ds: Run, faulty: Faulty) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        events(control("1"), b"event: data\ndata:ha"),
        events(data("half"), control("2", streamClosed=True)),
    )

    assert ds("tail", faulty.url).out == b"half"


def test_coded_data_is_decoded(ds: Run, faulty: Faulty) -> None:
    """PROTOCOL.md section 5.8: lines are joined before decoding."""
    body = bytes(range(256))
    text = base64.b64encode(body).decode()
    faulty.answers(
        answer(next="1", done="true", type="application/octet-stream"),
        events(
            data(f"{text[:60]}\ndata:{text[60:]}"), control("2", streamClosed=True),
            stream_sse_data_encoding="base64",
        ),
    )  # fmt: skip

    assert ds("tail", faulty.url).out == body


def test_data_that_is_not_coded_as_announced_is_an_error(
    ds: Run, faulty: Faulty
) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        events(data("!!"), control("2"), stream_sse_data_encoding="base64"),
    )

    ended = ds("tail", faulty.url)

    assert (ended.code, ended.out) == (1, b"")


@pytest.mark.parametrize("block", [b"event: control\ndata:oops\n\n", control("now")])
def test_a_control_event_that_says_nothing_is_an_error(
    ds: Run, faulty: Faulty, block: bytes
) -> None:
    faulty.answers(answer(next="1", more=DONE), events(block))

    assert ds("tail", faulty.url).code == 1


def test_a_mute_event_stream_is_a_failure(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(next="1", more=DONE), *[events(cut=False)] * 2)

    ended = ds("tail", faulty.url, "--retries", "1")

    assert ended.code == 7
    assert f"error: {following.MUTE}\n" in ended.err


def test_a_server_without_event_streams_is_followed_by_long_poll(
    ds: Run, faulty: Faulty
) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        answer(next="1", more=DONE),
        answer(body=b"x", next="2", more=END),
    )

    ended = ds("tail", faulty.url)

    assert (ended.code, ended.out) == (0, b"x")
    assert faulty.targets[-1] == "/s?live=long-poll&offset=1"


def test_an_event_too_large_to_hold_is_read_by_a_plain_answer(
    ds: Run, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse_events.SseParser.__init__, "__defaults__", (64,))
    large = "x" * 100
    faulty.answers(
        answer(next="1", more=DONE),
        events(data("small"), data(large), control("2")),
        answer(body=f"small{large}".encode(), next="2", more=DONE),
        events(control("2", streamClosed=True)),
    )

    assert ds("tail", faulty.url).out == f"small{large}".encode()


def test_a_poll_echoes_the_cursor_and_ends_when_closed(ds: Run, faulty: Faulty) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        answer(204, next="1", done="true", cursor="5"),
        answer(body=b"x", next="2", cursor="6", more=DONE),
        answer(204, next="2", done="true", closed="true"),
    )

    assert ds("tail", faulty.url, "--long-poll").out == b"x"
    assert faulty.targets[1:] == [
        "/s?live=long-poll&offset=1",
        "/s?cursor=5&live=long-poll&offset=1",
        "/s?cursor=6&live=long-poll&offset=2",
    ]


def test_a_poll_that_is_answered_at_once_with_nothing_does_not_spin(
    ds: Run, faulty: Faulty, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """L21: an origin that does not hold a poll."""
    monkeypatch.setattr(retry_policy, "clock", lambda: 0.0)
    faulty.answers(
        answer(next="1", more=DONE),
        *[answer(204, next="1", done="true", cursor=str(n)) for n in range(5)],
        answer(204, next="1", closed="true"),
    )

    assert ds("tail", faulty.url, "--long-poll").code == 0
    assert len(waits) == 5
    assert min(waits) >= retry_policy.MIN_EXCHANGE


def test_a_cursor_that_comes_back_is_dropped_and_counts_as_a_failure(
    ds: Run, faulty: Faulty, waits: list[float]
) -> None:
    """PROTOCOL.md section 10.1: a cache that repeats an old empty answer."""
    old = answer(204, next="1", done="true", cursor="5")
    faulty.answers(
        answer(next="1", more=DONE), old, old, answer(body=b"x", next="2", more=END)
    )

    ended = ds("tail", faulty.url, "--long-poll")

    assert (ended.code, ended.out) == (0, b"x")
    assert following.ECHO in ended.err
    assert faulty.targets[-2:] == [
        "/s?cursor=5&live=long-poll&offset=1",
        "/s?live=long-poll&offset=1",
    ]


@pytest.mark.parametrize("mode", [(), ("--long-poll",)])
def test_a_tail_waits_as_the_server_asks(
    ds: Run, faulty: Faulty, waits: list[float], mode: tuple[str, ...]
) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        answer(503, Retry_After="11"),
        answer(404),
    )

    assert ds("tail", faulty.url, *mode).code == 3
    assert waits == [11]


def test_an_event_stream_may_ask_for_a_wait(
    ds: Run, faulty: Faulty, waits: list[float]
) -> None:
    faulty.answers(
        answer(next="1", more=DONE),
        events(b"retry: 7000\n\n", data("x"), control("2")),
        answer(410),
    )

    assert ds("tail", faulty.url).code == 4
    assert waits == [7]


def test_a_stream_that_went_back_is_another_one(ds: Run, faulty: Faulty) -> None:
    """L2: an offset below the last one."""
    faulty.answers(answer(next="5", more=DONE), events(control("3")))

    ended = ds("tail", faulty.url)

    assert ended.code == 4
    assert "the stream ends at 3 now, before 5" in ended.err


# Writing.


def test_a_plain_append_is_not_sent_twice(ds: Run, faulty: Faulty) -> None:
    """PROTOCOL.md section 5.2.1: only a producer's appends may be repeated."""
    faulty.answers(b"")

    ended = ds("append", faulty.url, "-t", "text/plain", given="x")

    assert ended.code == 7
    assert "it may have been appended or not" in ended.err
    assert len(faulty.asked) == 1


def test_an_append_that_was_refused_outright_is_sent_again(
    ds: Run, faulty: Faulty, waits: list[float]
) -> None:
    faulty.answers(answer(429, Retry_After="3"), answer(204, next="1"))

    assert ds("append", faulty.url, "-t", "text/plain", given="x").code == 0
    assert waits == [3]


@pytest.mark.parametrize("failure", [b"", answer(503), answer(500)])
def test_a_producers_append_is_sent_again_with_its_number(
    ds: Run, faulty: Faulty, failure: bytes
) -> None:
    faulty.answers(failure, answer(204), answer(200, next="2"))

    ended = ds("append", faulty.url, "-t", "text/plain", "--lines", "--producer-id",
               "p", "--producer-seq", "4", "--json", given="a\nb\n")  # fmt: skip

    assert ended.told["next_seq"] == 6
    sent = [request.partition("Producer-Seq: ")[2][:1] for request in faulty.asked]
    assert sent == ["4", "4", "5"]
    assert [request[-2:] for request in faulty.asked] == ["a\n", "a\n", "b\n"]


def test_a_large_file_is_sent_again_from_its_beginning(
    ds: Run, faulty: Faulty, tmp_path: object
) -> None:
    path = f"{tmp_path}/large"
    with open(path, "wb") as file:
        file.write(b"~" * 200_000)
    faulty.answers(b"", answer(200, next="1"))
    run = ("append", faulty.url, path, "-t", "text/plain", "--producer-id", "p")

    assert ds(*run).code == 0

    assert [request.count("~") for request in faulty.asked] == [200_000] * 2


def test_a_large_pipe_cannot_be_sent_again(ds: Run, faulty: Faulty) -> None:
    faulty.answers(b"")

    ended = ds("append", faulty.url, "-t", "text/plain", "--producer-id", "p",
               given=b"x" * 200_000)  # fmt: skip

    assert ended.code == 7
    assert len(faulty.asked) == 1


def test_a_close_and_a_create_are_sent_again(ds: Run, faulty: Faulty) -> None:
    faulty.answers(b"", answer(201, next="0"), b"", answer(204, closed="true"))

    assert ds("create", faulty.url).code == 0
    assert ds("close", faulty.url).code == 0


def test_a_delete_whose_answer_was_lost_was_done(ds: Run, faulty: Faulty) -> None:
    faulty.answers(b"", answer(404))

    assert ds("delete", faulty.url).code == 0


def test_a_delete_that_was_refused_before_was_not(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(429), answer(404))

    assert ds("delete", faulty.url).code == 3


def test_encodings_in_the_path_stay_and_are_sent_in_capitals(
    ds: Run, faulty: Faulty
) -> None:
    faulty.answers(answer(next="1", more=DONE))

    ds("read", f"{faulty.url}/a%2fb%2Fc?k=%2f")

    assert faulty.targets == ["/s/a%2Fb%2Fc?k=%2F&offset=-1"]


def test_a_write_follows_no_redirect(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(307, Location="/other"))

    ended = ds("delete", faulty.url)

    assert ended.code == 1
    assert "only reads follow" in ended.err


def test_the_type_is_asked_for_and_must_be_told(ds: Run, faulty: Faulty) -> None:
    faulty.answers(answer(200, next="1"))

    ended = ds("append", faulty.url, given="x")

    assert ended.code == 1
    assert "give --content-type" in ended.err
