"""Ambassador (Emissary): beside each Mapping a canary Mapping of ours that carries the weight (`argo-behaviour.md` 9.7).

The Mapping that is named has no weight and gets what the canary's leaves; it is only read. The canary's is made with its first
share and controlled by the Rollout. Without a share it stays, at weight 0: the peer deletes it after five seconds of sleep, in
which requests under way may end; here they may end for as long as they like, and the fence is not deleted along with it.

Emissary gives a Mapping without weight what the others of its group leave of 100, and one that is alone in its group everything,
whatever its weight (`normalize_weights_in_mappings`). So an abort takes the canary Mapping away where the one beside it is gone.
The versions v1, v2 and v3alpha1 are one object, which its webhook converts; v2, the peer's default, is what is written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from tidegate.kube.kinds import MAPPING, Object
from tidegate.messages import Record, RouterReport, Split
from tidegate_shifter.changes import Change, carry_out, named, report
from tidegate_shifter.owned import controller_reference, is_controlled_by
from tidegate_shifter.router import Ask, Feature, Owner, Refused
from tidegate_shifter.writing import Api, Target, Written, read

NAME: Final = "ambassador"
LONGEST_PREFIX: Final = 246


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A Mapping, as it is now, and the canary Mapping beside it."""

    owner: Owner
    split: Split
    base: Target
    found: Object | None

    @property
    def canary(self) -> Target:
        return Target(MAPPING, self.base.namespace, f"{self.base.name[:LONGEST_PREFIX]}-canary")


def patched(manifest: Object | None, pair: Pair) -> Object | None:
    """The canary Mapping with this split; the same again when applied to its own result. None while it was never needed."""
    weight = pair.split.canary.weight
    if manifest is None and not weight:
        return None
    if manifest is not None and not weight and is_controlled_by(manifest, pair.owner):
        return {**manifest, "spec": {**manifest["spec"], "weight": 0}} if pair.found else None  # alone it would get all
    spec = canary_spec(pair)
    if manifest is not None and not _is_ours(manifest, spec["service"], pair):
        raise Refused(f"{pair.canary} belongs to somebody else; it must be renamed or removed")
    metadata = {"namespace": pair.canary.namespace, "name": pair.canary.name} if manifest is None else manifest["metadata"]
    references = metadata.get("ownerReferences") or [controller_reference(pair.owner)]
    return {**(manifest or {}), "metadata": {**metadata, "ownerReferences": references}, "spec": {**spec, "weight": weight}}


def canary_spec(pair: Pair) -> Object:
    base, split, name = pair.found, pair.split, pair.base.name
    if base is None:
        raise _refused("AmbassadorMappingNotFound", f'Ambassador mapping "{name}" not found', f"{pair.base} does not exist")
    if base["spec"].get("weight"):
        told = f'Ambassador mapping "{name}" can not define weight'
        raise _refused("AmbassadorMappingConfigError", told, told)
    service = base["spec"].get("service") or ""
    stable = re.compile(rf"(?<![\w-]){re.escape(split.stable.service or '')}(?![\w-])")
    if not stable.search(service):
        raise Refused(f"{pair.base} leads to {service!r}; it must lead to the stable Service {split.stable.service!r}")
    return {**base["spec"], "service": stable.sub(split.canary.service or "", service, count=1)}


def _is_ours(manifest: Object, service: str, pair: Pair) -> bool:
    """Controlled by the Rollout, or made by the peer, which leaves no owner on it."""
    owners = manifest["metadata"].get("ownerReferences")
    return is_controlled_by(manifest, pair.owner) or (not owners and manifest["spec"].get("service") == service)


def _refused(reason: str, told: str, text: str) -> Refused:
    return Refused(text, records=(Record(type="Warning", reason=reason, message=told),))


def canary_share(manifest: Object) -> int:
    return int(manifest["spec"].get("weight") or 0)


def records_of(written: Written, *, weight: int) -> list[Record]:
    if written.before is not None and canary_share(written.before) == weight:
        return []
    return [Record(reason="CanaryMappingWeightUpdate", message=f"Set canary mapping weight to {weight}")]


class Ambassador:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset()
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        changes = await self._changes(ask)
        await carry_out(self._kube, NAME, changes, ask)
        return await self.observed(ask)

    async def observed(self, ask: Ask) -> RouterReport:
        """A canary Mapping that is not there gives the canary nothing."""
        seen = [(change, await read(self._kube, change.target)) for change in await self._changes(ask)]
        return report(NAME, [(change, manifest or {"spec": {}}) for change, manifest in seen], ask)

    async def _changes(self, ask: Ask) -> list[Change]:
        mappings = ask.config.get("mappings")
        if not isinstance(mappings, list) or not mappings:
            raise Refused(f"{NAME}: must provide at least one mapping; mappings is {mappings!r}", lasting=True)
        return [await self._change(Target(MAPPING, ask.owner.namespace, named(each, f"{NAME}: mapping")), ask) for each in mappings]

    async def _change(self, base: Target, ask: Ask) -> Change:
        pair = Pair(owner=ask.owner, split=ask.split, base=base, found=await read(self._kube, base))
        records = partial(records_of, weight=ask.split.canary.weight)
        return Change(target=pair.canary, wanted=partial(patched, pair=pair), share=canary_share, records=records)
