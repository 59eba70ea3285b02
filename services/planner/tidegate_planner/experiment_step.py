"""The `experiment` step of a canary: which Experiment must exist, what its end means, and what share of the traffic it gets
(`argo-behaviour.md` 3.8, 4, 10).

Rule of this file: pure. One Experiment per step and attempt: its name stands in the status before it exists, so that none is made
twice (N9), and an inconclusive one waits for a person instead of being followed by another (N8, AR#3264).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate import keys
from tidegate.arguments import ArgumentError
from tidegate.messages import Destination
from tidegate.podtemplate import as_written
from tidegate.rollout import Canary
from tidegate.rollout import Experiment as ExperimentStep
from tidegate_planner import history
from tidegate_planner.analysis import Verdict, owner_reference
from tidegate_planner.plan import CreateExperiment, DeleteExperiment, TerminateExperiment
from tidegate_planner.progress import INCONCLUSIVE_EXPERIMENT, Progress, resumed
from tidegate_planner.seen import Experiment, ReplicaSet
from tidegate_planner.situation import Situation
from tidegate_planner.targets import current_step
from tidegate_planner.templates import argument

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InUse:
    """The experiment that counts now; `experiment` is None until it exists."""

    name: str
    step: Json
    experiment: Experiment | None

    @property
    def phase(self) -> str:
        return self.experiment.phase if self.experiment else ""


def in_use(at: Situation) -> InUse | None:
    """None where no experiment step is being taken: before, after, on abort, on full promotion and on a short way back."""
    progress = at.progress
    skipped = progress.fully_promoted or progress.abort or progress.promote_full or at.within_window
    if not isinstance(at.strategy, Canary) or skipped:
        return None
    step = current_step(progress, at.canary)
    if not isinstance(step, ExperimentStep):
        return None
    name = _name(at)
    return InUse(name, step.config, _held(at, name))


# --- what its end means ------------------------------------------------------------------------------------------------


def verdict(at: Situation) -> Verdict:
    use = in_use(at)
    if use is None:
        return Verdict()
    if use.experiment is None:
        problem = _problem(at, use)
        return Verdict(abort_reason=f"Experiment cannot be made: {problem}") if problem else Verdict()
    if use.phase in {"Failed", "Error"}:
        because = f": {use.experiment.message}" if use.experiment.message else ""
        return Verdict(abort_reason=f"Experiment analysis phase is error/failed{because}")
    waits = use.phase == "Inconclusive" and not _let_pass(at, use)
    return Verdict(inconclusive=INCONCLUSIVE_EXPERIMENT) if waits else Verdict()


def passed(at: Situation) -> bool:
    use = in_use(at)
    return use is not None and (use.phase == "Successful" or _let_pass(at, use))


def without_outdated_pause(at: Situation) -> Progress:
    """A pause for an experiment that was retried meanwhile, or that is not the current step any more, has lost its reason."""
    use = in_use(at)
    if at.progress.pause_for(INCONCLUSIVE_EXPERIMENT) is None or (use is not None and use.phase == "Inconclusive"):
        return at.progress
    return resumed(at.progress, reason=INCONCLUSIVE_EXPERIMENT)


def _let_pass(at: Situation, use: InUse) -> bool:
    """A person was shown that it is inconclusive, and has cleared the pause."""
    status = at.seen.status
    cleared = bool(status.get("controllerPause")) and not status.get("pauseConditions")
    shown = status.get("message") == INCONCLUSIVE_EXPERIMENT and _told_name(at) == use.name
    return use.phase == "Inconclusive" and cleared and shown


# --- which experiments there should be ---------------------------------------------------------------------------------


def wanted(at: Situation) -> list[CreateExperiment]:
    """The one of this step, once the templates it copies are there. None begins while the rollout has paused; `spec.paused` holds
    pods and steps of the Rollout alone."""
    use = in_use(at)
    if use is None or use.experiment is not None or at.progress.pauses or not _can_copy(at, use):
        return []
    return [CreateExperiment(manifest=manifest(at, use))]


def idle(at: Situation) -> list[TerminateExperiment]:
    """Unfinished experiments of this rollout that nothing waits for any more. One that was made from a newer view than this
    may be what another planner has just begun."""
    use = in_use(at)
    over = (each for each in at.seen.experiments if each.phase not in history.FINISHED and not each.terminate)
    over = (each for each in over if each.made_from < at.seen.resource_version)
    return [TerminateExperiment(name=each.name, uid=each.uid) for each in over if use is None or each.name != use.name]


def surplus(at: Situation) -> list[DeleteExperiment]:
    """Finished ones beyond the history limits, which count for runs and experiments alike (7.7, 10). Pods that linger on purpose
    would go with theirs at once, so it is no history before they are gone."""
    use = in_use(at)
    live = {each.hash for each in at.seen.replica_sets if not each.deleting}
    beyond = history.surplus(
        (each for each in at.seen.experiments if use is None or each.name != use.name),
        revisions=live | {at.progress.current_hash, at.progress.stable_hash},
        successful=at.spec.successful_runs_kept,
        unsuccessful=at.spec.unsuccessful_runs_kept,
    )
    empty = (each for each in beyond if not any(pods.current for pods in each.pods))
    return [DeleteExperiment(name=each.name, uid=each.uid) for each in empty]


def _held(at: Situation, name: str) -> Experiment | None:
    return next((each for each in at.seen.experiments if each.name == name), None)


def _name(at: Situation) -> str:
    """The name in the status while it is about this very step, plan and attempt; else the next free one."""
    told, base = _told_name(at), _base_name(at)
    is_ours = told == base or re.fullmatch(re.escape(base) + "-[0-9]+", told) is not None
    begins_anew = at.was_retried or at.seen.status.get("currentStepHash") != at.progress.steps_hash
    if is_ours and told not in at.seen.taken_names and not (begins_anew and _held(at, told)):
        return told
    taken = {each.name for each in at.seen.experiments} | at.seen.taken_names
    names = (base, *(f"{base}-{number}" for number in range(1, len(taken) + 1)))
    return next(name for name in names if name not in taken)


def _told_name(at: Situation) -> str:
    return str((at.seen.status.get("canary") or {}).get("currentExperiment") or "")


def _base_name(at: Situation) -> str:
    return f"{at.seen.name}-{at.progress.current_hash}-{at.revision}-{at.progress.step_index}"


# --- traffic -----------------------------------------------------------------------------------------------------------


def destinations(at: Situation) -> tuple[Destination, ...]:
    """What the templates with a weight get: nothing before all pods of the experiment are available, and nothing for one whose pods
    are gone (N14, AR#3420)."""
    use = in_use(at)
    if use is None or use.experiment is None or use.phase != "Running":
        return ()
    pods = {each.name: each for each in use.experiment.pods if each.available > 0 and each.service}
    weighted = ((pods.get(each.get("name") or ""), each.get("weight")) for each in use.step.get("templates") or ())
    return tuple(Destination(weight=weight, service=held.service, hash=held.hash) for held, weight in weighted if held and weight)


# --- the manifest ------------------------------------------------------------------------------------------------------


def manifest(at: Situation, use: InUse) -> dict[str, Any]:
    seen, step, revision = at.seen, use.step, str(at.revision)
    copied = ("duration", "dryRun", "analysisRunMetadata", "scaleDownDelaySeconds")
    deadline = (seen.manifest.get("spec") or {}).get("progressDeadlineSeconds")
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "Experiment",
        "metadata": {
            "name": use.name,
            "namespace": seen.namespace,
            "labels": {**seen.labels, keys.POD_TEMPLATE_HASH: at.progress.current_hash},
            "annotations": {keys.REVISION: revision, keys.MADE_FROM: str(at.seen.resource_version)},
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": {
            "templates": [_template(at, each) for each in step.get("templates") or ()],
            **({"analyses": list(_analyses(at, step))} if step.get("analyses") else {}),
            **({} if deadline is None else {"progressDeadlineSeconds": deadline}),
            **{field: step[field] for field in copied if step.get(field) is not None},
        },
    }


def _template(at: Situation, given: Json) -> dict[str, Any]:
    """The pods of one side once more, with labels and annotations of their own; a weight needs a Service to carry it."""
    source, extra = _source(at, given), given.get("metadata") or {}
    pod, metadata = _pods_of(source)
    for kind in ("labels", "annotations"):
        if extra.get(kind):
            metadata[kind] = {**(metadata.get(kind) or {}), **extra[kind]}
    own = {**(at.spec.selector.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: source.hash if source else ""}
    selector = given.get("selector") or {**at.spec.selector, "matchLabels": own}
    labels = {**(selector.get("matchLabels") or {}), **(extra.get("labels") or {})}
    service = given.get("service")
    has_service = service is not None or given.get("weight") is not None
    return {
        "name": given.get("name"),
        **({} if given.get("replicas") is None else {"replicas": given["replicas"]}),
        **({"minReadySeconds": at.spec.min_ready_seconds} if at.spec.min_ready_seconds else {}),
        "selector": {**selector, "matchLabels": labels},
        "template": {**pod, "metadata": metadata},
        **({"service": dict(service or {})} if has_service else {}),
    }


def _pods_of(source: ReplicaSet | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template, and its metadata: without what the controller has put in for the part that this version plays in the canary."""
    if source is None or not source.template:
        return {}, {}
    pod = as_written(source.template, ephemeral=source.put_in)
    metadata, former = dict(pod["metadata"]), (source.template.get("metadata") or {}).get("labels") or {}
    if keys.POD_TEMPLATE_HASH in former:  # its ReplicaSet is found by it
        metadata["labels"] = {**(metadata.get("labels") or {}), keys.POD_TEMPLATE_HASH: former[keys.POD_TEMPLATE_HASH]}
    return pod, metadata


def _source(at: Situation, given: Json) -> ReplicaSet | None:
    return at.roles.stable if given.get("specRef") == "stable" else at.roles.new


def _can_copy(at: Situation, use: InUse) -> bool:
    sources = [_source(at, each) for each in use.step.get("templates") or ()]
    return all(each is not None and each.template for each in sources)


def _analyses(at: Situation, step: Json) -> Iterator[dict[str, Any]]:
    hashes = {"Stable": at.progress.stable_hash, "Latest": at.progress.current_hash}
    for each in step.get("analyses") or ():
        resolved = [argument(one, manifest=at.seen.manifest, hashes=hashes) for one in each.get("args") or ()]
        yield {**each, **({"args": [one for one in resolved if one["value"] is not None]} if resolved else {})}


def _problem(at: Situation, use: InUse) -> str:
    """What will never get right by waiting. A stable version that somebody deleted is not coming back (the peer waits for it)."""
    copies_stable = any(each.get("specRef") == "stable" for each in use.step.get("templates") or ())
    if copies_stable and at.roles.stable is None and at.roles.new is not None and at.roles.new.settled:
        return f"the stable ReplicaSet {at.seen.name}-{at.progress.stable_hash}, whose template it copies, does not exist"
    try:
        list(_analyses(at, use.step))
    except ArgumentError as error:
        return str(error)
    return ""
