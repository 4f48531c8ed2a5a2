"""The Falcon application: every request, complete in itself.

``create_app`` puts the parts together; it holds no state of its own. It runs
under any WSGI server; what only the worker can do (noticing that a parked
client left, refusing a malformed head, keeping time-outs) is not needed for
its answers to be right.
"""

import re

import falcon

from edge.front.app.error_handlers import ErrorHandlers, WsgiApp
from edge.front.app.streams import StreamResource
from edge.front.common_fields import FixedFields
from edge.front.dependencies import Dependencies

__all__ = ["Dependencies", "WsgiApp", "create_app"]

# Everything, the asterisk-form and paths that Falcon's router cannot take too.
_ANY_PATH = re.compile("")


def create_app(parts: Dependencies) -> WsgiApp:
    """The application that answers with these parts."""
    app: WsgiApp = falcon.App(middleware=[FixedFields(parts.options)])
    # An answer without Content-Type must stay so. Falcon's code takes None for
    # that (see Response._wsgi_headers); only its annotation says str.
    app.resp_options.default_media_type = None  # type: ignore[assignment]
    app.add_sink(StreamResource(parts), _ANY_PATH)
    ErrorHandlers(parts.counters).install(app)
    return app
