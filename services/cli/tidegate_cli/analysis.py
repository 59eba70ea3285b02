"""What `analyze` reads and says. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import typer

from tidegate.messages import AnalysisMeasured
from tidegate_analyzer.analyze import KINDS
from tidegate_cli.errors import Failed

COLOURS: Final = {"Successful": "green", "Failed": "red", "Error": "red", "Inconclusive": "yellow"}


def template_in(documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one object with metrics; what else stands in the file, a Rollout or a Service, is left alone."""
    found = [each for each in documents if each.get("kind") in KINDS]
    if len(found) != 1:
        raise Failed(f"the file holds {len(found)} of {', '.join(KINDS)}; exactly one can be analyzed")
    return found[0]


def arguments_of(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE, such as service-name=web")
        pairs[name] = value
    return pairs


def measurement_of(measured: AnalysisMeasured) -> dict[str, str]:
    return {"metric": measured.metric, "phase": measured.phase, "value": measured.value, "message": measured.message}


def measurement_line(measured: Mapping[str, str], since: timedelta, *, colour: bool = False) -> str:
    what = "  ".join(text for text in (measured["value"], measured["message"]) if text)
    when = f"{since.total_seconds():.0f}s"
    return f"{when:>5}  {measured['metric']}  {_phase(measured['phase'], colour)}  {what}".rstrip()


def verdict_line(status: Mapping[str, Any], *, colour: bool = False) -> str:
    message = status.get("message") or ""
    return f"{_phase(status['phase'], colour)}{': ' if message else ''}{message}"


def _phase(phase: str, colour: bool) -> str:
    return typer.style(phase, fg=COLOURS.get(phase), bold=True) if colour else phase
