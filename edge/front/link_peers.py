"""Who is at the other end of a link socket: a process of the same user, or nobody.

The socket lies in a folder that only this user can enter. This holds where somebody has
opened that, or was given the socket.
"""

import logging
import os

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.front.transport import PlainTransport

_log = logging.getLogger("edge.front")


def is_ours(transport: PlainTransport, counters: Counters) -> bool:
    """Whether the process that has connected runs as this user. If not, that is counted
    and logged; the caller closes the connection."""
    user = transport.peer_user()
    if user == os.geteuid():
        return True
    counters.refusals[Reason.NOT_LINKED.value] += 1
    _log.warning("user %s has called a link socket, and was refused", user)
    return False
