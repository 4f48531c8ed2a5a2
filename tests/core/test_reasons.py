"""Reason words: one closed set, each word safe wherever it is shown."""

import re

import pytest

from edge.core import errors
from edge.core.errors import EdgeError
from edge.core.reasons import Reason


def test_no_word_is_used_twice() -> None:
    """An Enum would make the second name an alias of the first, silently."""
    assert list(Reason.__members__.values()) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_word_is_lower_case_kebab(reason: Reason) -> None:
    """Safe in a log line, a label, a JSON body and RFC 9211's ``detail``."""
    assert re.fullmatch("[a-z]+(-[a-z]+)*", reason.value)


def test_every_error_carries_a_reason_of_the_set() -> None:
    """Every negative outcome has its word, also where none was chosen."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, EdgeError)
    ]

    assert len(kinds) == 15
    assert all(isinstance(kind("why").reason, Reason) for kind in kinds)
