"""`up`, `down`, `services`, `demo`: processes on this machine."""

import os
import shlex
import sys
from typing import Annotated

import typer

from tidegate_cli import terminal
from tidegate_cli.connection import Connection, with_connection
from tidegate_cli.local.controlplanes import Choice

PANEL = "Run on this machine"

ControlPlane = Annotated[
    Choice, typer.Option("--control-plane", help="auto: $KUBECONFIG, else k3s where Docker answers, else the embedded one.")
]


def register(app: typer.Typer) -> None:
    for command in (demo, up, down, services):
        app.command(rich_help_panel=PANEL)(command)


def demo(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Promote at the manual pause without asking.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Abort there instead, and show the way back.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running; `tidegate down` ends it.")] = False,
    control_plane: ControlPlane = Choice.AUTO,
) -> None:
    """Play a canary from blue to yellow on a real control plane.

    With everything it needs; at its pause you promote or abort it.
    """
    if yes and abort:
        raise typer.BadParameter("--yes promotes and --abort aborts; give one of them")
    if not (yes or abort or sys.stdin.isatty()):
        raise typer.BadParameter("nobody is there to be asked at the pause; give --yes to promote or --abort to abort")
    from tidegate_cli.demo.play import Answer, play

    terminal.quiet_logs()
    answer = Answer.PROMOTE if yes else Answer.ABORT if abort else Answer.ASK
    raise typer.Exit(play(answer=answer, keep=keep, choice=control_plane))


def up(
    *,
    with_services: Annotated[bool, typer.Option("--services", help="The four services as well.")] = False,
    control_plane: ControlPlane = Choice.AUTO,
) -> None:
    """Start a control plane with the CRDs, and NATS.

    They run until `tidegate down`. Prints the variables to export.
    """
    from tidegate_cli.local.background import state_file
    from tidegate_cli.local.background import up as start

    running = start(choice=control_plane, with_services=with_services, file=state_file())
    terminal.say("")
    for name, value in running.settings.items():
        terminal.say(f"export {name}={shlex.quote(value)}")


def down() -> None:
    """End what `tidegate up` or `tidegate demo --keep` started."""
    from tidegate_cli.local.background import down as end
    from tidegate_cli.local.background import state_file

    terminal.say(f"ended (pid {end(state_file())})")


@with_connection
def services(*, connection: Connection) -> None:
    """Run the four services until Ctrl-C.

    Against $KUBECONFIG, and $NATS_URL (a NATS of their own if unset).
    """
    from tidegate_cli.local.foreground import run_services

    raise typer.Exit(run_services(connection, os.environ))
