"""What a client is told that is not let in (RFC 6750, B23)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.challenges import (
    BearerError,
    Failure,
    bearer,
    denied,
    without_credential,
)
from edge.core.reasons import Reason
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import JwtWay, SignedWay

JWT = JwtWay((), ("ES256",))
SIGNED = SignedWay((("k1", b"1" * 32),))


@pytest.mark.parametrize("ways", [[JWT], [JWT, SIGNED], [SIGNED, JWT]])
def test_without_a_credential_the_challenge_is_the_realm_alone(
    ways: list[JwtWay | SignedWay],
) -> None:
    """RFC 6750 section 3.1: no error code for who did not know that it needs one."""
    verdict = without_credential(ways)

    assert verdict.status == 401
    assert verdict.challenge == 'Bearer realm="durable-streams"'
    assert verdict.reason is Reason.NO_TOKEN


def test_where_no_way_takes_tokens_there_is_no_401() -> None:
    """It would have to carry a challenge, and there is none to answer."""
    verdict = without_credential([SIGNED])

    assert (verdict.status, verdict.challenge) == (403, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BearerError.INVALID_REQUEST, 400),
        (BearerError.INVALID_TOKEN, 401),
        (BearerError.INSUFFICIENT_SCOPE, 403),
    ],
)
def test_each_error_has_the_status_of_rfc_6750(error: BearerError, status: int) -> None:
    failure = Failure(Reason.TOKEN_EXPIRED, "The token has expired.", error)

    assert failure.status == status
    assert denied(failure) == Denied(
        Reason.TOKEN_EXPIRED,
        "The token has expired.",
        status,
        f'Bearer realm="durable-streams", error="{error.value}", '
        'error_description="The token has expired."',
    )


@given(st.text())
def test_no_words_leave_their_quotes(words: str) -> None:
    """error_description holds what RFC 6750 section 3 allows, whatever it is given."""
    value = bearer(BearerError.INVALID_TOKEN, words)
    begin = 'Bearer realm="durable-streams", error="invalid_token", error_description="'
    inside = value.removeprefix(begin)[:-1]

    assert value.startswith(begin)
    assert value.endswith('"')
    assert all(0x20 <= ord(c) <= 0x7E and c not in '"\\' for c in inside)
