"""What handshakes of TLS come to, whichever way the connection is served then.

``shake`` is for a greenlet; the fast way goes on with each handshake from the event
loop (``edge.front.fast.handshake``). A connection whose handshake fails is closed
behind the alert that says so, counted, and has a line in the access log. One that ends
meanwhile is counted alone: many programs only look whether a port is open.
"""

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.http1.context import ServerContext
from edge.front.http1.proxied import refused
from edge.front.tls import TlsTransport
from edge.front.tls_faults import late
from edge.front.transport import BlockingStream
from edge.policy.http.client_address import Peer

FULL = "full"
RESUMED = "resumed"


def done(server_context: ServerContext, transport: TlsTransport, peer: Peer) -> Peer:
    """Count a handshake that is done; the peer, with what is known of it now."""
    result = RESUMED if transport.resumed else FULL
    server_context.counters.tls_handshakes[result] += 1
    return peer._replace(scheme="https", certificate=transport.subject)


def failed(server_context: ServerContext, peer: Peer, fault: ClientFault) -> None:
    """Count a handshake that failed, and log it."""
    server_context.counters.tls_handshakes[fault.reason.value] += 1
    if fault.reason is not Reason.HTTP_TO_TLS:
        # That is answered, and then counted and logged as what is answered.
        refused(server_context, peer, fault)


def left(server_context: ServerContext) -> None:
    """Count a handshake whose client is gone."""
    server_context.counters.tls_handshakes[Reason.CLIENT_GONE.value] += 1


def shake(server_context: ServerContext, transport: TlsTransport, began: float) -> None:
    """Wait until the handshake is done, which ``began`` at some time (monotonic).

    Raises ClientFault, and OSError if the client is gone.
    """
    ends = began + server_context.options.limits.head_timeout
    try:
        BlockingStream(transport).shaken(transport.shake, ends)
    except TimeoutError:
        raise late() from None
