"""What a controller puts into the pod templates of its ReplicaSets: labels and annotations for as long as a version plays a part
(`canaryMetadata` and its like, `argo-behaviour.md` 11.4), and a dislike of the other version's nodes (`antiAffinity`, 5.6).

Rule of this file: pure. A template changes without a restart: later pods are born with it, running ones get the metadata in place.
Until the last of them has it the ReplicaSet says so itself (`pods-behind`), so that no process has to live to the end of it.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from tidegate import keys
from tidegate.podtemplate import as_written, has_injected_affinity
from tidegate.rollout import Canary
from tidegate_planner.plan import Action, ChangeTemplate, ConfirmReplicaSet, PodName, RelabelPod
from tidegate_planner.seen import Pod, ReplicaSet, record_in
from tidegate_planner.situation import Situation

Json = Mapping[str, Any]
KINDS = ("labels", "annotations")
LOOK_AGAIN_AFTER = 1.0  # seconds after which pods that were brought up are looked at once more


# --- metadata ----------------------------------------------------------------------------------------------------------


def wanted_metadata(at: Situation, each: ReplicaSet | None) -> Json:
    """By the part that a ReplicaSet plays; `each` None is the new one that is still to be created."""
    new, stable = _roles_metadata(at)
    is_new = each is None or each is at.roles.new
    if is_new and not at.progress.fully_promoted:
        return new
    return stable if is_new or each is at.roles.stable else {}


def _roles_metadata(at: Situation) -> tuple[Json, Json]:
    strategy = at.strategy
    if isinstance(strategy, Canary):
        return _nothing_empty(strategy.canary_metadata), _nothing_empty(strategy.stable_metadata)
    return _nothing_empty(strategy.preview_metadata), _nothing_empty(strategy.active_metadata)


def _nothing_empty(metadata: Json) -> dict[str, dict[str, str]]:
    """As it is recorded: in one order, whatever the user's."""
    return {kind: dict(sorted(metadata[kind].items())) for kind in KINDS if metadata.get(kind)}


# --- templates ---------------------------------------------------------------------------------------------------------


def injected(at: Situation, template: Json) -> tuple[dict[str, Any], dict[str, str]]:
    """The template of a ReplicaSet that is to be created, and the annotations which record what was put in."""
    wanted, affinity = wanted_metadata(at, None), _affinity(at, template, is_new=True)
    changed = {**template, "metadata": _metadata(template, put_in={}, wanted=wanted, own={})}
    if affinity is not None:
        changed["spec"] = {**changed["spec"], "affinity": affinity}
    return changed, {keys.EPHEMERAL_METADATA: orjson.dumps(wanted).decode()} if wanted else {}


def template_changes(at: Situation) -> list[Action]:
    return [action for each in at.roles.everyone if not each.deleting for action in _template_change(at, each)]


def _template_change(at: Situation, each: ReplicaSet) -> list[Action]:
    put_in, wanted = each.put_in, wanted_metadata(at, each)
    template, is_new = each.template, each is at.roles.new
    if not template:
        return []  # nobody had a reason to look into it
    affinity = (template.get("spec") or {}).get("affinity")
    affinity_wanted = _affinity(at, template, is_new=is_new)
    if put_in == wanted and affinity == affinity_wanted:
        return []
    own = (at.spec.template.get("metadata") or {}) if is_new else {}
    annotations: dict[str, str | None] = {}
    if put_in != wanted:
        annotations[keys.EPHEMERAL_METADATA] = orjson.dumps(wanted).decode() if wanted else None
        if each.replicas or each.current:
            annotations[keys.PODS_BEHIND] = _behind(each, put_in)
    metadata = _metadata(template, put_in=put_in, wanted=wanted, own=own)
    change = ChangeTemplate(
        name=each.name, generation=each.generation, metadata=metadata, affinity=affinity_wanted, annotations=annotations
    )
    return [change]


def _metadata(template: Json, *, put_in: Json, wanted: Json, own: Json) -> dict[str, Any]:
    """`own`: the user's template, for keys that were covered by what is taken out now."""
    metadata = dict(template.get("metadata") or {})
    for kind in KINDS:
        former = put_in.get(kind) or {}
        kept = {key: value for key, value in (metadata.get(kind) or {}).items() if key not in former}
        restored = {key: value for key, value in (own.get(kind) or {}).items() if key in former}
        content = {**kept, **restored, **(wanted.get(kind) or {})}
        if content:
            metadata[kind] = content
        else:
            metadata.pop(kind, None)
    return metadata


def _affinity(at: Situation, template: Json, *, is_new: bool) -> Json | None:
    """With the term against the stable version's nodes while that is being replaced; without it on every other day."""
    spec = template.get("spec") or {}
    plain = (as_written(template)["spec"] if has_injected_affinity(template) else spec).get("affinity")
    asked = at.strategy.anti_affinity
    if not asked or not is_new or at.progress.fully_promoted or not at.progress.stable_hash:
        return plain if plain is None else dict(plain)
    ((kind, given),) = ((kind, given) for kind, given in asked.items() if given is not None)
    expression = {"key": keys.POD_TEMPLATE_HASH, "operator": "In", "values": [at.progress.stable_hash]}
    term = {
        "labelSelector": {"matchExpressions": [expression]},
        "namespaces": [at.seen.namespace],
        "topologyKey": "kubernetes.io/hostname",
    }
    entry = {"podAffinityTerm": term, "weight": given["weight"]} if kind.startswith("preferred") else term
    anti = dict((plain or {}).get("podAntiAffinity") or {})
    return {**(plain or {}), "podAntiAffinity": {**anti, kind: [*(anti.get(kind) or ()), entry]}}


# --- running pods ------------------------------------------------------------------------------------------------------


def _behind(each: ReplicaSet, put_in: Json) -> str:
    """The keys that some pod may still carry, over all changes that were not finished."""
    former = record_in(each.annotations, keys.PODS_BEHIND)
    touched = {kind: sorted({*(former.get(kind) or ()), *(put_in.get(kind) or {})}) for kind in KINDS}
    return orjson.dumps({kind: names for kind, names in touched.items() if names}).decode()


def pod_changes(at: Situation) -> list[Action]:
    """Of ReplicaSets whose templates stay as they are in this pass. Pods are listed anew, their ReplicaSet may be an old view: one
    that is not what it was any more would give them back what they were just freed of."""
    behind = (each for each in at.roles.everyone if keys.PODS_BEHIND in each.annotations and not _template_change(at, each))
    return [action for each in behind for action in _pod_changes(at, each)]


def _pod_changes(at: Situation, owner: ReplicaSet) -> list[Action]:
    lagging = (_pod_change(owner, pod) for pod in at.seen.pods or () if pod.owner == owner.uid and not pod.deleting)
    changes = [each for each in lagging if each is not None]
    return [ConfirmReplicaSet(name=owner.name, generation=owner.generation), *changes] if changes else []


def _pod_change(owner: ReplicaSet, pod: Pod) -> RelabelPod | None:
    """Each key that was put in, or taken out, gets the value that the ReplicaSet's template has for it."""
    touched, put_in, wanted = record_in(owner.annotations, keys.PODS_BEHIND), owner.put_in, owner.template.get("metadata") or {}
    changes: dict[str, dict[str, str | None]] = {}
    for kind, carried in (("labels", pod.labels), ("annotations", pod.annotations)):
        right = wanted.get(kind) or {}
        names = {*(touched.get(kind) or ()), *(put_in.get(kind) or {})}
        changes[kind] = {name: right.get(name) for name in sorted(names) if carried.get(name) != right.get(name)}
    if not any(changes.values()):
        return None
    return RelabelPod(pod=PodName(pod.name, pod.uid), labels=changes["labels"], annotations=changes["annotations"])


def caught_up(at: Situation, each: ReplicaSet) -> bool:
    """Whether all pods of a ReplicaSet were seen to be as its template says, so that the mark can go. Its controller must have seen
    that template: until then it may yet make a pod of the former one."""
    if at.seen.pods is None or keys.PODS_BEHIND not in each.annotations or not each.settled or _template_change(at, each):
        return False
    return not any(pod.owner == each.uid and _lags(each, pod) for pod in at.seen.pods)


def _lags(owner: ReplicaSet, pod: Pod) -> bool:
    return not pod.deleting and _pod_change(owner, pod) is not None


def next_look(at: Situation) -> float | None:
    behind = any(keys.PODS_BEHIND in each.annotations for each in at.roles.everyone)
    return at.now + LOOK_AGAIN_AFTER if behind else None
