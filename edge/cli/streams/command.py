"""What every command for streams has in common, written once.

``stream_command`` makes a typer command of a function. The function names only its own
arguments and options; URL, ``--header``, ``--timeout``, ``--retries`` and ``--json``
come from here. It is given a ``StreamCommand``, does its work and returns. The exit
code and what is printed in the end are up to ``report``.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.streams import address
from edge.cli.streams.report import CommandReport, Reportable
from edge.cli.streams.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from edge.cli.streams.client import Client

Work = Callable[..., None]
"""The body of a command: takes a StreamCommand and its own options by name."""

Url = Annotated[str, typer.Argument(metavar="URL", help="URL of the stream.")]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        "-H",
        metavar="FIELD",
        help="'Name: value', sent along; repeatable.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.1, help="Seconds to connect, and between two bytes."
    ),
]
Retries = Annotated[
    int,
    typer.Option("--retries", min=-1, help="Further tries in a row; -1: no end."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Tell the result in JSON (see the manual).")
]


class StreamCommand:
    """One run of a command: the stream it is about, and how it is retried and told."""

    def __init__(
        self,
        url: str,
        header: list[str] | None,
        timeout: float,
        retries: int,
        report: CommandReport,
    ) -> None:
        self._url = url
        self._header = header
        self._timeout = timeout
        self._report = report
        self.policy = RetryPolicy(retries, report.note)

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """A client of the stream for as long as the block runs. Raises Fault."""
        from edge.cli.streams.client import Client

        fields = address.fields(self._header or [])
        client = Client(address.address(self._url), fields, self._timeout)
        try:
            yield client
        finally:
            client.close()

    def tell(self, result: Reportable) -> None:
        """Print ``result`` when the command ends, also if it fails from here on."""
        self._report.told = result


def stream_command(
    app: typer.Typer, *, retries: int = 4, printing: bool = False
) -> Callable[[Work], Work]:
    """Make the decorated function a command of ``app``, under its own name.

    ``retries`` is the default of ``--retries``. ``printing``: standard output belongs
    to the stream's bytes. The function's text is the command's help.
    """

    def register(work: Work) -> Work:
        def command(**given: Any) -> None:
            report = CommandReport(given.pop("as_json"), printing)
            common = {name: given.pop(name) for name in _COMMON}
            run = StreamCommand(**common, report=report)
            raise typer.Exit(report.of(lambda: work(run, **given)))

        signature = _signature(work, retries)
        command.__name__, command.__doc__ = work.__name__, work.__doc__
        # typer reads the options of a command off these two.
        command.__signature__ = signature  # type: ignore[attr-defined]  # PEP 362
        parameters = signature.parameters.items()
        command.__annotations__ = {name: one.annotation for name, one in parameters}
        app.command()(command)
        return work

    return register


_COMMON = ("url", "header", "timeout", "retries")


def _signature(work: Work, retries: int) -> inspect.Signature:
    """The URL, the options of ``work``, and those of every command."""

    def common(
        url: Url,
        header: Header = None,
        timeout: Timeout = 30.0,
        retries: Retries = retries,
        as_json: Json = False,
    ) -> None:
        """Only its parameters are of use."""

    _, *own = inspect.signature(work).parameters.values()
    url, *options = inspect.signature(common).parameters.values()
    return inspect.Signature([url, *own, *options])
