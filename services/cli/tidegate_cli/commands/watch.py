"""`get`, `list`, `status`."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any, TypeVar

import typer

from tidegate_cli import terminal
from tidegate_cli.connection import Connection, with_connection
from tidegate_cli.terminal import Output

PANEL = "See"
T = TypeVar("T")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the rollout.", show_default=False)]
AsOutput = Annotated[Output | None, typer.Option("--output", "-o", help="json for machines; wide shows more.", show_default=False)]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Keep showing it as it changes.")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Ctrl-C ends a command the way it ends any other program: quietly, with 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        terminal.leave_line_of_interrupt()
        raise typer.Exit(130) from None


def seconds(text: str | float) -> float:
    """A time-out as kubectl takes it: 30s, 5m, 1h, or plain seconds; 0 is no limit. Typer hands over defaults as they are."""
    if isinstance(text, float):
        return text
    from tidegate.durations import pause_duration

    try:
        value = pause_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error).replace("pause duration", "duration")) from None
    if value < 0:
        raise typer.BadParameter(f"{text!r} is negative")
    return value


def whole(text: str | int) -> int:
    """A count from 0 on. Click's own refusal names its type, not what would be right."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise typer.BadParameter(f"{text!r}; it must be a whole number, 0 or more")
    return value


def images_of(words: Sequence[str]) -> dict[str, str]:
    from tidegate.verbs import Refused, parsed_images

    try:
        return parsed_images(words)
    except Refused as error:
        raise typer.BadParameter(str(error)) from None


def json_only(text: str | Output) -> Output:
    if text != Output.JSON:
        raise typer.BadParameter(f"{text!r}; it must be json")
    return Output.JSON


AsJson = Annotated[
    Output | None, typer.Option("--output", "-o", parser=json_only, metavar="json", help="For machines.", show_default=False)
]


def register(app: typer.Typer) -> None:
    get = typer.Typer(no_args_is_help=True)
    get.command("rollout")(rollout)
    get.command("rollouts", hidden=True)(rollout)
    get.command("ro", hidden=True)(rollout)
    get.command("experiment")(experiment)
    get.command("exp", hidden=True)(experiment)
    app.add_typer(get, name="get", help="Show one rollout or experiment as a tree.", rich_help_panel=PANEL)
    app.command("list", rich_help_panel=PANEL)(rollouts)
    app.command("status", rich_help_panel=PANEL)(status)


@with_connection
def rollout(
    *,
    connection: Connection,
    name: Name,
    watch: Watch = False,
    output: AsOutput = None,
    timeout: Annotated[
        float, typer.Option("--timeout-seconds", metavar="N", help="End a watch after so many seconds; 0: never.")
    ] = 0,
) -> None:
    """Show a rollout as a tree.

    Its phase, step, weight, revisions, ReplicaSets, pods and analysis runs.
    """
    from tidegate_cli.watching import show_rollout

    run(show_rollout(connection, name, watch=watch, output=output, seconds=timeout))


@with_connection
def experiment(
    *,
    connection: Connection,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the experiment.", show_default=False)],
    watch: Watch = False,
    output: AsOutput = None,
) -> None:
    """Show an experiment as a tree.

    Its phase, ReplicaSets, pods and analysis runs.
    """
    from tidegate_cli.watching import show_experiment

    run(show_experiment(connection, name, watch=watch, output=output))


@with_connection
def rollouts(
    *,
    connection: Connection,
    kind: Annotated[str, typer.Argument(metavar="[rollouts|experiments]", help="What to list.", show_default=False)] = "rollouts",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only this rollout.")] = None,
    watch: Watch = False,
    output: AsOutput = None,
) -> None:
    """List rollouts, or experiments.

    Rollouts with their status, step, weight and replicas; experiments with the time they have left.
    """
    from tidegate_cli.watching import show_experiments, show_rollouts

    if kind in ("experiments", "experiment", "exp"):
        if name is not None:
            raise typer.BadParameter("--name is for rollouts; use `tidegate get experiment NAME`")
        run(show_experiments(connection, everywhere=everywhere, watch=watch, output=output))
        return
    if kind not in ("rollouts", "rollout", "ro"):
        raise typer.BadParameter(f"{kind!r}; it must be rollouts or experiments (or use --name for one rollout)")

    run(show_rollouts(connection, everywhere=everywhere, name=name, watch=watch, output=output))


@with_connection
def status(
    *,
    connection: Connection,
    name: Name,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="Wait until it is Healthy or Degraded.")] = True,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", "-t", parser=seconds, metavar="DURATION", show_default=False, help="Give up after 30s, 5m, ...; 0: never."
        ),
    ] = 0.0,
) -> None:
    """Wait for the end of an update.

    Exit code 0 when Healthy, 1 when Degraded or out of time. A pause does not end it.
    """
    from tidegate_cli.watching import show_status, timed_out

    try:
        code = asyncio.run(show_status(connection, name, watch=watch, seconds=timeout))
    except KeyboardInterrupt:
        terminal.leave_line_of_interrupt()
        code = timed_out()
    raise typer.Exit(code)
