"""What an operator is told of an order that not all processes have carried out (W14).

Called by the pages that give orders, and by the desk of a node.
"""

from collections.abc import Sequence

from edge.core.errors import Refusal
from edge.core.reasons import Reason


def fault_of(late: Sequence[str], failed: Sequence[str]) -> Refusal | None:
    """Why it is not done yet in all of them, by their names; None: it is."""
    if failed:
        detail = f"Could not be done in: {', '.join(failed)}. The log says why."
        return Refusal(detail, reason=Reason.ORDERS_FAILED, status=500)
    if late:
        detail = (
            f"Not yet done in: {', '.join(late)}. It is done there once they go on."
        )
        return Refusal(detail, reason=Reason.ORDERS_LATE, status=504)
    return None
