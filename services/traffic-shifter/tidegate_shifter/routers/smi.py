"""Service Mesh Interface (Linkerd and others): a TrafficSplit of ours with the weights (`argo-behaviour.md` 9.4).

It is controlled by the Rollout and goes with it; one of the same name that is not is refused. The project is archived and meshes
serve different versions of it, so the first one served is taken, the peer's default first.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import Kind, Object
from tidegate.messages import Record, RouterReport
from tidegate_shifter.changes import Change, carry_out, look
from tidegate_shifter.easing import beside
from tidegate_shifter.owned import controller_reference, is_controlled_by
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, Written, read

NAME: Final = "smi"
GROUP: Final = "split.smi-spec.io"
VERSIONS: Final = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")


def patched(manifest: Object | None, *, target: Target, ask: Ask) -> Object:
    """The TrafficSplit with this split; the same again when applied to its own result."""
    if manifest is not None and not is_controlled_by(manifest, ask.owner):
        raise Refused(f"Rollout does not own TrafficSplit `{target.name}`; {target} must be renamed or removed")
    metadata = {"namespace": target.namespace, "name": target.name, "ownerReferences": [controller_reference(ask.owner)]}
    old = manifest or {"metadata": metadata, "spec": {}}
    root = ask.config.get("rootService") or ask.split.stable.service
    return {**old, "spec": {**old["spec"], "service": root, "backends": backends(target.kind, ask)}}


def backends(kind: Kind, ask: Ask) -> list[dict[str, Any]]:
    split = ask.split
    return [
        {"service": each.service, "weight": weight_in(kind, each.weight)}
        for each in (split.canary, *split.additional, split.stable)
    ]


def weight_in(kind: Kind, weight: int) -> str | int:
    """A quantity in the first version, a number ever since."""
    return str(weight) if kind.version == VERSIONS[0] else weight


def weights_in(manifest: Object) -> dict[str, int]:
    backends = (manifest.get("spec") or {}).get("backends") or ()
    return {each.get("service", ""): int(each.get("weight", 0)) for each in backends}


def canary_share(manifest: Object, *, ask: Ask) -> int:
    return weights_in(manifest).get(ask.split.canary.service or "", 0)


def records_of(written: Written) -> list[Record]:
    if written.before is not None or written.after is None:
        return []
    return [Record(reason="TrafficSplitCreated", message=f"TrafficSplit `{written.after['metadata']['name']}` created")]


class Smi:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.ADDITIONAL_DESTINATIONS})
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        return await carry_out(self._kube, NAME, [await self._change(ask)], ask)

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, [await self._change(ask)], ask)

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        return beside(ask.split, weights_in(await read(self._kube, await self._target(ask)) or {}))

    async def _change(self, ask: Ask) -> Change:
        target = await self._target(ask)
        wanted = partial(patched, target=target, ask=ask)
        return Change(target=target, wanted=wanted, share=partial(canary_share, ask=ask), records=records_of)

    async def _target(self, ask: Ask) -> Target:
        """In the version that the cluster serves; a split that is there says so at the price of no further request."""
        name = ask.config.get("trafficSplitName") or ask.owner.name
        kinds = [Kind(GROUP, version, "trafficsplits", "TrafficSplit") for version in VERSIONS]
        targets = [Target(kind, ask.owner.namespace, name) for kind in kinds]
        if await read(self._kube, targets[0]) is not None:
            return targets[0]
        for target in targets:
            try:
                await self._kube.list(target.kind, target.namespace)
            except NotFound:
                continue
            return target
        raise Refused(
            f"{GROUP} is not served by this cluster in any of {', '.join(VERSIONS)}; rollout {ask.owner} needs TrafficSplits"
        )
