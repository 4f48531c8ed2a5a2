"""The access log's lines: the same words as the metrics, and no secret."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.log_lines import logfmt_value
from edge.core.reasons import Reason
from edge.core.values import CacheStatus
from edge.front.exchange import LoggedFields, RequestContext
from edge.front.log import MAX_SAID, MAX_SUBJECT, AccessLog, redacted
from edge.front.options import BLANKED, LogOptions
from edge.policy.streams.routes import Route
from tests.support.options import log_options

RECORD = RequestContext(
    method="GET",
    target="/v1/stream/a?offset=-1",
    request_id="id-1",
    mode="catch-up",
    cache=CacheStatus(fwd="miss", collapsed=True),
    reason=Reason.MISS,
)


class StoppedClock:
    """Has stopped, a bit after each request began."""

    def wall(self) -> float:
        return 1_700_000_000.25

    def monotonic(self) -> float:
        return RECORD.started + 0.0123


def logged(
    options: LogOptions, *statuses: int, ctx: RequestContext = RECORD
) -> list[str]:
    """The lines for requests that ended with these statuses."""
    lines: list[str] = []
    log = AccessLog(options, lines.append, StoppedClock())
    for status in statuses:
        log.write(ctx, status, 5)
    return lines


def test_a_line_is_one_json_object() -> None:
    """Reason and cache words are those of metric and header."""
    [line] = logged(log_options(), 200)

    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "edge.access",
        "message": "request",
        "method": "GET",
        "path": "/v1/stream/a?offset=-1",
        "status": 200,
        "bytes": 5,
        "ms": 12.3,
        "mode": "catch-up",
        "cache": "fwd=miss; collapsed",
        "reason": "miss",
        "lost": 0,
        "id": "id-1",
    }


@given(st.text(), st.text())
def test_a_line_is_json_whatever_was_asked(target: str, request_id: str) -> None:
    """And what was asked is in it: a path is remembered, not what came with it."""
    records = (replace(RECORD, target=target, request_id=request_id), RECORD)
    lines: list[str] = []
    log = AccessLog(log_options(), lines.append, StoppedClock())
    for ctx in (*records, *records):
        log.write(ctx, 200, 5)
    said = [json.loads(line) for line in lines]

    assert said[0] == said[2] and said[1] == said[3]
    assert said[1]["path"] == RECORD.target
    assert said[0].get("id", "") == request_id
    assert said[0].get("path", "") == redacted(target, Route())


def test_a_line_may_be_text() -> None:
    """For people."""
    [line] = logged(log_options(format="text"), 200)

    begin = "time=2023-11-14T22:13:20.250Z level=info logger=edge.access "
    assert line.startswith(begin + "message=request method=GET path=")
    assert ' cache="fwd=miss; collapsed" reason=miss ' in line


def test_what_the_system_said_is_one_value_whatever_it_holds() -> None:
    """An origin may have a say in it: no second line, no field of its own."""
    cause = 'o:1: [Errno 1] "x"\nstatus=200 ' + "y" * 1000
    ctx = replace(RECORD, cause=cause)
    [text] = logged(log_options(format="text"), 502, ctx=ctx)
    [line] = logged(log_options(), 502, ctx=ctx)

    assert json.loads(line)["cause"] == cause[:512]
    assert "\n" not in text
    assert json.loads(text.partition(" cause=")[2]) == cause[:512]


def test_one_in_so_many_is_logged_but_every_failure() -> None:
    """A sample of what went well, all of what did not."""
    assert len(logged(log_options(access=3), *[200] * 9)) == 3
    assert len(logged(log_options(access=0), 200, 404, 503)) == 1
    assert len(logged(log_options(level="warning"), 200, 500)) == 1


def test_an_answer_that_was_lost_is_logged_whatever_the_sample() -> None:
    """The client left or the origin broke off: somebody will ask."""
    lost = replace(RECORD, lost=True)

    assert len(logged(log_options(access=100), 200, ctx=lost)) == 1


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a", "/a"),
        ("/a?offset=1", "/a?offset=1"),
        ("/a?token=x&offset=1", "/a?token=***&offset=1"),
        ("/a?Token=x", "/a?Token=***"),
        ("/a?%74oken=x=y", "/a?%74oken=***"),
        ("/a?signature=x&secret=y", "/a?signature=***&secret=***"),
        ("/a?token", "/a?token"),
        ("/a?b?token=x", "/a?b?token=x"),
    ],
)
def test_credentials_in_the_query_are_blanked(target: str, shown: str) -> None:
    """L13: those that the route counts as such, however they are spelt."""
    assert redacted(target, Route()) == shown


@pytest.mark.parametrize("name", sorted(BLANKED))
def test_what_often_is_a_credential_is_blanked_on_every_route(name: str) -> None:
    """A8, B8: whatever its route says."""
    route = Route(credential_parameters=())

    assert redacted(f"/a?{name}=x&b=y", route) == f"/a?{name}=***&b=y"


def test_what_is_a_credential_on_any_route_is_blanked_on_all() -> None:
    """B8: also off the routes."""
    options = log_options(blanked=frozenset({"ds_sig"}))
    target = replace(RECORD, target="/elsewhere?ds_sig=s3cret&x=y")
    [line] = logged(options, 404, ctx=target)

    assert "s3cret" not in line and "/elsewhere?ds_sig=***&x=y" in line


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("alice", "alice"),
        ("a b\nstatus=200", "a?b?status=200"),
        ("\u00e9\ud800", "??"),
        ("x" * 500, "x" * MAX_SUBJECT),
    ],
)
def test_whom_a_token_names_is_one_word(form: str, subject: str, shown: str) -> None:
    """A7: it is somebody else's text."""
    ctx = replace(RECORD, way="jwt", subject=subject)
    [line] = logged(log_options(format=form), 200, ctx=ctx)

    if form == "json":
        said = json.loads(line)
        assert (said["way"], said["sub"]) == ("jwt", shown)
    else:
        assert line.endswith(f" way=jwt sub={logfmt_value(shown)}")


SAID = LoggedFields("edge.test", 'a "b" status=200', "https://a.test", "0af7" * 8)


@pytest.mark.parametrize("form", ["json", "text"])
def test_who_asked_and_with_what_is_told(form: str) -> None:
    """P14: what clients write is one word each, and bounded."""
    ctx = replace(RECORD, client="203.0.113.9", said=SAID)
    long = replace(ctx, said=SAID._replace(agent="x\xe9" * 500, host="h" * 500))
    [line] = logged(log_options(format=form), 200, ctx=ctx)
    [cut] = logged(log_options(format=form), 200, ctx=long)

    if form == "json":
        said = json.loads(line)
        assert (said["client"], said["agent"]) == ("203.0.113.9", SAID.agent)
        assert (said["host"], said["referer"], said["trace"]) == (
            *("edge.test", "https://a.test", "0af7" * 8),
        )
        assert len(json.loads(cut)["agent"]) == MAX_SAID
    else:
        assert (
            ' client=203.0.113.9 host=edge.test agent="a \\"b\\" status=200" ' in line
        )
    assert line.isascii() and len(cut) < 8 * MAX_SAID


@pytest.mark.parametrize(
    ("referer", "origin"),
    [
        ("https://a.test/secret?token=s3cret#x", "https://a.test"),
        ("https://a.test", "https://a.test"),
        ("HTTP://a.test:81?secret", "HTTP://a.test:81"),
        ("https://u:s3cret@a.test/", ""),
        ("https://", ""),
        ("/secret", ""),
        ("about:secret", ""),
        ("https://a.test\\secret", "https://a.test\\secret"),
        ("", ""),
    ],
)
def test_of_a_referer_only_its_origin_is_told(referer: str, origin: str) -> None:
    """The path of a page is its reader's business."""
    assert LoggedFields.of({"referer": referer}.get).referer == origin


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_no_secret_is_ever_shown(secret: str) -> None:
    """Whatever it holds, up to the next separator."""
    value = "s3cret" + secret.replace("&", "")

    assert "s3cret" not in redacted(f"/a?x=1&token={value}&y=2", Route())


@pytest.mark.parametrize(
    "target",
    ["http://u:s3cret@h/v1/stream/a", "http://u:s3cret@h", "http://s3cret@@h/?x"],
)
def test_userinfo_of_an_absolute_target_is_not_shown(target: str) -> None:
    assert "s3cret" not in redacted(target, Route())
    assert redacted("/v1/stream/a@b", Route()) == "/v1/stream/a@b"
