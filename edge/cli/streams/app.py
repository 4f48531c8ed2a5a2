"""The commands ``create``, ``append``, ``read``, ``tail``, ``close``, ``delete``.

Each names its own arguments and options; ``command`` adds what all of them have. The
work is in ``writing``, ``reading`` and ``following``. These are imported when a command
runs, so ``--help`` needs no HTTP. ``docs/command-line.md`` says what each option and
exit code means; a test compares.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from edge.cli.streams import address, options, progress
from edge.cli.streams.command import StreamCommand, stream_command
from edge.cli.streams.source import Source, source
from edge.protocol.offsets import BEGIN

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)

MAX_NUMBER = 2**53 - 1
"""Largest number of a producer (section 5.2.1)."""

ContentType = Annotated[
    str | None,
    typer.Option(
        "--content-type",
        "-t",
        metavar="TYPE",
        help="Content type of the stream, as in text/plain.",
    ),
]
Text = str | None


@stream_command(app)
def create(
    command: StreamCommand,
    body: Annotated[
        Text,
        typer.Argument(
            metavar="FILE", help="First content: a file, or - for standard input."
        ),
    ] = None,
    content_type: ContentType = None,
    ttl: Annotated[
        int | None, typer.Option(min=0, help="Seconds without reads or writes to live.")
    ] = None,
    expires_at: Annotated[
        Text,
        typer.Option(
            metavar="TIME", help="When it ends (RFC 3339, 2030-01-31T12:00:00Z)."
        ),
    ] = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Closed at once: this is all of it.")
    ] = False,
    fork_from: Annotated[
        Text,
        typer.Option(metavar="PATH", help="Path (or URL) of the stream to fork."),
    ] = None,
    fork_offset: Annotated[
        Text,
        typer.Option(metavar="OFFSET", help="Offset to fork at; otherwise the end."),
    ] = None,
    fork_sub_offset: Annotated[
        int | None, typer.Option(min=0, help="Bytes or messages past that offset.")
    ] = None,
) -> None:
    """Create a stream, or make sure that it exists just so."""
    from edge.cli.streams import writing

    result = writing.CreateResult("")
    with command.client() as client:
        headers = options.life(ttl, expires_at, content_type, closed)
        headers |= options.fork(client.address, fork_from, fork_offset, fork_sub_offset)
        with _input(body) as first:
            writing.create(client, command.policy, headers, first, result)
    command.tell(result)


@stream_command(app)
def append(
    command: StreamCommand,
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
    seq: Annotated[
        Text, typer.Option(metavar="TEXT", help="Stream-Seq of the append.")
    ] = None,
    producer_id: Annotated[
        Text,
        typer.Option(metavar="ID", help="Append as this idempotent producer."),
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
) -> None:
    """Append standard input or a file: as one body, by lines, or by JSON values."""
    from edge.cli.streams import writing

    result = writing.AppendResult("")
    cut = options.cut(lines, messages, batch, seq)
    identity = options.producer(producer_id, epoch, producer_seq)
    producer = writing.IdempotentProducer(*identity) if identity else None
    how = writing.AppendOptions(content_type, cut, batch, seq, close)
    with command.client() as client, _input(body) as given:
        command.tell(result)
        assert given is not None, "there is always an input to append"
        writing.AppendRun(client, command.policy, how, producer, result).run(given)


@stream_command(app, printing=True)
def read(
    command: StreamCommand,
    offset: Annotated[
        str,
        typer.Option(
            "--offset",
            "-o",
            metavar="OFFSET",
            help="Where to begin: -1 (the start), now, or what the server told.",
        ),
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
) -> None:
    """Print a stream from an offset up to its end, and tell the next offset."""
    from edge.cli.streams import output, reading

    begin = address.offset_of(offset)
    with (
        command.client() as client,
        progress.shown("reading", printing=True) as passed,
    ):
        out = output.Output(
            output.standard_output(), begin, json_lines=json_lines, passed=passed
        )
        command.tell(out)
        with out:
            reading.catch_up(client, out, command.policy, pages=follow_pages)


@stream_command(app, retries=10, printing=True)
def tail(
    command: StreamCommand,
    offset: Annotated[
        Text,
        typer.Option(
            "--offset", "-o", metavar="OFFSET", help="Where to begin; otherwise now."
        ),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the whole history.")
    ] = False,
    long_poll: Annotated[
        bool, typer.Option("--long-poll", help="Follow by long-poll instead of SSE.")
    ] = False,
) -> None:
    """Print what is appended as it arrives, until the stream is closed."""
    from edge.cli.streams import following, output

    begin = options.begin(offset, from_start)
    mode = following.LiveMode.LONG_POLL if long_poll else following.LiveMode.SSE
    with command.client() as client:
        out = output.Output(
            output.standard_output(), begin, json_lines=True, at_once=True
        )
        command.tell(out)
        with out:
            following.StreamFollower(client, out, command.policy, mode).run()


@stream_command(app)
def close(command: StreamCommand) -> None:
    """Close a stream: nothing can be appended any more."""
    from edge.cli.streams import writing

    result = writing.WriteResult("")
    with command.client() as client:
        writing.close(client, command.policy, result)
    command.tell(result)


@stream_command(app)
def delete(command: StreamCommand) -> None:
    """Delete a stream and all its data."""
    from edge.cli.streams import writing

    result = writing.WriteResult("")
    with command.client() as client:
        writing.delete(client, command.policy, result)
    command.tell(result)


@contextmanager
def _input(path: str | None) -> Iterator[Source | None]:
    """The input, with a bar while it is sent; None if the command has no input."""
    if path is None:
        yield None
        return
    with (
        source(path) as given,
        progress.shown("sending", given.size, printing=False) as passed,
    ):
        given.passed = passed
        yield given
