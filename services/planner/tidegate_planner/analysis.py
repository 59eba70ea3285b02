"""The AnalysisRuns of a rollout: which must run now, what their verdicts mean (`argo-behaviour.md` 7.2, 7.3, 7.7).

Rule of this file: pure. The planner decides that a run must exist and how it is named; the analyzer creates and measures it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tidegate import keys
from tidegate.arguments import ArgumentError
from tidegate.rollout import Analysis, BlueGreen
from tidegate_planner import cutover
from tidegate_planner.history import surplus
from tidegate_planner.plan import DeleteAnalysis, StartAnalysis, TerminateAnalysis
from tidegate_planner.progress import INCONCLUSIVE_RUN
from tidegate_planner.seen import AnalysisRun, Seen
from tidegate_planner.situation import Situation
from tidegate_planner.targets import current_step
from tidegate_planner.templates import merged_run_spec

Json = Mapping[str, Any]

STEP, BACKGROUND = "Step", "Background"
PRE_PROMOTION, POST_PROMOTION = "PrePromotion", "PostPromotion"
UNFINISHED = frozenset({"", "Pending", "Running"})
WORDS = {
    STEP: "Step-based analysis",
    BACKGROUND: "Background analysis",
    PRE_PROMOTION: "Blue/green pre-promotion analysis",
    POST_PROMOTION: "Blue/green post-promotion analysis",
}
STATUS_FIELDS = {
    STEP: "currentStepAnalysisRunStatus",
    BACKGROUND: "currentBackgroundAnalysisRunStatus",
    PRE_PROMOTION: "prePromotionAnalysisRunStatus",
    POST_PROMOTION: "postPromotionAnalysisRunStatus",
}
SUFFIXES = {PRE_PROMOTION: "-pre", POST_PROMOTION: "-post"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the current runs say: a reason to abort, or the pause that an inconclusive one asks for."""

    abort_reason: str | None = None
    inconclusive: str | None = None


@dataclass(frozen=True, slots=True)
class RunInUse:
    """The run that counts now for one kind. Its name is in the status before the run exists, so that a finished older run of the
    same step (an attempt before an abort, say) can never be taken for it."""

    kind: str
    name: str
    config: Analysis
    run: AnalysisRun | None

    @property
    def phase(self) -> str:
        return self.run.phase if self.run else ""


def runs_in_use(at: Situation) -> list[RunInUse]:
    found = []
    for kind in _kinds(at):
        config = _configured(at, kind)
        if config is not None:
            name = _name(at, kind)
            run = next((each for each in at.seen.analysis_runs if each.name == name), None)
            found.append(RunInUse(kind, name, config, run))
    return found


def verdict(at: Situation) -> Verdict:
    runs = runs_in_use(at)
    for each in runs:
        if each.run is not None and each.phase in {"Failed", "Error"}:
            text = f"{WORDS[each.kind]} phase error/failed"
            return Verdict(abort_reason=f"{text}: {each.run.message}" if each.run.message else text)
    inconclusive = any(each.phase == "Inconclusive" for each in runs)
    return Verdict(inconclusive=INCONCLUSIVE_RUN) if inconclusive else Verdict()


def passed(at: Situation, kind: str) -> bool:
    return any(each.kind == kind and each.phase == "Successful" for each in runs_in_use(at))


def measures(at: Situation) -> bool:
    """Whether a verdict is being waited for."""
    return any(each.phase in UNFINISHED for each in runs_in_use(at))


def wanted_runs(at: Situation) -> list[StartAnalysis]:
    """Runs that must exist and do not. A pause step is what a background run measures through, so it begins there too; a step's own
    run waits for every pause, and each for the one that an inconclusive run asked for (7.7). `spec.paused` holds none up: it holds
    pods and steps, and what has users stays under watch."""
    if at.progress.inconclusive:
        return []
    missing = (each for each in runs_in_use(at) if each.run is None and (each.kind != STEP or not at.progress.pauses))
    runs = []
    for each in missing:
        with suppress(ArgumentError):  # `_hindrance` says in the status what is waited for
            runs.append(StartAnalysis(manifest=_manifest(at, each)))
    return runs


def _hindrance(at: Situation, wanted: RunInUse) -> str:
    """Why a run cannot be made, as far as validation could not know it: an argument may take a field of the status that has yet to
    come. Until it does the run is waited for, and the status says what for."""
    try:
        _spec(at, wanted)
    except ArgumentError as error:
        return f"cannot be made: {error}"
    return ""


def idle_runs(at: Situation) -> list[TerminateAnalysis]:
    """Unfinished runs of this rollout that nothing waits for any more."""
    kept = {each.name for each in runs_in_use(at)}
    over = (run for run in at.seen.analysis_runs if run.kind in WORDS and run.phase in UNFINISHED and not run.terminate)
    return [TerminateAnalysis(name=run.name) for run in over if run.name not in kept]


def surplus_runs(at: Situation) -> list[DeleteAnalysis]:
    """Finished runs beyond the history limits. Those that the status names are no history yet (7.7)."""
    told = (run_statuses(at).get(STATUS_FIELDS[kind]) or {} for kind in _kinds(at))
    kept = {each.get("name") for each in told} | {each.name for each in runs_in_use(at)}
    live = {each.hash for each in at.seen.replica_sets if not each.deleting}
    beyond = surplus(
        (run for run in at.seen.analysis_runs if run.name not in kept),
        revisions=live | {at.progress.current_hash, at.progress.stable_hash},  # whose ReplicaSets may only not be seen yet
        successful=at.spec.successful_runs_kept,
        unsuccessful=at.spec.unsuccessful_runs_kept,
    )
    return [DeleteAnalysis(name=run.name, uid=run.uid) for run in beyond]


def run_statuses(at: Situation) -> dict[str, Json]:
    """`status.canary.current...AnalysisRunStatus` and their like (1.3).

    They outlive an abort, so that a person can see what failed; those of a blue-green update stay until the next one or a retry.
    """
    before = _section(at)
    statuses: dict[str, Json] = {}
    for each in runs_in_use(at):
        message = each.run.message if each.run else _hindrance(at, each)
        told = {"name": each.name, "status": each.phase or "Pending"}
        statuses[STATUS_FIELDS[each.kind]] = {**told, "message": message} if message else told
    outlive = at.progress.abort or (isinstance(at.strategy, BlueGreen) and not at.was_retried)
    if outlive and at.seen.status.get("currentPodHash") == at.progress.current_hash:
        fields = (STATUS_FIELDS[kind] for kind in _kinds(at))
        kept = {field: _up_to_date(at, before[field]) for field in fields if before.get(field)}
        return {**kept, **statuses}
    return statuses


def _up_to_date(at: Situation, told: Json) -> Json:
    run = next((each for each in at.seen.analysis_runs if each.name == told.get("name")), None)
    if run is None:
        return told
    return {"name": run.name, "status": run.phase or "Pending", **({"message": run.message} if run.message else {})}


def _kinds(at: Situation) -> tuple[str, str]:
    return (PRE_PROMOTION, POST_PROMOTION) if isinstance(at.strategy, BlueGreen) else (STEP, BACKGROUND)


def _section(at: Situation) -> Json:
    """The strategy's own part of the status."""
    return at.seen.status.get("blueGreen" if isinstance(at.strategy, BlueGreen) else "canary") or {}


def _configured(at: Situation, kind: str) -> Analysis | None:
    """The analysis of this kind that should be running; none on the first deployment, after an end, on a short way back."""
    progress = at.progress
    if progress.fully_promoted or progress.abort or progress.promote_full or at.within_window:
        return None
    if kind == PRE_PROMOTION:
        waiting = not cutover.done(at) and not progress.preview_accepted
        return at.blue_green.pre_promotion if waiting and (cutover.preview_ready(at) or _was_started(at, kind)) else None
    if kind == POST_PROMOTION:
        begins = cutover.done(at) and cutover.saturated(at)  # begun it goes on: one that is ended early says "Successful" (N26)
        waiting = (begins or _was_started(at, kind)) and not cutover.fast_rollback(at)
        return at.blue_green.post_promotion if waiting else None
    if kind == STEP:
        step = current_step(progress, at.canary)
        return step if isinstance(step, Analysis) else None
    background = at.canary.analysis
    started = background is not None and (progress.step_index is None or progress.step_index >= background.starting_step)
    return background if started else None


def _name(at: Situation, kind: str) -> str:
    """The name in the status while it is about this very step, revision and attempt; else the next free one."""
    base = _base_name(at, kind)
    taken = {run.name: run for run in at.seen.analysis_runs}
    told = _told_name(at, kind)
    matches = told == base or told.startswith(f"{base}.")
    run = taken.get(told)
    finished_before = run is not None and (at.was_retried or (run.phase == "Inconclusive" and _pause_was_cleared(at)))
    if matches and not finished_before:
        return str(told)
    return _free_name(base, list(taken))


def _told_name(at: Situation, kind: str) -> str:
    return str((_section(at).get(STATUS_FIELDS[kind]) or {}).get("name", ""))


def _was_started(at: Situation, kind: str) -> bool:
    """A run of this attempt goes on, whatever becomes of the pods it measures."""
    base, told = _base_name(at, kind), _told_name(at, kind)
    return (told == base or told.startswith(f"{base}.")) and not at.was_retried


def _base_name(at: Situation, kind: str) -> str:
    suffix = f"-{at.progress.step_index}" if kind == STEP else SUFFIXES.get(kind, "")
    return f"{at.seen.name}-{at.progress.current_hash}-{at.revision}{suffix}"


def _pause_was_cleared(at: Situation) -> bool:
    """A person has let an inconclusive run pass: the pause is gone, the controller's flag is still up (4)."""
    return bool(at.seen.status.get("controllerPause")) and not at.seen.status.get("pauseConditions")


def _manifest(at: Situation, wanted: RunInUse) -> Json:
    seen, is_step = at.seen, wanted.kind == STEP
    metadata = wanted.config.config.get("analysisRunMetadata") or {}
    labels = {
        keys.POD_TEMPLATE_HASH: at.progress.current_hash,
        keys.ROLLOUT_TYPE: wanted.kind,
        **({keys.STEP_INDEX: str(at.progress.step_index)} if is_step else {}),
        **({keys.INSTANCE_ID: seen.labels[keys.INSTANCE_ID]} if keys.INSTANCE_ID in seen.labels else {}),
        **(metadata.get("labels") or {}),
        **(at.spec.selector.get("matchLabels") or {}),
    }
    revision = str(at.revision)
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "AnalysisRun",
        "metadata": {
            "name": wanted.name,
            "namespace": seen.namespace,
            "labels": labels,
            "annotations": {**(metadata.get("annotations") or {}), keys.REVISION: revision},
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": _spec(at, wanted),
    }


def _spec(at: Situation, wanted: RunInUse) -> Json:
    return merged_run_spec(wanted.config.config, at.seen.templates, manifest=at.seen.manifest, hashes=_hashes(at))


def owner_reference(seen: Seen) -> Json:
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "Rollout",
        "name": seen.name,
        "uid": seen.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _hashes(at: Situation) -> Mapping[str, str]:
    return {"Stable": at.progress.stable_hash, "Latest": at.progress.current_hash}


def _free_name(base: str, taken: Sequence[str]) -> str:
    """`base`, else `base.1`, `base.2`, ...: a finished run of that name is kept as history (7.3)."""
    if base not in taken:
        return base
    number = 1
    while f"{base}.{number}" in taken:
        number += 1
    return f"{base}.{number}"
