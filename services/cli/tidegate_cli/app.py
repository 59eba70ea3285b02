"""`tidegate`, also found by kubectl as `kubectl tidegate`: the commands put together, errors as one line, exit codes.

0 done; 1 it could not be done (one line on stderr says why); 2 the command line itself is wrong.
"""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

from tidegate.errors import TidegateError
from tidegate_cli import terminal
from tidegate_cli.commands import analyze, check, run, send, steer, watch
from tidegate_cli.connection import Context, InstanceId, Kubeconfig, Namespace, merged

GO_SWITCHES = {"--watch", "-w", "--full", "--all-namespaces", "-A"}


def build(*, rich: bool) -> typer.Typer:
    """`rich` draws help in panels; a pipe gets plain lines."""
    mode: Literal["rich"] | None = "rich" if rich else None
    app = typer.Typer(
        name="tidegate",
        no_args_is_help=True,
        rich_markup_mode=mode,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(tidegate)
    for group in (watch, steer, send, check, analyze, run):
        group.register(app)
    return app


def print_version(asked: bool) -> None:
    if asked:
        terminal.say(metadata.version("tidegate"))
        raise typer.Exit


def tidegate(
    ctx: typer.Context,
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    instance_id: InstanceId = None,
    _version: Annotated[bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")] = False,
) -> None:
    """Progressive delivery for Kubernetes, event-driven."""
    environment = os.environ.get("KUBECONFIG")
    given = {"namespace": namespace, "kubeconfig": kubeconfig, "context": context, "instance_id": instance_id}
    if kubeconfig is None and environment:
        given["kubeconfig"] = Path(environment)
    ctx.obj = merged(None, given)


def main(arguments: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build(rich=terminal.is_terminal())(go_style_switches(words), prog_name=program_name(sys.argv[0]))
    except TidegateError as error:
        terminal.complain(str(error))
        sys.exit(1)
    except BrokenPipeError:  # `tidegate ... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def program_name(path: str) -> str:
    """What the person typed: kubectl calls a plugin by the name of its file."""
    return "kubectl tidegate" if Path(path).name.startswith("kubectl-") else "tidegate"


def go_style_switches(words: Sequence[str]) -> list[str]:
    """Scripts written for the peer's plugin say `--watch=false` and `--full=true`; a switch here takes no value."""
    plain = []
    for word in words:
        switch, equals, value = word.partition("=")
        if not equals or switch not in GO_SWITCHES or value not in ("true", "false"):
            plain.append(word)
        elif value == "true":
            plain.append(switch)
        elif switch in ("--watch", "-w"):
            plain.append("--no-watch")
    return plain
