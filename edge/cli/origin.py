"""``ds-edge origin``: the embedded origin alone, and a copy of its streams.

Each option is the setting of the same name, so a file and variables count as they do
for ``serve``. Only ``origin.url`` does not. ``edge.origin`` runs it. That module is
imported late: it needs gevent's patch, and every command imports this one.
"""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from edge.cli import console
from edge.cli.options import (
    FAILED,
    WRONG,
    Config,
    Json,
    Text,
    flag,
    flags_of,
    print_json,
    serving_settings,
    setting_option,
    settings_or_exit,
)
from edge.settings import Flag, Settings
from edge.settings.addresses import EMBEDDED, parse_listen
from edge.settings.units import Rate, parse_rate, write_size

if TYPE_CHECKING:
    from edge.origin import StandaloneOptions

app = typer.Typer(
    help="The embedded origin alone: a Durable Streams server on one folder.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)

Listen = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="HOST:PORT, :PORT or unix:/path."),
]
Data = Annotated[
    Text, setting_option("data", "FOLDER", "The folder that holds the streams.")
]
SyncMode = Annotated[
    Text,
    setting_option(
        "durability",
        "WORD",
        "What acknowledged writes survive: a power cut, or the process's death.",
    ),
]
Age = Annotated[
    Text,
    setting_option("retention_age", "DURATION", "Keep messages this long, as in 30d."),
]
Size = Annotated[
    Text,
    setting_option("retention_size", "SIZE", "Keep this much of a stream, as in 1GiB."),
]
MaxBody = Annotated[
    Text, setting_option("max_body", "SIZE", "Largest append, as in 16MiB.")
]
PublicUrl = Annotated[
    Text, setting_option("public_url", "URL", "What clients call this server.")
]
Hold = Annotated[
    Text,
    setting_option(
        "long_poll_timeout", "DURATION", "How long a poll is held, at most 30s."
    ),
]
ALONE = "With clients of its own"
"""A panel of the help. One table has columns as wide as its widest option needs: in
eighty columns the names of settings would be cut off."""

PerClient = Annotated[
    Text,
    typer.Option(
        metavar="N/DURATION",
        help="Requests of one client address, as in 100/1s. Without, no limit.",
        rich_help_panel=ALONE,
    ),
]
Burst = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Requests that may come at once; needs --rate.",
        rich_help_panel=ALONE,
    ),
]
Webhooks = Annotated[
    bool | None,
    typer.Option(
        "--local-webhooks/--no-local-webhooks",
        help="Allow webhooks to this machine. "
        "Setting origin.local_webhooks; default: no.",
        rich_help_panel="For development",
    ),
]
Grace = Annotated[
    Text,
    setting_option("grace", "DURATION", "Time to finish on TERM, as in 10s."),
]
Pairs = Annotated[list[str] | None, typer.Option("--set", hidden=True)]
ReadyFile = Annotated[int | None, typer.Option("--ready-fd", hidden=True)]


@app.callback()
def origin(
    context: typer.Context,
    config: Config = None,
    listen: Listen = "127.0.0.1:4437",
    data: Data = None,
    durability: SyncMode = None,
    retention_age: Age = None,
    retention_size: Size = None,
    max_body: MaxBody = None,
    public_url: PublicUrl = None,
    long_poll_timeout: Hold = None,
    rate: PerClient = None,
    burst: Burst = None,
    local_webhooks: Webhooks = None,
    grace: Grace = None,
    setting: Pairs = None,
    ready_fd: ReadyFile = None,
) -> None:
    """Run the embedded origin alone, until TERM or INT.

    Exits with 0 when stopped, 1 when it cannot start, 2 when told wrongly.
    """
    webhooks = None if local_webhooks is None else str(local_webhooks).lower()
    flags = flags_of(
        data=data,
        durability=durability,
        retention_age=retention_age,
        retention_size=retention_size,
        max_body=max_body,
        public_url=public_url,
        long_poll_timeout=long_poll_timeout,
        local_webhooks=webhooks,
        grace=grace,
    )
    pairs = (pair.partition("=") for pair in setting or ())
    flags += [flag("--set", key, text) for key, _, text in pairs]
    serves = context.invoked_subcommand is None
    settings = _settings(config, flags, serves)
    if context.invoked_subcommand is not None:
        context.obj = settings
        return
    importlib.import_module("edge.cli.serve")
    from edge.origin import StandaloneOptions

    alone = StandaloneOptions(_rate(rate), burst)
    raise typer.Exit(_serve(settings, alone, _address(listen), ready_fd))


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    data: Data = None,
    config: Config = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy all streams to FILE, while the origin runs or when it does not.

    The copy is of one moment, complete, and usable as DATA/streams.db. Exits with
    1 when it could not be made; FILE is then as it was.
    """
    settings: Settings = context.obj
    if data is not None or config is not None:
        settings = _settings(config, flags_of(data=data))
    from edge.origin import CannotCopy
    from edge.origin import backup as copy

    folder = Path(settings.origin.folder)
    err = Console(stderr=True)
    try:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("pages", total=None)
            size = copy(
                folder,
                file,
                force,
                lambda left, total: bar.update(
                    task, completed=total - left, total=total
                ),
            )
    except CannotCopy as error:
        console.error(str(error))
        raise typer.Exit(FAILED) from None
    if as_json:
        print_json({"file": str(file.absolute()), "bytes": size})
    else:
        console.note(f"{file}: {write_size(size)}")


def _settings(config: Path | None, flags: list[Flag], serves: bool = False) -> Settings:
    own = flag("ds-edge origin", "origin.url", EMBEDDED)
    found = serving_settings if serves else settings_or_exit
    return found(config, [own, *flags])


def _rate(text: Text) -> Rate | None:
    try:
        return None if text is None else parse_rate(text)
    except ValueError as error:
        console.error(f"--rate: {error}")
        raise typer.Exit(WRONG) from None


def _address(text: str) -> str:
    try:
        return str(parse_listen(text))
    except ValueError as error:
        console.error(f"--listen: {error}")
        raise typer.Exit(WRONG) from None


def _serve(
    settings: Settings, alone: "StandaloneOptions", address: str, ready_fd: int | None
) -> int:
    from edge.front.log import configure, put_now
    from edge.front.log_capture import capture
    from edge.origin import CannotServe, log_options, origin_options, serve
    from edge.process.systemd import ServiceManager

    options = origin_options(settings, alone)
    capture()
    configure(log_options(settings), put_now)
    manager = ServiceManager()

    def ready(listening: str) -> None:
        if ready_fd is None:
            console.note(f"listening at {listening}, streams in {options.data}")
            manager.ready()
        else:
            os.write(ready_fd, b"1")
            os.close(ready_fd)

    try:
        serve(options, address, settings.shutdown.grace, ready)
    except CannotServe as error:
        console.error(f"origin: {error}")
        return FAILED
    return 0
