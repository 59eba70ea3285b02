"""`analyze`: a template's metrics, measured from here and now, by the analyzer's own code; no cluster, no bus.

0 Successful; 1 any other verdict, or it could not be run.
"""

from pathlib import Path
from typing import Annotated

import typer

from tidegate_cli import terminal
from tidegate_cli.commands.watch import AsJson, run, seconds
from tidegate_cli.terminal import Output


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Check")(analyze)


def analyze(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An AnalysisTemplate or AnalysisRun; - is stdin.", show_default=False)
    ],
    args: Annotated[
        list[str] | None,
        typer.Option("--args", "-a", metavar="NAME=VALUE", help="An argument; repeatable.", show_default=False),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            "--for", parser=seconds, metavar="DURATION", show_default=False, help="End metrics without a count after 30s, 5m, ..."
        ),
    ] = None,
    output: AsJson = None,
) -> None:
    """Measure a template's metrics from here; tell the verdict.

    It is the one that a rollout would get.
    """
    import os

    from tidegate.config import settings_from
    from tidegate.messages import AnalysisMeasured
    from tidegate_analyzer.analyze import analyze as analyzed
    from tidegate_cli.analysis import arguments_of, measurement_line, measurement_of, template_in, verdict_line
    from tidegate_cli.yamls import documents

    manifest, given = template_in(documents(file)), arguments_of(args or [])
    settings, began, as_json = settings_from(os.environ), terminal.now(), output is Output.JSON
    terminal.quiet_logs()

    def report(measured: AnalysisMeasured) -> None:
        taken = measurement_of(measured)
        if as_json:
            terminal.print_json_line(taken)
        else:
            terminal.say(measurement_line(taken, terminal.now() - began, colour=terminal.is_terminal()))

    status = run(analyzed(manifest, given, report, clock=terminal.now, limit=limit or None, settings=settings))
    if as_json:
        terminal.print_json_line(status)
    else:
        terminal.say(verdict_line(status, colour=terminal.is_terminal()))
    if status["phase"] != "Successful":
        raise typer.Exit(1)
