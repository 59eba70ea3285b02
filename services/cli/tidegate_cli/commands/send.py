"""`request`, `events`: by way of the bus."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate_cli.commands.watch import AsJson, images_of, run, seconds
from tidegate_cli.connection import Connection, with_connection

PANEL = "Ask and hear (on the bus)"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(request)
    app.command(rich_help_panel=PANEL)(events)


@with_connection
def request(
    *,
    connection: Connection,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the rollout; with --file its own.", show_default=False)
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", metavar="CONTAINER=IMAGE", help="Change an image; repeatable.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", help="A whole Rollout; - is stdin.")] = None,
    patch: Annotated[str | None, typer.Option("--patch", metavar="JSON", help="A merge patch of the Rollout.")] = None,
    requested_by: Annotated[str | None, typer.Option("--as", metavar="WHO", help="For the audit log; default: user@host.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Print the outcomes; exit 0 when completed, 1 when not.")] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            "-t",
            parser=seconds,
            metavar="DURATION",
            show_default=False,
            help="Give up after 30s, 5m, ...; default: 30s for the answer, never for --wait.",
        ),
    ] = 0.0,
    output: AsJson = None,
) -> None:
    """Ask the planner for a change, and print its answer."""
    if not name and not file:
        raise typer.BadParameter("NAME is missing; it is needed unless --file names a manifest")
    if sum(map(bool, (image, file, patch))) != 1:
        raise typer.BadParameter("say what to change with one of --image, --patch and --file")
    from tidegate_cli import sending, terminal

    terminal.quiet_logs()
    message = sending.requested_change(connection, name, images=images_of(image or ()), file=file, patch=patch)
    code = run(sending.request(message, requested_by=requested_by, wait=wait, seconds=timeout, output=output))
    raise typer.Exit(code)


@with_connection
def events(
    *,
    connection: Connection,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this rollout's.", show_default=False)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with every later one.")] = False,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    output: AsJson = None,
) -> None:
    """Print what became of rollouts.

    Their outcomes of the last 30 days, oldest first: started, paused, completed, aborted, ...
    """
    from tidegate_cli import sending, terminal

    terminal.quiet_logs()
    run(sending.events(connection, name, follow=follow, everywhere=everywhere, output=output))
