"""Errors as problem documents (RFC 9457), the same for every front."""

import json

import pytest

from edge.core.errors import ClientFault, EdgeError, OriginTimeout, Refusal
from edge.core.reasons import Reason
from edge.front import problems


@pytest.mark.parametrize(
    ("error", "status", "title", "retry_after"),
    [
        (ClientFault("x", reason=Reason.BAD_OFFSET), 400, "Bad Request", None),
        (OriginTimeout("x"), 504, "Gateway Timeout", "1"),
        (Refusal("x", retry_after=7), 503, "Service Unavailable", "7"),
        (Refusal("x", status=508, retry_after=None), 508, "Loop Detected", None),
        (EdgeError("x", status=599), 599, "Error", None),
    ],
)
def test_a_problem_says_whose_fault_it_is(
    error: EdgeError, status: int, title: str, retry_after: str | None
) -> None:
    """Status, title, detail, reason word and the request's id; never stored."""
    answer = problems.answer_of(error, "id-1")
    fields = dict(answer.headers)

    assert json.loads(answer.body or b"") == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": "x",
        "reason": error.reason.value,
        "instance": "id-1",
    }
    assert answer.status == status
    assert fields["Content-Type"] == "application/problem+json"
    assert fields["Cache-Control"] == "no-store"
    assert fields.get("Retry-After") == retry_after


def test_a_problem_without_a_detail_has_none() -> None:
    """RFC 9457 section 3.1: members are optional, empty ones say nothing."""
    answer = problems.answer_of(ClientFault(), "id-1")

    assert "detail" not in json.loads(answer.body or b"")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_word_can_stand_in_a_problem(reason: Reason) -> None:
    """One closed set of words, everywhere."""
    answer = problems.answer_of(ClientFault(reason=reason), "id-1")

    assert json.loads(answer.body or b"")["reason"] == reason.value
