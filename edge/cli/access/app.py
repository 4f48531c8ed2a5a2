"""The commands ``sign``, ``token`` and ``revoke``: their arguments and options.

``docs/command-line.md`` says what each means; a test compares. The link or the token
alone goes to standard output.
"""

from pathlib import Path
from typing import Annotated

import typer

from edge.cli import console
from edge.cli.admin_orders import AdminAddress
from edge.cli.options import Config, Json, Text, print_json

app = typer.Typer(
    add_completion=False,
    # A pretty traceback shows local values, and those may be secrets.
    pretty_exceptions_enable=False,
)

SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="A file that holds the secret alone; instead of the settings.",
    ),
]
Expires = Annotated[
    str,
    typer.Option("--expires", metavar="DURATION", help="How long it holds, as in 1d."),
]
Many = list[str] | None


@app.command()
def sign(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The stream, as its readers ask.")
    ],
    key: Annotated[
        str, typer.Option("--key", "-k", metavar="ID", help="The key's id.")
    ],
    expires: Expires = "1h",
    secret_file: SecretFile = None,
    config: Config = None,
) -> None:
    """Make a link: who has it may read the stream until it expires."""
    from edge.cli.access import making

    typer.echo(making.link(url, key, expires, secret_file, config))


@app.command()
def token(
    sub: Annotated[str, typer.Option("--sub", metavar="NAME", help="Whom it is for.")],
    read: Annotated[
        Many, typer.Option(metavar="GLOB", help="Paths that it lets read; repeatable.")
    ] = None,
    write: Annotated[
        Many,
        typer.Option(metavar="GLOB", help="Paths that it lets append to; repeatable."),
    ] = None,
    manage: Annotated[
        Many,
        typer.Option(
            metavar="GLOB", help="Paths that it lets create and delete; repeatable."
        ),
    ] = None,
    claim: Annotated[
        Many, typer.Option(metavar="NAME=VALUE", help="Any other claim; repeatable.")
    ] = None,
    issuer: Annotated[
        Text, typer.Option(metavar="TEXT", help="The claim iss; else the route's.")
    ] = None,
    audience: Annotated[
        Text, typer.Option(metavar="TEXT", help="The claim aud; else the route's.")
    ] = None,
    expires: Expires = "1h",
    secret_file: SecretFile = None,
    config: Config = None,
    route: Annotated[
        Text,
        typer.Option(
            metavar="GLOB", help="Its route, by its match, where several fit."
        ),
    ] = None,
) -> None:
    """Make a JSON Web Token for trying out, signed with a secret."""
    from edge.cli.access import making

    wanted = making.Wanted(
        sub,
        expires,
        read=read or (),
        write=write or (),
        manage=manage or (),
        claims=claim or (),
        issuer=issuer,
        audience=audience,
    )
    typer.echo(making.token(wanted, secret_file, config, route))
    console.note("this token is for trying out; real ones come from an issuer")


@app.command()
def revoke(
    subject: Annotated[
        Text, typer.Option(metavar="NAME", help="All tokens of this subject.")
    ] = None,
    jti: Annotated[
        Text, typer.Option(metavar="ID", help="The token with this id.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="A file with the token; - for stdin."
        ),
    ] = None,
    issuer: Annotated[
        Text, typer.Option(metavar="TEXT", help="Of this issuer alone.")
    ] = None,
    admin: AdminAddress = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take tokens back: whoever came by one is let go, and it lets in no more."""
    from edge.cli.access import revoking

    wanted = revoking.order(subject, jti, token_file, issuer)
    told = revoking.revoke(wanted, config, admin)
    if as_json:
        print_json(told)
        return
    console.note(f"revoked: {told['grants_ended']} grants ended here")
    if not told.get("in_file"):
        console.note("the edge remembers this only as long as it runs")
