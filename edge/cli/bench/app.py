"""The commands ``bench fanout`` and ``bench hits``: options and their checks.

The work is in ``fanout`` and ``hits``, which are imported when a command runs.
``docs/command-line.md`` says what each option and each member of ``--json`` means; a
test compares.
"""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.bench.plan import (
    MAX_EVENT_SIZE,
    MIN_EVENT_SIZE,
    FanoutPlan,
    HitsPlan,
    tokens,
    url,
)
from edge.cli.bench.progress import Bar
from edge.cli.streams import address

if TYPE_CHECKING:
    from edge.cli.bench.fanout import Fanout
    from edge.cli.bench.hits import Hits

app = typer.Typer(
    help="Measure any server of streams, from the outside.",
    no_args_is_help=True,
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)


class FollowMode(enum.StrEnum):
    """How viewers follow."""

    LONG_POLL = "long-poll"
    SSE = "sse"


class GeneratorChoice(enum.StrEnum):
    """Who asks."""

    WRK = "wrk"
    OWN = "own"


Mode = Annotated[FollowMode, typer.Option(help="How viewers follow.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="URL of the stream.")]
Header = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", help="'Name: value', sent along; repeatable."),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output.")
]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw the distribution of times: FILE.svg or FILE.png."),
]

Tokens = Annotated[
    Path | None,
    typer.Option(
        "--tokens", help="FILE of bearer tokens, one a line, for the viewers."
    ),
]

Keep = Annotated[
    bool, typer.Option("--keep", help="Do not delete a stream made for this.")
]

Pid = Annotated[
    int | None,
    typer.Option(min=1, help="Server's process here: memory, processor time."),
]

Metrics = Annotated[
    str | None, typer.Option(help="The edge's metrics: origin requests.")
]


@app.command()
def fanout(
    stream: Url,
    viewers: Annotated[int, typer.Option(min=1, help="Viewers of the stream.")] = 1000,
    events: Annotated[int, typer.Option(min=1, help="Appends that count.")] = 20,
    rate: Annotated[
        float, typer.Option(min=0.001, max=10_000, help="Appends a second.")
    ] = 1.0,
    mode: Mode = FollowMode.LONG_POLL,
    size: Annotated[
        int,
        typer.Option(min=MIN_EVENT_SIZE, max=MAX_EVENT_SIZE, help="Bytes of an event."),
    ] = 100,
    write_to: Annotated[
        str | None, typer.Option(help="URL to append to, if another than URL.")
    ] = None,
    warmup: Annotated[
        float, typer.Option(min=0, help="Seconds from the last viewer to the start.")
    ] = 2.0,
    patience: Annotated[
        float, typer.Option(min=0.1, help="Seconds that an event may take.")
    ] = 30.0,
    header: Header = None,
    token_file: Tokens = None,
    keep: Keep = False,
    pid: Pid = None,
    metrics: Metrics = None,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Let a crowd follow one stream, append, and time each viewer's reception."""
    from edge.cli.bench.report import conclude

    def make(bar: Bar) -> "Fanout":
        from edge.cli.bench.fanout import Fanout

        reads = url("URL", stream)
        plan = FanoutPlan(
            address=reads,
            write_to=url("--write-to", write_to) if write_to else reads,
            viewers=viewers,
            events=events,
            rate=rate,
            mode=mode.value,
            size=size,
            warmup=warmup,
            patience=patience,
            fields=address.fields(header or []),
            tokens=() if token_file is None else tokens(token_file),
            keep=keep,
            pid=pid,
            metrics=url("--metrics", metrics) if metrics else None,
        )
        return Fanout(plan, bar)

    raise typer.Exit(conclude("fanout", make, as_json, plot))


@app.command()
def hits(
    resource: Annotated[str, typer.Argument(metavar="URL", help="URL to read.")],
    connections: Annotated[
        int, typer.Option(min=1, help="Connections that ask at once.")
    ] = 64,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds to ask for.")] = 5,
    different_heads: Annotated[
        bool,
        typer.Option("--different-heads", help="Each request with a head of its own."),
    ] = False,
    generator: Annotated[
        GeneratorChoice | None, typer.Option(help="Who asks; wrk if it is there.")
    ] = None,
    header: Header = None,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Read one URL again and again, as fast as the server answers."""
    from edge.cli.bench.report import conclude

    def make(bar: Bar) -> "Hits":
        from edge.cli.bench.hits import Hits

        plan = HitsPlan(
            address=url("URL", resource, frozenset()),
            connections=connections,
            seconds=seconds,
            different_heads=different_heads,
            fields=address.fields(header or []),
            generator=None if generator is None else generator.value,
        )
        return Hits(plan, bar)

    raise typer.Exit(conclude("hits", make, as_json, plot))
