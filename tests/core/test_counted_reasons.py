"""All series of a labelled counter are there before the first one is counted."""

import re

import pytest

from edge.access.revocations import RevokedBy
from edge.core.counted_reasons import LABELS
from edge.core.counters import Described
from edge.core.node_counters import NODE_DESCRIPTIONS
from edge.core.purges import PurgeBy, PurgeMode
from edge.core.reasons import Reason
from edge.policy.streams.followed_events import ENDS

LABELLED = [one for one in NODE_DESCRIPTIONS if one.label is not None]
MOST = 64
"""Series of one counter: more would cost each scrape too much."""


@pytest.mark.parametrize("described", LABELLED, ids=lambda one: one.name)
def test_it_is_known_what_each_label_may_say(described: Described) -> None:
    values = described.values

    assert 0 < len(values) == len(set(values)) <= MOST
    assert all(re.fullmatch("[a-z0-9-]+", value) for value in values)
    if described.label == "reason":
        assert set(values) <= {reason.value for reason in Reason}


def test_what_is_listed_is_counted() -> None:
    assert set(LABELS) <= {one.name for one in LABELLED}


def test_the_lists_follow_the_tables_that_they_are_made_of() -> None:
    """A word that is added there is to be added here."""
    by_mode = {f"{by.value}-{mode.value}" for by in PurgeBy for mode in PurgeMode}

    assert {reason.value for reason in ENDS} <= set(LABELS["event_streams_ended"])
    assert by_mode == set(LABELS["purges"])
    assert {mode.value for mode in PurgeMode} == set(LABELS["purged"])
    assert {by.value for by in RevokedBy} == set(LABELS["revocations"])


@pytest.mark.parametrize(
    ("family", "start"),
    [
        ("refusals", "limit-"),
        ("disk_faults", "disk-"),
        ("tls_handshakes", "tls-"),
        ("client_faults", "token-"),
    ],
)
def test_all_words_of_a_family_are_listed(family: str, start: str) -> None:
    """But those of orders of an operator, which are counted nowhere."""
    nowhere = {"limit-lanes", "limit-denied", "limit-revocations", "limit-watchers"}
    nowhere |= {"limit-reloads"}
    nowhere |= {"token-not-set"}
    words = {one.value for one in Reason if one.value.startswith(start)}

    assert words - nowhere <= set(LABELS[family])
