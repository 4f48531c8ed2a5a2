"""Many come at once, and not all of them in good faith: U31 on the wire, by counts."""

from tests.front.handshake_storm import CROWD, STORM, expected, storm_at
from tests.front.test_tls import handshakes
from tests.front.tls_client import TlsEdge

NUMBER = 28 * len(STORM)


def test_a_storm_of_handshakes_keeps_nobody_from_being_answered() -> None:
    """Neither those of the storm who mean it nor those who were there before; and who
    never goes on is waited for no longer than the time that a head has."""
    with TlsEdge({"limits": {"head_timeout": 60.0}}) as edge:
        storm, asking, served = storm_at(edge, NUMBER)
        counted = handshakes(edge)

    assert storm.became == expected(NUMBER)
    assert served == CROWD
    assert asking.answered == asking.asked > 0
    each = NUMBER // len(STORM)
    assert (counted["not-tls"], counted["http-to-tls"]) == (each, each)
    # Beside the storm: the crowd, its writer, and the one who asks.
    assert counted["full"] == 4 * each + CROWD + 2
