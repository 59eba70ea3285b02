"""Spinnaker's Kayenta (`argo-behaviour.md` 8.10): it compares and judges by itself; its score decides, conditions are not asked.

It offers no way to find an execution again by a name of ours. A measurement asked for twice is executed twice, and the one that is
written down is the one that counts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import quote

import orjson

from tidegate.outbound import Answer, Call
from tidegate_analyzer.answers import NotJson, document, inside, is_number
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.metrics import span, timestamp
from tidegate_analyzer.provider import Config, Context, Decided, NotMeasured, Outcome, Texts, Tools, Unfinished

NAME: Final = "kayenta"
EXECUTION: Final = "canaryExecutionId"
SECONDS: Final = 15.0
PAUSE: Final = timedelta(seconds=15)


class Kayenta:
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("scopes and thresholds", "goes on after a restart", "judges itself")

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._clock = tools.clock

    async def measure(self, config: Config, context: Context) -> Outcome:
        scopes = scopes_of(config, context)
        found = config_id(await self._outbound.send(lookup_of(config)), config.get("canaryConfigName") or "")
        answer = await self._outbound.send(start_of(config, found, scopes))
        return Unfinished(resume_at=self._clock() + PAUSE, metadata={EXECUTION: execution_id(answer)})

    async def resume(self, config: Config, context: Context, metadata: Texts) -> Outcome:  # noqa: ARG002 - the port's
        answer = await self._outbound.send(Call(method="GET", url=_url(config, f"/canary/{metadata[EXECUTION]}"), timeout=SECONDS))
        decided = decision(answer, config.get("threshold") or {}, metadata)
        return decided or Unfinished(resume_at=self._clock() + PAUSE, metadata=metadata)

    async def terminate(self, config: Config, context: Context, metadata: Texts) -> Outcome:  # noqa: ARG002 - the port's
        """The execution ends by itself and costs the rollout nothing; nobody waits for it any more."""
        return Decided(phase="Inconclusive", message="Metric Terminated", metadata=metadata)


# -- the questions, all pure


def lookup_of(config: Config) -> Call:
    """The configuration is looked up in the *storage* account: so does the peer, and so templates are written."""
    names = {"application": "application", "configurationAccountName": "storageAccountName"}
    return Call(method="GET", url=_url(config, "/canaryConfig", names), timeout=SECONDS)


def start_of(config: Config, found: str, scopes: Mapping[str, Any]) -> Call:
    threshold = config.get("threshold") or {}
    thresholds = {"pass": threshold.get("pass") or 0, "marginal": threshold.get("marginal") or 0}
    names = ("application", "metricsAccountName", "configurationAccountName", "storageAccountName")
    return Call(
        method="POST",
        url=_url(config, f"/canary/{found}", {name: name for name in names}),
        headers=(("Content-Type", "application/json"),),
        body=orjson.dumps({"scopes": scopes, "thresholds": thresholds}),
        timeout=SECONDS,
    )


def _url(config: Config, path: str, names: Mapping[str, str] | None = None) -> str:
    """Values are written into the URL as they are, for the peer does not escape them and templates may have; what cannot stand in a
    URL, or would end the value, is escaped all the same."""
    pairs = (f"{parameter}={quote(str(config.get(field) or ''), safe='%+/:@')}" for parameter, field in (names or {}).items())
    query = "&".join(pairs)
    return f"{(config.get('address') or '').rstrip('/')}{path}{'?' if query else ''}{query}"


def scopes_of(config: Config, context: Context) -> dict[str, Any]:
    return {scope.get("name") or "": _scope(scope, config, context) for scope in config.get("scopes") or ()}


def _scope(scope: Config, config: Config, context: Context) -> dict[str, Any]:
    control, experiment = scope.get("controlScope") or {}, scope.get("experimentScope") or {}
    for field in ("start", "end"):
        if bool(control.get(field)) != bool(experiment.get(field)):
            raise NotMeasured(f"controlScope.{field} and experimentScope.{field} must both be set or be empty")
    start = control.get("start") or _start(config, context)
    end = control.get("end") or timestamp(context.now)
    return {"controlScope": _range(control, start, end), "experimentScope": _range(experiment, start, end)}


def _range(scope: Config, start: str, end: str) -> dict[str, Any]:
    return {
        "scope": scope.get("scope") or "",
        "location": scope.get("region") or "",
        "step": scope.get("step") or 0,
        "start": scope.get("start") or start,
        "end": scope.get("end") or end,
    }


def _start(config: Config, context: Context) -> str:
    if config.get("lookback"):
        return timestamp(context.run_started or context.now)
    try:
        return timestamp(_before(context.now, context.interval))
    except ExpressionError as error:
        raise NotMeasured(f'Invalid duration "{context.interval}": {error}') from error


def _before(now: datetime, interval: str) -> datetime:
    return now.astimezone(UTC) - span(interval)


# -- the answers, all pure


def config_id(answer: Answer, name: str) -> str:
    if answer.status != 200:
        raise NotMeasured(f"Invalid Response: HTTP {answer.status}")
    configs = _document(answer)
    for each in configs if isinstance(configs, list) else ():
        if inside(each, "name") == name:
            return str(inside(each, "id") or "")
    raise NotMeasured("Canary config not found")


def execution_id(answer: Answer) -> str:
    found = inside(_require_ok(answer), EXECUTION)
    if not isinstance(found, str) or not found:
        raise NotMeasured("Invalid canaryExecutionId")
    return found


def decision(answer: Answer, threshold: Config, metadata: Texts) -> Decided | None:
    """None while the execution goes on."""
    body = _require_ok(answer)
    complete, score = inside(body, "complete"), inside(body, "result", "judgeResult", "score", "score")
    if not isinstance(complete, bool):
        raise NotMeasured("Missing Complete Status")
    if not complete:
        return None
    if not is_number(score):
        raise NotMeasured("Missing Score")
    return Decided(phase=_phase(int(score), threshold), value=str(int(score)), metadata=metadata)


def _phase(score: int, threshold: Config) -> str:
    if score >= (threshold.get("pass") or 0):
        return "Successful"
    return "Inconclusive" if score >= (threshold.get("marginal") or 0) else "Failed"


def _require_ok(answer: Answer) -> Any:
    if answer.status != 200:
        raise NotMeasured("Invalid Response")
    return _document(answer)


def _document(answer: Answer) -> Any:
    try:
        return document(answer.body)
    except NotJson as error:
        raise NotMeasured(f"the answer of Kayenta is not JSON: {error}") from error
