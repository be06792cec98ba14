"""Who signs the node's own certificates."""

import typer

from iarnet.cli.session import session_of


def authority(ctx: typer.Context) -> None:
    """Print the certificate that a browser or a system has to trust for domains with our own certificates."""
    session = session_of(ctx)
    found = session.node.get("authority")
    session.show.result(found, found["certificate"].strip())
