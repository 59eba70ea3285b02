"""DestinationRules as they must be for a split (`argo-behaviour.md` 9.3). Pure: manifest in, manifest out.

The canary's and the stable's subset choose pods by hash. The peer drops every other subset; here they stay (N19), and only those
of experiments come and go, noted as added by us.

The rule is written before the VirtualServices and once more after them. `ahead` is the first time, when nothing may be taken away
that traffic still goes to: a canary that is to get nothing keeps its pods until then (its successor has none yet), and the
subset of an experiment stays. The stable's pods change at once: they are what all traffic is about to go to.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import Object
from tidegate.messages import Record, Split
from tidegate_shifter.added import added_by, with_added
from tidegate_shifter.fence import annotation_of, with_annotation
from tidegate_shifter.istio_routes import Context
from tidegate_shifter.router import Refused
from tidegate_shifter.writing import Written

Json = Mapping[str, Any]


def patched(manifest: Object | None, context: Context, *, ahead: bool) -> Object:
    """The rule with the split's hashes; the same again when applied to its own result."""
    name, names = context.target.name, context.subsets
    if manifest is None:
        gone = Record(type="Warning", reason="DestinationRuleNotFound", message=f"DestinationRule `{name}` not found")
        raise Refused(f"{context.target} does not exist; rollout {context.owner} tells its pods apart by it", records=(gone,))
    found = list(manifest["spec"].get("subsets") or ())
    held = {each.get("name") for each in found}
    if missing := [each for each in (names.canary, names.stable) if each not in held]:
        there = ", ".join(sorted(repr(each) for each in held)) or "none"
        raise Refused(f"{context.target} has no subset {missing[0]!r}; subsets are: {there}")
    split = context.split
    # What is on its way out is named without a hash (`easing.py`): its pods stay chosen until it is gone.
    wanted = {each.service or "": each.hash for each in split.additional if each.hash} | {names.stable: split.stable.hash}
    if not (ahead and _gives_nothing(split)):
        wanted[names.canary] = split.canary.hash
    added = added_by(context.owner, manifest)
    going = set() if ahead else added - set(wanted) - {each.service for each in split.additional}
    subsets = [chosen(each, wanted) for each in found if each.get("name") not in going]
    new = [each for each in wanted if each not in held]
    subsets += [{"name": each, "labels": {POD_TEMPLATE_HASH: wanted[each]}} for each in sorted(new)]
    result = {**manifest, "spec": {**manifest["spec"], "subsets": subsets}}
    managed = result if annotation_of(manifest, MANAGED_BY) else with_annotation(result, MANAGED_BY, context.owner.name)
    return with_added(managed, context.owner, (added | set(new)) - going)


def chosen(subset: Json, wanted: Mapping[str, str]) -> Json:
    """A subset that chooses pods of the hash; without one, those of every revision."""
    name = subset.get("name", "")
    if name not in wanted:
        return subset
    labels = {key: value for key, value in (subset.get("labels") or {}).items() if key != POD_TEMPLATE_HASH}
    return {**subset, "labels": labels | ({POD_TEMPLATE_HASH: wanted[name]} if wanted[name] else {})}


def _gives_nothing(split: Split) -> bool:
    return not (split.canary.weight or split.header_routes or split.mirror_routes)


def records_of(context: Context) -> Callable[[Written], list[Record]]:
    def records(written: Written) -> list[Record]:
        names = context.subsets
        hashes = {each.get("name"): (each.get("labels") or {}).get(POD_TEMPLATE_HASH, "") for each in _subsets(written.after)}
        if _subsets(written.before) == _subsets(written.after):
            return []
        pairs = ", ".join(f"{name}: {hashes.get(name, '')}" for name in (names.canary, names.stable))
        return [Record(reason="UpdatedDestinationRule", message=f"DestinationRule {context.target.name} subset updated ({pairs})")]

    return records


def _subsets(manifest: Object | None) -> list[Json]:
    return list(((manifest or {}).get("spec") or {}).get("subsets") or ())
