"""The commands ``create``, ``append``, ``read``, ``tail``, ``close``, ``delete``.

Options and their checks; the work is in ``writing``, ``reading`` and ``following``,
which are imported when a command runs, so that ``--help`` needs no HTTP. What each
option and exit code means is in ``docs/command-line.md``; a test compares.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.streams import address, options, progress
from edge.cli.streams.report import Conclusion
from edge.cli.streams.retry_policy import Pace
from edge.cli.streams.source import Source, source
from edge.protocol.offsets import BEGIN

if TYPE_CHECKING:
    from edge.cli.streams.client import Client

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)

MAX_NUMBER = 2**53 - 1
"""Largest number of a producer (section 5.2.1)."""

Url = Annotated[str, typer.Argument(metavar="URL", help="URL of the stream.")]
Header = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", help="'Name: value', sent along; repeatable."),
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
ContentType = Annotated[
    str | None, typer.Option("--content-type", "-t", help="Content type of the stream.")
]
Text = str | None


@contextmanager
def _client(url: str, header: list[str] | None, timeout: float) -> Iterator["Client"]:
    from edge.cli.streams.client import Client

    fields = address.fields(header or [])
    client = Client(address.address(url), fields, timeout)
    try:
        yield client
    finally:
        client.close()


def _end(conclusion: Conclusion, work: Callable[[], None]) -> None:
    raise typer.Exit(conclusion.of(work))


@app.command()
def create(
    url: Url,
    body: Annotated[
        Text, typer.Argument(help="First content: a file, or - for standard input.")
    ] = None,
    content_type: ContentType = None,
    ttl: Annotated[
        int | None, typer.Option(min=0, help="Seconds without reads or writes to live.")
    ] = None,
    expires_at: Annotated[
        Text, typer.Option(help="When it ends (RFC 3339, 2030-01-31T12:00:00Z).")
    ] = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Closed at once: this is all of it.")
    ] = False,
    fork_from: Annotated[
        Text, typer.Option(help="Path (or URL) of the stream to fork.")
    ] = None,
    fork_offset: Annotated[
        Text, typer.Option(help="Offset to fork at; otherwise the end.")
    ] = None,
    fork_sub_offset: Annotated[
        int | None, typer.Option(min=0, help="Bytes or messages past that offset.")
    ] = None,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 4,
    as_json: Json = False,
) -> None:
    """Create a stream, or make sure that it exists just so."""
    from edge.cli.streams import writing

    told = writing.Created("")
    conclusion = Conclusion(as_json, printing=False)

    def work() -> None:
        with _client(url, header, timeout) as client:
            headers = options.life(ttl, expires_at, content_type, closed)
            headers |= options.fork(
                client.address, fork_from, fork_offset, fork_sub_offset
            )
            pace = Pace(retries, conclusion.note)
            with _input(body) as first:
                writing.create(client, pace, headers, first, told)
        conclusion.told = told

    _end(conclusion, work)


@app.command()
def append(
    url: Url,
    body: Annotated[
        str, typer.Argument(metavar="FILE", help="A file, or - for standard input.")
    ] = "-",
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line is an append.")
    ] = False,
    messages: Annotated[
        bool, typer.Option("--messages", help="Each JSON value is an append.")
    ] = False,
    batch: Annotated[
        int,
        typer.Option(min=1, help="Most lines or values that one append may take."),
    ] = 1,
    content_type: ContentType = None,
    seq: Annotated[Text, typer.Option(help="Stream-Seq of the append.")] = None,
    producer_id: Annotated[
        Text, typer.Option(help="Append as this idempotent producer.")
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(min=0, max=MAX_NUMBER, help="Its epoch (0).")
    ] = None,
    producer_seq: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_NUMBER, help="Its number to begin with (0)."),
    ] = None,
    close: Annotated[
        bool, typer.Option("--close", help="Close the stream with the last append.")
    ] = False,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 4,
    as_json: Json = False,
) -> None:
    """Append standard input or a file: as one body, by lines, or by JSON values."""
    from edge.cli.streams import writing

    told = writing.Appended("")
    conclusion = Conclusion(as_json, printing=False)

    def work() -> None:
        cut = options.cut(lines, messages, batch, seq)
        who = options.producer(producer_id, epoch, producer_seq)
        producer = writing.Producer(*who) if who else None
        how = writing.Appending(content_type, cut, batch, seq, close)
        with _client(url, header, timeout) as client, _input(body) as given:
            conclusion.told = told
            assert given is not None, "there is always an input to append"
            pace = Pace(retries, conclusion.note)
            writing.Append(client, pace, how, producer, told).run(given)

    _end(conclusion, work)


@app.command()
def read(
    url: Url,
    offset: Annotated[
        str, typer.Option("--offset", "-o", help="Where to begin; -1: at the start.")
    ] = BEGIN,
    follow_pages: Annotated[
        bool,
        typer.Option(
            "--follow-pages/--one-page", help="Until up to date, or one answer only."
        ),
    ] = True,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="JSON streams: a message on each line.")
    ] = False,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 4,
    as_json: Json = False,
) -> None:
    """Print a stream from an offset up to its end, and tell the next offset."""
    from edge.cli.streams import output, reading

    conclusion = Conclusion(as_json, printing=True)

    def work() -> None:
        begin = address.offset_of(offset)
        with (
            _client(url, header, timeout) as client,
            progress.shown("reading", printing=True) as passed,
        ):
            out = output.Output(
                output.standard_output(), begin, json_lines=json_lines, passed=passed
            )
            conclusion.told = out
            pace = Pace(retries, conclusion.note)
            with out:
                reading.catch_up(client, out, pace, pages=follow_pages)

    _end(conclusion, work)


@app.command()
def tail(
    url: Url,
    offset: Annotated[
        Text, typer.Option("--offset", "-o", help="Where to begin; otherwise now.")
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the whole history.")
    ] = False,
    long_poll: Annotated[
        bool, typer.Option("--long-poll", help="Follow by long-poll instead of SSE.")
    ] = False,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 10,
    as_json: Json = False,
) -> None:
    """Print what is appended as it arrives, until the stream is closed."""
    from edge.cli.streams import following, output

    conclusion = Conclusion(as_json, printing=True)

    def work() -> None:
        begin = options.begin(offset, from_start)
        mode = following.Mode.LONG_POLL if long_poll else following.Mode.SSE
        with _client(url, header, timeout) as client:
            out = output.Output(
                output.standard_output(), begin, json_lines=True, at_once=True
            )
            conclusion.told = out
            pace = Pace(retries, conclusion.note)
            with out:
                following.Follower(client, out, pace, mode).run()

    _end(conclusion, work)


@app.command()
def close(
    url: Url,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 4,
    as_json: Json = False,
) -> None:
    """Close a stream: nothing can be appended any more."""
    from edge.cli.streams import writing

    told = writing.Written("")
    conclusion = Conclusion(as_json, printing=False)

    def work() -> None:
        with _client(url, header, timeout) as client:
            writing.close(client, Pace(retries, conclusion.note), told)
        conclusion.told = told

    _end(conclusion, work)


@app.command()
def delete(
    url: Url,
    header: Header = None,
    timeout: Timeout = 30.0,
    retries: Retries = 4,
    as_json: Json = False,
) -> None:
    """Delete a stream and all its data."""
    from edge.cli.streams import writing

    told = writing.Written("")
    conclusion = Conclusion(as_json, printing=False)

    def work() -> None:
        with _client(url, header, timeout) as client:
            writing.delete(client, Pace(retries, conclusion.note), told)
        conclusion.told = told

    _end(conclusion, work)


@contextmanager
def _input(path: str | None) -> Iterator[Source | None]:
    """The input with a bar beside it; None where there is none."""
    if path is None:
        yield None
        return
    with (
        source(path) as given,
        progress.shown("sending", given.size, printing=False) as passed,
    ):
        given.passed = passed
        yield given
