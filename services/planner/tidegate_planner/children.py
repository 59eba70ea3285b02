"""The ReplicaSets a rollout should have in this pass, as actions (`argo-behaviour.md` 2.3, 2.5, 3.5).

Rule of this file: pure. Sizes come from `replicas`; here they become a create, a scale or a delete, in the order stable, new,
older: the side that is known to work grows first.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate import keys
from tidegate.durations import epoch, rfc3339
from tidegate_planner import routing
from tidegate_planner.analysis import owner_reference
from tidegate_planner.plan import Action, AnnotateRollout, CreateReplicaSet, DeleteReplicaSet, ScaleReplicaSet
from tidegate_planner.replicas import next_counts, next_older_counts, weight_to_replicas
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation, next_revision
from tidegate_planner.targets import canary_scale, desired_counts, desired_weight

DEFAULT_SCALE_DOWN_DELAY = 30
NOT_COPIED = frozenset({keys.LAST_APPLIED, keys.REVISION, keys.REVISION_HISTORY, keys.DESIRED_REPLICAS, keys.NOTIFIED})

Sizes = Mapping[str, int]
"""ReplicaSet hash -> replicas wanted now."""


def replica_set_actions(at: Situation) -> list[Action]:
    """Everything to do to ReplicaSets and to the revision on the Rollout in this pass."""
    others = [each for each in at.roles.everyone if each is not at.roles.new]
    revision = next_revision(at.roles.new, others)
    actions: list[Action] = []
    if at.seen.annotations.get(keys.REVISION) != str(revision):
        actions.append(AnnotateRollout(annotations={keys.REVISION: str(revision)}))
    sizes = wanted_sizes(at)
    deadlines = _deadline_changes(at, sizes)
    for each in _stable_first(at):
        change = _change(at, each, sizes[each.hash], revision, deadlines)
        actions += [change] if change else []
    if at.roles.new is None:
        manifest = new_manifest(at, replicas=sizes[at.progress.current_hash], revision=revision)
        actions.append(CreateReplicaSet(hash=at.progress.current_hash, manifest=manifest))
    return [*actions, *_outdated(at)]


def wanted_sizes(at: Situation) -> dict[str, int]:
    """What each ReplicaSet is scaled to in this pass. Nothing scales while `spec.paused` or after an inconclusive run."""
    progress, roles = at.progress, at.roles
    sizes = {each.hash: each.replicas for each in roles.everyone}
    sizes.setdefault(progress.current_hash, 0)
    if at.spec.paused or progress.inconclusive:
        return sizes
    return _routed_sizes(at, sizes) if at.canary.traffic_routing else _basic_sizes(at, sizes)


def _basic_sizes(at: Situation, sizes: dict[str, int]) -> dict[str, int]:
    """Without routing: as far as the budget allows with the pods that serve now.

    One side moves, then the other is counted again, as in the peer's separate passes: 4 pods, weight 50, surge 1 give stable
    4 -> 3 and then the canary 0 -> 2 in one write, where a single count would stop at 1 and write twice.
    """
    roles, older = at.roles, [each.count for each in at.roles.older]
    same = roles.stable is None or roles.stable is roles.new
    stable = None if same or roles.stable is None else roles.stable.count
    canary = at.new_count
    refused = roles.new is None and at.progress.current_hash in at.seen.create_errors
    weight = 0 if refused else desired_weight(at.progress, at.canary)
    for _ in range(2):
        grown, kept = next_counts(
            replicas=at.spec.replicas,
            weight=weight,
            budget=at.budget,
            stable=stable,
            canary=canary,
            older=older,
            max_weight=at.canary.max_weight,
            same=same,
        )
        if stable is not None and kept != stable.spec:
            stable = replace(stable, spec=kept)
        else:
            canary = replace(canary, spec=grown)
    if roles.stable is not None and stable is not None:
        sizes[roles.stable.hash] = stable.spec
    sizes[at.progress.current_hash] = canary.spec
    shrunk = next_older_counts(replicas=at.spec.replicas, budget=at.budget, stable=stable, canary=canary, older=older)
    sizes.update((each.hash, count) for each, count in zip(roles.older, shrunk, strict=True))
    return sizes


def _routed_sizes(at: Situation, sizes: dict[str, int]) -> dict[str, int]:
    """With routing pods follow the plan, not the surge; what is no longer wanted waits for its deadline (3.5).

    None goes below what its traffic takes.
    """
    roles, progress = at.roles, at.progress
    canary, stable = desired_counts(at)
    if roles.stable is not None and roles.stable is not roles.new and stable is not None:
        sizes[roles.stable.hash] = stable
    if not (progress.abort and _keeps_aborted(at)):
        sizes[progress.current_hash] = canary
    for each in roles.older:
        sizes[each.hash] = each.replicas if _lingers(at, each) else 0
    for each in roles.everyone:
        sizes[each.hash] = max(sizes[each.hash], min(each.replicas, _carried(at, each)))
    return sizes


def _carried(at: Situation, each: ReplicaSet) -> int:
    """The pods that a set needs for the traffic it may be getting now; unknown until the data plane is seen to have moved (N15).

    Pods asked for by number (`setCanaryScale`) may be fewer than that, but not none (N22).
    """
    if not routing.settled(at):
        return at.spec.replicas
    side = routing.canary_side(at)
    if each is not side.behind or side.weight == 0 or each is at.roles.stable:
        return 0
    scale = canary_scale(at.progress, at.canary)
    if scale is not None and scale.replicas is not None:
        return 1
    return weight_to_replicas(weight=side.weight, replicas=at.spec.replicas, max_weight=at.canary.max_weight)


def _keeps_aborted(at: Situation) -> bool:
    """After an abort the canary stays until its deadline, so that connections to it can end (default 30 s; 0 keeps it for good)."""
    new, delay = at.roles.new, at.canary.abort_scale_down_delay
    if new is None or new.replicas == 0 or (at.canary.dynamic_stable_scale and delay is None):
        return False
    if delay == 0:
        return True
    deadline = new.scale_down_deadline
    return deadline is None or at.now < epoch(deadline)


def _lingers(at: Situation, older: ReplicaSet) -> bool:
    """Whether an old ReplicaSet keeps its pods: it is fully replaced and its scale-down delay runs, or is yet to start."""
    if older.replicas == 0 or at.canary.dynamic_stable_scale or _over_revision_limit(at, older):
        return False
    if older.scale_down_deadline is not None:
        return at.now < epoch(older.scale_down_deadline)
    return at.progress.fully_promoted and _scale_down_delay(at) > 0


def _over_revision_limit(at: Situation, older: ReplicaSet) -> bool:
    lingering = [each for each in at.roles.older if each.replicas > 0]
    return lingering.index(older) >= at.canary.scale_down_delay_revisions


def _scale_down_delay(at: Situation) -> int:
    delay = at.canary.scale_down_delay
    return DEFAULT_SCALE_DOWN_DELAY if delay is None else delay


def _deadline_changes(at: Situation, sizes: Sizes) -> dict[str, str | None]:
    """Changes of the `scale-down-deadline` annotation: hash -> new value, None to remove it."""
    changes: dict[str, str | None] = {}
    roles, progress = at.roles, at.progress
    for each in (roles.new, roles.stable):
        if each is not None and each.scale_down_deadline and not (each is roles.new and progress.abort):
            changes[each.hash] = None
    if not at.canary.traffic_routing:
        return changes
    for each in roles.older:
        if each.scale_down_deadline and sizes[each.hash] == 0:
            changes[each.hash] = None
        elif each.scale_down_deadline is None and sizes[each.hash] > 0 and progress.fully_promoted:
            changes[each.hash] = rfc3339(at.now + _scale_down_delay(at))
    new, delay = roles.new, at.canary.abort_scale_down_delay
    waits = progress.abort and delay != 0 and _keeps_aborted(at)
    covered = roles.stable is not None and roles.stable.available >= at.spec.replicas
    if waits and covered and new is not None and new.scale_down_deadline is None:
        changes[new.hash] = rfc3339(at.now + (DEFAULT_SCALE_DOWN_DELAY if delay is None else delay))
    return changes


def next_deadline(at: Situation) -> float | None:
    """When the next scale-down delay is over, in seconds since 1970."""
    deadlines = (each.scale_down_deadline for each in at.roles.everyone if each.replicas > 0)
    return min((epoch(deadline) for deadline in deadlines if deadline), default=None)


def _stable_first(at: Situation) -> list[ReplicaSet]:
    """Each once: stable, new, then the older ones."""
    ordered = (at.roles.stable, at.roles.new, *at.roles.older)
    return list({each.name: each for each in ordered if each is not None}.values())


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
    if size == each.replicas and not annotations:
        return None
    return ScaleReplicaSet(name=each.name, hash=each.hash, before=each.replicas, after=size, annotations=annotations)


def new_manifest(at: Situation, *, replicas: int, revision: int) -> dict[str, Any]:
    """The ReplicaSet of the wanted template, with all it needs from the first moment (2.3)."""
    seen, spec, hash_label = at.seen, at.spec, at.progress.current_hash
    template = dict(spec.template)
    metadata = dict(template.get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), keys.POD_TEMPLATE_HASH: hash_label}
    template["metadata"] = {**metadata, "labels": labels}
    selector = {**spec.selector, "matchLabels": {**(spec.selector.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: hash_label}}
    copied = {key: value for key, value in seen.annotations.items() if key not in NOT_COPIED}
    manifest: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{seen.name}-{hash_label}",
            "namespace": seen.namespace,
            "labels": labels,
            "annotations": {**copied, keys.REVISION: str(revision), keys.DESIRED_REPLICAS: str(spec.replicas)},
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
