"""A keeper that wakes has not read what was sent to it meanwhile (W6)."""

from edge.core.node_board import News
from edge.streamlog.board_news import hear_news
from tests.streamlog.told import Told


def hears_silence(told: Told) -> None:
    """The row looks: its keeper is silent, or was."""
    news = News(writes=False, lives=False, doubt=False, silent=True)
    hear_news(told.tail, news, lambda _: False, told.now, polls_origin=False)


def test_a_poll_that_was_sent_to_a_silent_keeper_proves_nothing_when_that_wakes() -> (
    None
):
    """Not before an answer that was sent after that."""
    told = Told("5")
    told.polls()
    hears_silence(told)
    told.hears(told.sends(), "5")
    told.polls()
    hears_silence(told)
    told.tail.hear_beats(told.now, silent=False)

    assert told.tail.armed is not None
    assert not told.tail.is_armed(told.now) and told.tail.unverified

    told.hears(told.sends(), "5")
    assert told.tail.is_armed(told.now) and not told.tail.unverified
