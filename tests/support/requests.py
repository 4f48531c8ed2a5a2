"""A request's head, through all phases of the pipeline, as every front has it."""

from edge.core.values import Read
from edge.policy.streams.authorize import Lookup, RequestHead
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.policy.streams.routes import Route

NOBODY: Lookup = dict[str, str]().get
"""The fields of a request without any."""


def headers(**fields: str) -> Lookup:
    """A lookup of these fields; underscores stand for hyphens."""
    return {name.replace("_", "-"): value for name, value in fields.items()}.get


def asked(method: str, target: str, lookup: Lookup, route: Route) -> Read | PassRequest:
    """What a request on ``route`` asks for, today. Raises ClientFault."""
    request = RequestHead.of(method, target, lookup)
    found = RequestPipeline((route,)).resolve(request, route, 0.0)
    assert isinstance(found, Resolved)
    return found.request
