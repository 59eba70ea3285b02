"""Everything that is wrong with a template or a run before anyone measures it (AR#1187). Pure.

The rules are those a run is checked by (`metrics`, `argo-behaviour.md` 7.1, 7.2), all of them instead of the first. What only the
caller's arguments decide is not judged: a field that takes one without a value is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from tidegate.arguments import ArgumentError, tags_in
from tidegate_analyzer import metrics
from tidegate_analyzer.arguments import substituted
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.expression import compile as compile_expression
from tidegate_analyzer.metrics import SpecInvalid

RUN: Final = "AnalysisRun"
CONDITIONS: Final = ("successCondition", "failureCondition")
SAMPLES: Final = ("1", ">=", "result")
"""Stand for an argument without a value: a number or a part of a text, an operator, a name. What none of them mends is broken."""

Json = Mapping[str, Any]
ProviderFault = Callable[[str, Json], str]
"""What is wrong with a provider's part of a metric; "" if nothing is known."""


def faults(manifest: Json, provider_fault: ProviderFault = lambda _name, _config: "") -> list[str]:
    """`spec.metrics[0].successCondition: what is wrong`, in the order of the manifest."""
    spec = manifest.get("spec") or {}
    given = [metric for metric in spec.get("metrics") or [] if isinstance(metric, Mapping)]
    args = [argument for argument in spec.get("args") or [] if isinstance(argument, Mapping)]
    known = {str(argument.get("name")): argument.get("value") for argument in args}
    found = list(_of_arguments(args, given, manifest))
    if not given and not spec.get("templates"):
        found.append("spec.metrics: no metrics specified")
    names: set[str] = set()
    for index, metric in enumerate(given):
        where = f"spec.metrics[{index}]"
        found += (f"{where}{text}" for text in _of_metric(metric, known, names, provider_fault))
        names.add(str(metric.get("name", "")))
    return [*found, *_of_rules(spec, whole=not spec.get("templates"))]


# -- arguments


def _of_arguments(args: list[Json], given: Iterable[Json], manifest: Json) -> Iterator[str]:
    seen: set[str] = set()
    used = {name for metric in given for name in tags_in(metric)}
    for index, argument in enumerate(args):
        where, name = f"spec.args[{index}]", str(argument.get("name", ""))
        if not name:
            yield f"{where}.name: an argument needs a name"
        elif name in seen:
            yield f"{where}: argument {name!r} is declared twice"
        elif f"args.{name}" not in used and not (manifest.get("spec") or {}).get("templates"):
            yield f"{where}: argument {name!r} is used by no metric"
        if argument.get("value") is not None and argument.get("valueFrom") is not None:
            yield f"{where}: argument {name!r} has both value and valueFrom"
        if manifest.get("kind") == RUN and argument.get("value") is None and argument.get("valueFrom") is None:
            yield f'{where}: argument "{name}" was not supplied'
        seen.add(name)


def _of_tags(metric: Json, known: Mapping[str, Any]) -> Iterator[str]:
    for tag in sorted(set(tags_in(metric))):
        if not tag.startswith("args."):
            yield f": failed to resolve {{{{{tag}}}}}; arguments are written {{{{args.NAME}}}}"
        elif tag.removeprefix("args.") not in known:
            declared = ", ".join(sorted(known)) or "none"
            yield f": failed to resolve {{{{{tag}}}}}; spec.args declares {declared}"


# -- metrics


def _of_metric(metric: Json, known: Mapping[str, Any], earlier: set[str], provider_fault: ProviderFault) -> Iterator[str]:
    yield from _of_tags(metric, known)
    values = {name: value for name, value in known.items() if value is not None}
    decided = {field: _filled(value, values) for field, value in metric.items() if field not in {"provider", *CONDITIONS}}
    yield from (f": {fault}" for fault in metrics.faults({**decided, "provider": metric.get("provider")}, earlier))
    for field in CONDITIONS:
        if fault := _of_condition(metric.get(field), values):
            yield f".{field}: {fault}"
    yield from _of_provider(metric.get("provider"), values, provider_fault)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """With the arguments that have values; None where one has not."""
    try:
        return substituted(value, {name: str(each) for name, each in values.items()})
    except ArgumentError:
        return None


def _of_condition(condition: Any, values: Mapping[str, Any]) -> str:
    if not isinstance(condition, str) or not condition:
        return ""
    tried = dict.fromkeys(text for sample in SAMPLES if (text := _sampled(condition, values, sample)) is not None)
    found = [_unreadable(text) for text in tried]
    return found[0] if found and all(found) else ""


def _unreadable(condition: str) -> str:
    try:
        compile_expression(condition)
    except ExpressionError as error:
        return str(error)
    return ""


def _of_provider(provider: Any, values: Mapping[str, Any], provider_fault: ProviderFault) -> Iterator[str]:
    chosen = [(name, config) for name, config in (provider or {}).items() if isinstance(config, Mapping)]
    if len(chosen) != 1:
        return  # `metrics.faults` says so
    (name, config) = chosen[0]
    filled = _filled(config, values)
    asked = {field: value for field, value in config.items() if field != "query"}
    if filled is None and _filled(asked, values) is not None:
        filled = {**asked, "query": _sampled(config["query"], values, SAMPLES[0])}
    if filled is not None and (fault := provider_fault(name, filled)):
        yield f".provider.{name}: {fault}"


def _sampled(text: Any, values: Mapping[str, Any], sample: str) -> Any:
    unknown = {tag.removeprefix("args."): sample for tag in tags_in(text)}
    return _filled(text, {**unknown, **values})


# -- rules that name metrics


def _of_rules(spec: Json, *, whole: bool) -> Iterator[str]:
    """Where other templates are named, their metrics are not known here, and a rule may be for them."""
    for names_of in (metrics.dry_run_names, metrics.kept_measurements) if whole else ():
        try:
            names_of(spec)
        except SpecInvalid as error:
            field, _, why = str(error).partition(": ")
            yield f"spec.{field}: {why}"
