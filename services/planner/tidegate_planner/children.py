"""The ReplicaSets a rollout should have in this pass, as actions (`argo-behaviour.md` 2.3, 2.5, 3.5).

Rule of this file: pure. Sizes and deadlines come from the strategy; here they become a create, a scale or a delete, in the order
stable, new, older: the side that is known to work grows first.
"""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.rollout import Canary
from tidegate_planner import delays, injections, relapses
from tidegate_planner.analysis import owner_reference
from tidegate_planner.plan import Action, AnnotateRollout, CreateReplicaSet, DeleteReplicaSet, ScaleReplicaSet
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation
from tidegate_planner.strategies import strategy_of

NOT_COPIED = frozenset(
    {keys.LAST_APPLIED, keys.REVISION, keys.REVISION_HISTORY, keys.DESIRED_REPLICAS, keys.NOTIFIED, keys.COMMANDS}
)
"""What is about the Rollout alone; every other annotation of it stands on the ReplicaSet of the wanted template too (2.4)."""


def replica_set_actions(at: Situation) -> list[Action]:
    """Everything to do to ReplicaSets and to the annotations of the Rollout in this pass."""
    revision = at.revision
    actions: list[Action] = []
    wanted = {keys.REVISION: str(revision)}
    if at.seen.workload is not None:
        wanted[keys.WORKLOAD_GENERATION] = str(at.seen.workload.generation)
    missing = {key: value for key, value in wanted.items() if at.seen.annotations.get(key) != value}
    if missing:
        actions.append(AnnotateRollout(annotations=missing))
    actions += injections.template_changes(at)  # before any scaling: pods are born with what their version now needs
    sizes = wanted_sizes(at)
    deadlines = strategy_of(at).deadlines(at, sizes)
    changes = (_change(at, each, sizes[each.hash], revision, deadlines) for each in _stable_first(at))
    actions += _marks_first([change for change in changes if change is not None])
    if at.roles.new is None:
        manifest = new_manifest(at, replicas=sizes[at.progress.current_hash], revision=revision)
        actions.append(CreateReplicaSet(hash=at.progress.current_hash, manifest=manifest))
    return [*actions, *_outdated(at)]


def wanted_sizes(at: Situation) -> dict[str, int]:
    """What each ReplicaSet is scaled to in this pass. No canary scales while `spec.paused` or after an inconclusive run: its sizes
    are its progress. In a blue-green update they are not, and an autoscaler's wish must reach the pods that users are on."""
    progress, roles = at.progress, at.roles
    sizes = {each.hash: each.replicas for each in roles.everyone}
    sizes.setdefault(progress.current_hash, 0)
    if isinstance(at.strategy, Canary) and (at.spec.paused or progress.inconclusive):
        return sizes
    return strategy_of(at).sizes(at, sizes)


def _stable_first(at: Situation) -> list[ReplicaSet]:
    """Each once: stable, new, then the older ones."""
    ordered = (at.roles.stable, at.roles.new, *at.roles.older)
    return list({each.name: each for each in ordered if each is not None}.values())


def _marks_first(changes: list[ScaleReplicaSet]) -> list[ScaleReplicaSet]:
    """What was never stable is known by revisions that the other changes change, and a planner may die in between."""
    return sorted(changes, key=lambda change: change.annotations.get(keys.NEVER_STABLE) is None)


def _change(
    at: Situation, each: ReplicaSet, size: int, revision: int, deadlines: Mapping[str, str | None]
) -> ScaleReplicaSet | None:
    """One write for size and annotations together, or None where all is as wanted."""
    annotations: dict[str, str | None] = {}
    if each is at.roles.new and each.revision != revision:
        annotations[keys.REVISION] = str(revision)
        if each.revision:
            history = each.annotations.get(keys.REVISION_HISTORY)
            annotations[keys.REVISION_HISTORY] = f"{history},{each.revision}" if history else str(each.revision)
    in_use = each is at.roles.new or each is at.roles.stable or size != each.replicas
    if in_use and each.annotations.get(keys.DESIRED_REPLICAS) != str(at.spec.replicas):
        annotations[keys.DESIRED_REPLICAS] = str(at.spec.replicas)
    if each.hash in deadlines:
        annotations[keys.SCALE_DOWN_DEADLINE] = deadlines[each.hash]
    annotations.update(delays.passed_over_changes(at, each))
    if injections.caught_up(at, each):
        annotations[keys.PODS_BEHIND] = None
    if each is at.roles.new:
        annotations.update({key: value for key, value in _copied(at).items() if each.annotations.get(key) != value})
        annotations.update(relapses.mark(at))
    edited = each is at.roles.new and each.min_ready != at.spec.min_ready_seconds  # others keep what they were rolled out with
    min_ready = at.spec.min_ready_seconds if edited else None
    if size == each.replicas and not annotations and not edited:
        return None
    return ScaleReplicaSet(
        name=each.name, hash=each.hash, before=each.replicas, after=size, annotations=annotations, min_ready=min_ready
    )


def _copied(at: Situation) -> dict[str, str]:
    return {key: value for key, value in at.seen.annotations.items() if key not in NOT_COPIED}


def new_manifest(at: Situation, *, replicas: int, revision: int) -> dict[str, Any]:
    """The ReplicaSet of the wanted template, with all it needs from the first moment (2.3)."""
    seen, spec, hash_label = at.seen, at.spec, at.progress.current_hash
    template = dict(spec.template)
    metadata = dict(template.get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), keys.POD_TEMPLATE_HASH: hash_label}
    template["metadata"] = {**metadata, "labels": labels}
    template, record = injections.injected(at, template)
    selector = {**spec.selector, "matchLabels": {**(spec.selector.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: hash_label}}
    manifest: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{seen.name}-{hash_label}",
            "namespace": seen.namespace,
            "labels": labels,
            "annotations": {**_copied(at), **record, keys.REVISION: str(revision), keys.DESIRED_REPLICAS: str(spec.replicas)},
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if spec.min_ready_seconds:
        manifest["spec"]["minReadySeconds"] = spec.min_ready_seconds
    return manifest


def _outdated(at: Situation) -> list[DeleteReplicaSet]:
    """Old ReplicaSets beyond `revisionHistoryLimit`, oldest first, once they are empty and their controller agrees (2.5)."""
    surplus = len(at.roles.older) - at.spec.revision_history_limit
    if surplus <= 0:
        return []
    oldest = sorted(at.roles.older, key=lambda each: (each.created, each.revision))[:surplus]
    empty = (each for each in oldest if each.replicas == 0 and each.current == 0 and each.settled and not each.deleting)
    return [DeleteReplicaSet(name=each.name, uid=each.uid, resource_version=each.resource_version) for each in empty]
