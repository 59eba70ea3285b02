"""What each lifecycle verb writes, exactly as the peer's own plugin writes it (`argo-behaviour.md` 6.1). Pure.

Both controllers understand these patches, so a cluster can be steered with either CLI. They need no bus: the way out of a bad
rollout must stay open when messaging is what broke.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.durations import rfc3339
from tidegate.errors import TidegateError
from tidegate.keys import EPHEMERAL_METADATA
from tidegate.kube.kinds import ANALYSIS_RUN, DEPLOYMENT, EXPERIMENT, POD_TEMPLATE, REPLICA_SET, ROLLOUT, Kind
from tidegate.podtemplate import as_written, same_template
from tidegate.rollout import revision_in

Object = Mapping[str, Any]


class Refused(TidegateError):  # noqa: N818 - reads as the fact it states
    """The verb cannot be carried out on what was found; the text says what was found and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePatch:
    """`subresource` "status" falls back to the object itself where a CRD was installed without it."""

    kind: Kind
    name: str
    body: Mapping[str, Any]
    subresource: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPatch:
    kind: Kind
    name: str
    operations: Sequence[Mapping[str, Any]]


Patch = MergePatch | JsonPatch
IMAGE_HOLDERS = ("containers", "initContainers", "ephemeralContainers")
WORKLOADS = {each.kind: each for each in (DEPLOYMENT, REPLICA_SET, POD_TEMPLATE)}


def promotion(rollout: Object) -> tuple[Patch, ...]:
    """Past a manual pause, then past the pause or whatever step is running. There is no separate resume."""
    status = rollout.get("status") or {}
    status_body: Mapping[str, Any] | None = None
    steps = ((rollout["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or ()
    next_step = min(int(status.get("currentStepIndex") or 0) + 1, len(steps))
    if _waits_on_inconclusive(status):
        status_body = {"pauseConditions": None, "controllerPause": False, "currentStepIndex": next_step}
    elif status.get("pauseConditions"):
        status_body = {"pauseConditions": None}
    elif steps:
        status_body = {"pauseConditions": None, "currentStepIndex": next_step}
    return (*_unpause(rollout), *_status(rollout, status_body))


def full_promotion(rollout: Object) -> tuple[Patch, ...]:
    """Skip every step left; nothing to skip once the new revision is the stable one."""
    status = rollout.get("status") or {}
    promoted = status.get("currentPodHash") == status.get("stableRS")
    return (*_unpause(rollout), *_status(rollout, None if promoted else {"promoteFull": True}))


def abortion(rollout: Object) -> tuple[Patch, ...]:
    return _status(rollout, {"abort": True})


def retrial(rollout: Object) -> tuple[Patch, ...]:
    return _status(rollout, {"abort": False})


def experiment_retrial(experiment: Object) -> tuple[Patch, ...]:
    """Experiments have no status subresource (`argo-behaviour.md` 1.1): the whole status goes, and they start anew."""
    return (MergePatch(kind=EXPERIMENT, name=experiment["metadata"]["name"], body={"status": None}),)


def pausing(rollout: Object) -> tuple[Patch, ...]:
    return (_merge(rollout, {"spec": {"paused": True}}),)


def restarting(rollout: Object, *, at: datetime) -> tuple[Patch, ...]:
    return (_merge(rollout, {"spec": {"restartAt": rfc3339(at)}}),)


def termination(kind: Kind, name: str) -> tuple[Patch, ...]:
    if kind not in (ANALYSIS_RUN, EXPERIMENT):
        raise Refused(f"a {kind.kind} cannot be terminated; only an AnalysisRun or an Experiment can")
    return (MergePatch(kind=kind, name=name, body={"spec": {"terminate": True}}),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """`patches` are empty where the template already is that revision's."""

    revision: int
    patches: tuple[Patch, ...]


def undoing(rollout: Object, replica_sets: Iterable[Object], *, to_revision: int, workload: Object | None = None) -> Undoing:
    """Back to the template of a revision's ReplicaSet; revision 0 is the one before the newest."""
    source = _revision(rollout, replica_sets, to_revision)
    ephemeral = _ephemeral(source)
    template = as_written(source["spec"]["template"], ephemeral=ephemeral)
    holder, kind = (rollout, ROLLOUT) if workload is None else (workload, workload_kind(rollout))
    path, current = _template_in(holder, kind)
    if same_template(current, template, ephemeral=ephemeral):
        return Undoing(revision=revision_of(source), patches=())
    operations = ({"op": "replace", "path": path, "value": template},)
    patch = JsonPatch(kind=kind, name=holder["metadata"]["name"], operations=operations)
    return Undoing(revision=revision_of(source), patches=(patch,))


def new_images(holder: Object, kind: Kind, images: Mapping[str, str]) -> tuple[Patch, ...]:
    """Containers of every sort by name, "*" for all of them. Tests guard the places, so a concurrent edit is met, not undone."""
    path_to_template, template = _template_in(holder, kind)
    spec = template["spec"]
    places = [(field, at, each) for field in IMAGE_HOLDERS for at, each in enumerate(spec.get(field) or ())]
    _refuse_unknown({each["name"] for _, _, each in places}, images)
    operations: list[Mapping[str, Any]] = []
    for field, at, container in places:
        image = images.get(container["name"], images.get("*"))
        if image is not None and image != container.get("image"):
            path = f"{path_to_template}/spec/{field}/{at}"
            operations.append({"op": "test", "path": f"{path}/name", "value": container["name"]})
            operations.append({"op": "add", "path": f"{path}/image", "value": image})
    return (JsonPatch(kind=kind, name=holder["metadata"]["name"], operations=operations),) if operations else ()


def workload_kind(rollout: Object) -> Kind:
    """The kind `spec.workloadRef` names."""
    kind = rollout["spec"]["workloadRef"].get("kind")
    if kind not in WORKLOADS:
        raise Refused(f"spec.workloadRef.kind is {kind!r}; it must be one of {', '.join(WORKLOADS)}")
    return WORKLOADS[kind]


def parsed_images(words: Iterable[str]) -> dict[str, str]:
    """`demo-app=argoproj/rollouts-demo:yellow` ..."""
    images = {}
    for word in words:
        container, equals, image = word.partition("=")
        if not (container and equals and image):
            raise Refused(f"{word!r} is not CONTAINER=IMAGE, such as web=nginx:1.29 (or '*=nginx:1.29' for every container)")
        images[container] = image
    return images


def _refuse_unknown(known: set[str], images: Mapping[str, str]) -> None:
    for container in images:
        if container != "*" and container not in known:
            raise Refused(f'unable to find container named "{container}"; there are: {", ".join(sorted(known)) or "none"}')


def _waits_on_inconclusive(status: Object) -> bool:
    run = (status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}
    return run.get("status") == "Inconclusive" and bool(status.get("pauseConditions")) and bool(status.get("controllerPause"))


def _unpause(rollout: Object) -> tuple[Patch, ...]:
    return (_merge(rollout, {"spec": {"paused": False}}),) if rollout["spec"].get("paused") else ()


def _merge(rollout: Object, body: Mapping[str, Any]) -> MergePatch:
    return MergePatch(kind=ROLLOUT, name=rollout["metadata"]["name"], body=body)


def _status(rollout: Object, status: Mapping[str, Any] | None) -> tuple[Patch, ...]:
    if status is None:
        return ()
    return (MergePatch(kind=ROLLOUT, name=rollout["metadata"]["name"], body={"status": status}, subresource="status"),)


def _revision(rollout: Object, replica_sets: Iterable[Object], number: int) -> Object:
    name = rollout["metadata"]["name"]
    history = sorted((each for each in replica_sets if _owned_by(rollout, each)), key=revision_of, reverse=True)
    if number == 0:
        if len(history) < 2:
            raise Refused(f'no revision found for rollout "{name}"')
        return history[1]
    found = next((each for each in history if revision_of(each) == number), None)
    if found is None:
        known = ", ".join(str(revision_of(each)) for each in history)
        raise Refused(f"unable to find specified revision {number} in history; there are: {known or 'none'}")
    return found


def _template_in(holder: Object, kind: Kind) -> tuple[str, Object]:
    """Where a pod template stands in its holder, and the template."""
    if kind == POD_TEMPLATE:
        return "/template", holder.get("template") or {}
    return "/spec/template", (holder.get("spec") or {}).get("template") or {}


def _ephemeral(replica_set: Object) -> Object:
    """What `canaryMetadata` and its like have put on top of the template; none where the record cannot be read."""
    text = (replica_set["metadata"].get("annotations") or {}).get(EPHEMERAL_METADATA)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _owned_by(rollout: Object, replica_set: Object) -> bool:
    owners = replica_set["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == rollout["metadata"].get("uid") for owner in owners)


def revision_of(replica_set: Object) -> int:
    return revision_in(replica_set["metadata"].get("annotations") or {})
