"""Whether the sockets that the service manager holds are those that the settings name.

What they are: ``edge.supervisor.inherited``. ``start`` asks before anything is forked.
"""

import os
import socket
from collections.abc import Sequence

from edge.process.interfaces import every_interface
from edge.settings.addresses import ListenAddress


def refusal(files: Sequence[int], listen: Sequence[ListenAddress]) -> str | None:
    """Why the sockets ``files`` cannot stand for ``listen``; None when they can."""
    wanted = [one for each in listen for one in every_interface(str(each))]
    given = [_address(number) for number in files]
    if wanted == given:
        return None
    return (
        f"the service manager listens at {', '.join(given)}: both must name the same "
        f"addresses, in one order; here they are {', '.join(wanted)}"
    )


def _address(number: int) -> str:
    """Where a socket listens, as ``listen`` says it."""
    with socket.socket(fileno=os.dup(number)) as found:
        name = found.getsockname()
    if isinstance(name, tuple):
        return str(ListenAddress(name[0], name[1]))
    return f"unix:{name}"
