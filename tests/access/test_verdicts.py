"""Verdicts: told once, believed for a time, bounded (B2, B18)."""

from dataclasses import replace
from typing import Any

import pytest

from edge.access.verdicts import (
    MAX_KEY_LENGTH,
    NO_SECONDS,
    AskedTimes,
    LetIn,
    VerdictKey,
    Verdicts,
)
from edge.core.reasons import Reason
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import Right

NOW = 1_800_000_000.0
KEY = VerdictKey("/v1/stream/**", 0, Right.READ, "/v1/stream/a", "x=1", "digest")
YES = LetIn(NOW + 60.0, "alice")
NO = Denied(Reason.TOKEN_SIGNATURE, "No.", 401)


def kept(*pairs: tuple[VerdictKey, LetIn | Denied], **bounds: int) -> Verdicts:
    verdicts = Verdicts(**bounds)
    for key, verdict in pairs:
        verdicts.keep(key, verdict, NOW, verdicts.epoch)
    return verdicts


def numbered(count: int) -> list[VerdictKey]:
    return [KEY._replace(credential=str(n)) for n in range(count)]


def test_a_yes_is_believed_until_the_credential_ends() -> None:
    """And not an instant longer."""
    verdicts = kept((KEY, YES))

    assert verdicts.get(KEY, NOW + 59.9) is YES
    assert verdicts.get(KEY, NOW + 60.0) is None
    assert len(verdicts) == 0


def test_a_no_is_believed_for_some_seconds() -> None:
    """Time or newer keys may change it; a clock that is set back does too."""
    verdicts = kept((KEY, NO))

    assert verdicts.get(KEY, NOW + NO_SECONDS - 0.1) is NO
    assert verdicts.get(KEY, NOW + NO_SECONDS) is None
    assert verdicts.get(KEY, NOW - 1.0) is None


@pytest.mark.parametrize(
    "change",
    [
        {"route": "/v1/**"},
        {"way": 1},
        {"right": Right.WRITE},
        {"path": "/v1/stream/b"},
        {"extension": "x=2"},
        {"credential": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_verdict_is_about_all_that_its_judge_saw(change: dict[str, Any]) -> None:
    """B2: of another request it says nothing."""
    verdicts = kept((KEY, YES))

    assert verdicts.get(KEY._replace(**change), NOW) is None


def test_bad_credentials_push_out_each_other_and_nobody_who_was_let_in() -> None:
    """B18: the oldest no goes first, and never a yes for it."""
    verdicts = kept((KEY, YES), *((key, NO) for key in numbered(10)), max_no=3)

    assert verdicts.get(KEY, NOW) is YES
    known = [key for key in numbered(10) if verdicts.get(key, NOW) is not None]
    assert known == numbered(10)[-3:]


def test_of_those_let_in_the_one_asked_for_longest_ago_goes_first() -> None:
    first, second, third = numbered(3)
    verdicts = kept((first, YES), (second, YES), max_yes=2)
    assert verdicts.get(first, NOW) is YES
    verdicts.keep(third, YES, NOW, verdicts.epoch)

    assert verdicts.get(second, NOW) is None
    assert verdicts.get(first, NOW) is YES


def test_when_keys_change_everything_is_judged_anew() -> None:
    """B15: also by a judge that began with the old keys, and ends now."""
    verdicts = kept((KEY, YES), (numbered(1)[0], NO))
    before = verdicts.epoch
    verdicts.forget()
    verdicts.keep(KEY, YES, NOW, before)

    assert len(verdicts) == 0
    verdicts.keep(KEY, replace(YES, subject="bob"), NOW, verdicts.epoch)
    assert verdicts.get(KEY, NOW) == LetIn(NOW + 60.0, "bob")


def test_who_was_let_in_before_an_epoch_is_known_and_not_let_in_by_it() -> None:
    """B18: after an order to revoke all are asked about anew, and strangers last."""
    asked = replace(YES, asked=AskedTimes(NOW, NOW + 60.0, NOW + 50.0, NOW + 120.0))
    keys = numbered(5)
    verdicts = kept(*((key, asked) for key in keys), max_yes=4)
    verdicts.forget()
    verdicts.forget()

    assert [verdicts.was_let_in(key, NOW) for key in keys] == [False] + 4 * [True]
    assert {verdicts.get(key, NOW) for key in keys} == {None}
    verdicts.end(keys[1])
    verdicts.keep(keys[2], NO, NOW, verdicts.epoch)
    verdicts.keep(keys[3], asked, NOW, verdicts.epoch)
    said = [verdicts.was_let_in(key, NOW) for key in keys]
    assert said == [False, False, False, True, True]


def test_a_no_after_a_yes_ended_is_told() -> None:
    """The two do not hide each other."""
    verdicts = kept((KEY, YES), (KEY, NO))

    assert verdicts.get(KEY, NOW + 1.0) is YES
    assert verdicts.get(KEY, NOW + 60.0) is None


@pytest.mark.parametrize("verdict", [YES, NO])
def test_of_a_long_request_nothing_is_remembered(verdict: LetIn | Denied) -> None:
    """B18: whoever is let in must not fill the memory either."""
    fits = KEY._replace(path="/" + "a" * (MAX_KEY_LENGTH - 4))
    longer = KEY._replace(path="/" + "a" * (MAX_KEY_LENGTH - 3))
    verdicts = kept((fits, verdict), (longer, verdict))

    assert verdicts.get(fits, NOW) is verdict
    assert verdicts.get(longer, NOW) is None
