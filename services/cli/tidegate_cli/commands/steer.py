"""`promote`, `abort`, `retry`, `pause`, `restart`, `undo`, `set image`, `terminate`: straight to Kubernetes, no bus needed."""

from typing import Annotated

import typer

from tidegate_cli.commands.watch import Name, images_of, run, seconds, whole
from tidegate_cli.connection import Connection, with_connection

PANEL = "Steer"


def register(app: typer.Typer) -> None:
    for command in (promote, abort, retry, pause, restart, undo):
        app.command(rich_help_panel=PANEL)(command)
    setting = typer.Typer(no_args_is_help=True)
    setting.command("image")(set_image)
    setting.callback()(lambda: None)  # keeps `image` a sub-command although it is the only one
    app.add_typer(setting, name="set", help="Change a container's image.", rich_help_panel=PANEL)
    app.command(rich_help_panel=PANEL)(terminate)


@with_connection
def promote(
    *,
    connection: Connection,
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Skip all steps, pauses and analyses that are left.")] = False,
) -> None:
    """Go past a pause, or past the step that is running."""
    from tidegate_cli import steering

    run(steering.promote(connection, name, full=full))


@with_connection
def abort(*, connection: Connection, name: Name) -> None:
    """Give up an update.

    All traffic and pods go back to the stable revision.
    """
    from tidegate_cli import steering

    run(steering.abort(connection, name))


@with_connection
def retry(
    *,
    connection: Connection,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[rollout|experiment] NAME", help="What to retry; a rollout unless said.", show_default=False),
    ],
) -> None:
    """Start an aborted update, or an experiment, once more.

    From its first step, or its beginning.
    """
    from tidegate_cli import steering

    kind, name = _kind_and_name(words, known=("rollout", "ro", "experiment", "exp"))
    run(steering.retry(connection, kind, name))


@with_connection
def pause(*, connection: Connection, name: Name) -> None:
    """Hold an update where it is; `promote` lets it go on."""
    from tidegate_cli import steering

    run(steering.pause(connection, name))


@with_connection
def restart(
    *,
    connection: Connection,
    name: Name,
    after: Annotated[
        float,
        typer.Option("--in", "-i", parser=seconds, metavar="DURATION", show_default=False, help="Not now but in 10s, 5m, ..."),
    ] = 0.0,
) -> None:
    """Replace all pods, a few at a time, without a new revision."""
    from tidegate_cli import steering

    run(steering.restart(connection, name, after=after))


@with_connection
def undo(
    *,
    connection: Connection,
    name: Name,
    to_revision: Annotated[int, typer.Option("--to-revision", parser=whole, metavar="N", help="0: the one before the newest.")] = 0,
) -> None:
    """Go back to an earlier revision's pods, as a new update."""
    from tidegate_cli import steering

    run(steering.undo(connection, name, to_revision=to_revision))


@with_connection
def set_image(
    *,
    connection: Connection,
    name: Name,
    images: Annotated[
        list[str], typer.Argument(metavar="CONTAINER=IMAGE...", help="'*=IMAGE' means every container.", show_default=False)
    ],
) -> None:
    """Change images of a rollout's containers, which starts an update."""
    from tidegate_cli import steering

    run(steering.set_image(connection, name, images_of(images)))


@with_connection
def terminate(
    *,
    connection: Connection,
    kind: Annotated[str, typer.Argument(metavar="analysisrun|experiment", help="What to end.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
) -> None:
    """End an analysis run or experiment now."""
    from tidegate_cli import steering

    if kind not in steering.RUNS:
        raise typer.BadParameter(f"{kind!r}; it must be one of {', '.join(steering.RUNS)}")
    run(steering.terminate(connection, kind, name))


def _kind_and_name(words: list[str], *, known: tuple[str, ...]) -> tuple[str, str]:
    if len(words) == 1:
        return known[0], words[0]
    if len(words) == 2 and words[0] in known:
        return words[0], words[1]
    raise typer.BadParameter(f"{' '.join(words)!r}; it must be NAME, or one of {', '.join(known)} and a NAME")
