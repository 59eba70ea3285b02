"""`crds`, `lint`, `eval`: without a cluster, without a bus."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate_cli import terminal

PANEL = "Check"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(crds)
    app.command(rich_help_panel=PANEL)(lint)
    app.command("eval", rich_help_panel=PANEL)(evaluate)


def crds() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    from tidegate.crd.generate import crds_yaml

    terminal.say(crds_yaml().rstrip("\n"))


def lint(
    *,
    file: Annotated[
        Path, typer.Option("--filename", "--file", "-f", metavar="FILE", help="Manifests; - is stdin.", show_default=False)
    ],
) -> None:
    """Find mistakes in Rollouts and templates: unknown fields, broken rules, missing references."""
    from tidegate_cli.linting import complaints
    from tidegate_cli.yamls import documents

    found = complaints(documents(file))
    for complaint in found:
        terminal.say(f"{file}: {complaint}")
    if found:
        raise typer.Exit(1)


def evaluate(
    *,
    expression: Annotated[str, typer.Argument(metavar="CONDITION", help="Such as 'result[0] >= 0.95'.", show_default=False)],
    result: Annotated[
        str, typer.Option("--result", "-r", metavar="JSON", help="What the metric measured; other text is taken as it is.")
    ],
) -> None:
    """Try a successCondition or failureCondition on a result."""
    from tidegate_analyzer.expression import answer
    from tidegate_cli.errors import Failed

    found = answer(expression, result, now=terminal.now())
    if "error" in found:
        raise Failed(found["error"])
    terminal.print_json_line(found["value"])
