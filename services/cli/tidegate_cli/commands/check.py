"""`crds`, `lint`, `plan`, `eval`: without a cluster, without a bus."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate_cli import terminal
from tidegate_cli.commands.watch import AsJson, seconds, whole
from tidegate_cli.terminal import Output

PANEL = "Check"


class Crashing(StrEnum):
    CANARY = "canary"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(crds)
    app.command(rich_help_panel=PANEL)(support)
    app.command(rich_help_panel=PANEL)(lint)
    app.command(rich_help_panel=PANEL)(plan)
    # An expression may begin with a minus.
    app.command("eval", rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})(evaluate)


class SupportOutput(StrEnum):
    JSON = "json"
    MARKDOWN = "markdown"


def support(
    *,
    output: Annotated[
        SupportOutput | None,
        typer.Option("--output", "-o", help="json for machines, markdown for documents.", show_default=False),
    ] = None,
) -> None:
    """Show which routers, metric providers and channels there are.

    And what each of them can do.
    """
    from tidegate_cli import support as told
    from tidegate_cli.render.plain import table

    found = told.supported()
    if output is SupportOutput.JSON:
        terminal.print_json(told.as_json(found))
    elif output is SupportOutput.MARKDOWN:
        terminal.say(told.as_markdown(found).rstrip("\n"))
    else:
        plain = [[cell.replace("`", "") for cell in row] for row in told.cells(found)]
        terminal.say(table([each.upper() for each in told.HEAD], plain))
        for title, listed in (("PROVIDER", found.providers), ("CHANNEL", found.channels)):
            terminal.say("")
            terminal.say(table([title, "OFFERS"], [[name, ", ".join(offers)] for name, offers in listed.items()]))


def crds() -> None:
    """Print the CustomResourceDefinitions.

    Install them with `tidegate crds | kubectl apply --server-side -f -`.
    """
    from tidegate.crd.generate import crds_yaml

    terminal.say(crds_yaml().rstrip("\n"))


def lint(
    *,
    file: Annotated[
        Path, typer.Option("--filename", "--file", "-f", metavar="FILE", help="Manifests; - is stdin.", show_default=False)
    ],
) -> None:
    """Find mistakes in Rollouts and templates.

    Unknown fields, broken rules, missing references; exit code 1 when there is one.
    """
    from tidegate_analyzer.provider_faults import fault_of
    from tidegate_cli.errors import Failed
    from tidegate_cli.linting import complaints
    from tidegate_cli.yamls import documents

    held = documents(file)
    if not held:
        raise Failed(f"{file} holds no object; there is nothing to check")
    found = complaints(held, fault_of)
    for complaint in found:
        terminal.say(f"{file}: {complaint}")
    if found:
        raise typer.Exit(1)


def _duration(text: str) -> Any:
    return typer.Option(parser=seconds, metavar="DURATION", show_default=False, help=text)


def _step(text: str) -> Any:
    return typer.Option(parser=whole, metavar="STEP", show_default=False, help=text)


def plan(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Rollout; - is stdin.", show_default=False)],
    pods_ready_after: Annotated[float, _duration("How long a new pod takes; default 5s.")] = 5.0,
    analysis_takes: Annotated[float, _duration("How long an analysis step takes; default 30s.")] = 30.0,
    person_resumes_after: Annotated[float, _duration("How long a pause without an end lasts; default 1m.")] = 60.0,
    crash: Annotated[Crashing | None, typer.Option(show_default=False, help="What if these pods never get ready?")] = None,
    fail_analysis: Annotated[int | None, _step("What if the analysis of this step fails? Steps count from 0.")] = None,
    abort_at: Annotated[int | None, _step("What if a person aborts at this step?")] = None,
    output: AsJson = None,
) -> None:
    """Show the timeline that an image change would follow.

    Worked out by the planner itself, offline.
    """
    from dataclasses import asdict

    from tidegate_cli.previewing import previewed
    from tidegate_cli.yamls import documents
    from tidegate_planner.simulation import Options, render

    options = Options(
        pods_ready_after=pods_ready_after,
        analysis_takes=analysis_takes,
        person_resumes_after=person_resumes_after,
        crash_canary=crash is Crashing.CANARY,
        fail_analysis=fail_analysis,
        abort_at=abort_at,
    )
    entries = previewed(documents(file), options)
    if output is Output.JSON:
        terminal.print_json([asdict(each) for each in entries])
    else:
        terminal.say(render(entries).rstrip("\n"))


def evaluate(
    *,
    expression: Annotated[
        str | None, typer.Argument(metavar="[EXPRESSION]", help="Such as 'result[0] >= 0.95'.", show_default=False)
    ] = None,
    result: Annotated[
        str | None,
        typer.Option(
            "--result", "-r", metavar="JSON", help="What the metric measured; other text is taken as it is.", show_default=False
        ),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            "--batch",
            metavar="FILE",
            help='Lines of {"expression", "result"}, each answered by a line with "value" or "error"; - is stdin.',
            show_default=False,
        ),
    ] = None,
) -> None:
    """Try a condition, or any expression, on a result."""
    from tidegate_cli.evaluating import answers, result_of, value_of
    from tidegate_cli.yamls import text_of

    if batch is not None:
        if expression is not None or result is not None:
            raise typer.BadParameter("takes EXPRESSION and --result from FILE", param_hint="--batch")
        for each in answers(text_of(batch).split("\n"), now=terminal.now()):
            terminal.print_json_line(each)
        return
    if expression is None:
        raise typer.BadParameter("give one, or --batch FILE", param_hint="EXPRESSION")
    terminal.print_json_line(value_of(expression, result_of(result or "null"), now=terminal.now()))
