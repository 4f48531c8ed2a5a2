"""The requests session of a command, and what its exceptions mean.

``mapped`` turns what requests and urllib3 raise into Faults. Their own texts are never
printed: they repeat the URL, with any credential in it. A redirect to another host gets
none of the user's header fields. ``~/.netrc`` is not read: it would replace the user's
Authorization. Proxies and certificate bundles of the environment count as usual.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions as low

from edge import __version__
from edge.cli.streams.address import StreamAddress
from edge.cli.streams.exit_faults import Exit, Fault, lost


class Session(requests.Session):
    """Connections that are kept, with the user's fields on each request."""

    def __init__(
        self, address: StreamAddress, fields: tuple[tuple[str, str], ...]
    ) -> None:
        super().__init__()
        self._theirs = {name.lower() for name, _ in fields}
        self.headers["User-Agent"] = f"ds-edge/{__version__}"
        self.headers.update(_joined(fields))
        self.auth = address.credentials or _unchanged

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """On a redirect to another host: drop what the user gave."""
        asked, next_url = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(asked, next_url):
            given = prepared_request.headers
            for name in [n for n in given if self._is_theirs(n)]:
                del given[name]

    def _is_theirs(self, name: str) -> bool:
        return name.lower() in self._theirs or name.lower() == "authorization"


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An authentication that adds nothing."""
    return request


def _joined(fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """One value for each name (RFC 9110 section 5.3)."""
    joined: dict[str, list[str]] = {}
    for name, value in fields:
        joined.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(all_) for name, all_ in joined.items()}


@contextmanager
def mapped(place: str) -> Iterator[None]:
    """What goes wrong on the way to ``place`` and back, as a Fault."""
    try:
        yield
    except (requests.exceptions.SSLError, low.SSLError) as error:
        text = f"{place}: TLS: {_root(error) or 'failed'}"
        raise Fault(Exit.UNREACHABLE, text) from None
    except (requests.exceptions.Timeout, low.TimeoutError) as error:
        raise lost(f"{place}: {_timed_out(error)}") from None
    except (requests.exceptions.ContentDecodingError, low.DecodeError):
        raise Fault(Exit.FAILED, "the body is not in its content coding") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader):
        raise Fault(Exit.WRONG, "URL: cannot be asked for") from None
    except requests.exceptions.TooManyRedirects:
        raise Fault(Exit.FAILED, "too many redirects") from None
    except (requests.exceptions.RequestException, low.HTTPError, OSError) as error:
        raise lost(f"{place}: {_lost(error)}") from None


def _timed_out(error: Exception) -> str:
    connecting = (requests.exceptions.ConnectTimeout, low.ConnectTimeoutError)
    if isinstance(error, connecting):
        return "no connection in time"
    return "no answer in time"


def _lost(error: Exception) -> str:
    """A reason without the URL."""
    for one in _chain(error):
        if isinstance(one, low.NameResolutionError | socket.gaierror):
            return "the host's name cannot be resolved"
        if isinstance(one, low.IncompleteRead):
            return "the answer ended too early"
        if isinstance(one, low.ProxyError):
            return "the proxy did not connect"
    return _root(error) or "the connection was lost"


def _root(error: Exception) -> str | None:
    """What the system said, where it is the system that spoke."""
    found = [one for one in _chain(error) if isinstance(one, OSError) and one.strerror]
    return found[-1].strerror if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it was made of: causes, reasons and arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            more = (one.__cause__, one.__context__, getattr(one, "reason", None))
            waiting += [*one.args, *more]
