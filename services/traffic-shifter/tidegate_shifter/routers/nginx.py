"""NGINX Ingress: beside each stable Ingress a canary Ingress of ours, whose annotations carry the weight (`argo-behaviour.md` 9.1).

The stable Ingress is only read. The canary Ingress is controlled by the Rollout and stays, at weight 0, between updates. What
others annotate there is kept; a rule without paths, or a path to something other than a Service, is simply not ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.kinds import INGRESS, Object
from tidegate.messages import Record, RouterReport, Split
from tidegate_shifter.changes import Change, carry_out, look, one_or_several
from tidegate_shifter.fence import annotation_of
from tidegate_shifter.owned import controller_reference, is_controlled_by
from tidegate_shifter.router import Ask, Feature, Owner, Refused
from tidegate_shifter.writing import Api, Target, Written, read

NAME: Final = "nginx"
PREFIX: Final = "nginx.ingress.kubernetes.io"
CLASS: Final = "kubernetes.io/ingress.class"
LONGEST_NAME: Final = 253
SUFFIX: Final = "-canary"
DEFAULT_TOTAL: Final = 100
"""What the controller takes for all, where no annotation says otherwise."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A stable Ingress, as it is now, and the canary Ingress beside it."""

    owner: Owner
    split: Split
    config: Json
    stable: Target
    found: Object | None

    @property
    def canary(self) -> Target:
        prefix = f"{self.owner.name}-{self.stable.name}"[: LONGEST_NAME - len(SUFFIX)]
        return Target(INGRESS, self.owner.namespace, prefix + SUFFIX)

    @property
    def prefix(self) -> str:
        return self.config.get("annotationPrefix") or PREFIX


def patched(manifest: Object | None, pair: Pair) -> Object:
    """The canary Ingress with this split; the same again when applied to its own result."""
    stable = pair.found
    if stable is None:
        raise Refused(f"{pair.stable} does not exist; rollout {pair.owner} sends its traffic through it")
    rules = [canary_rule(rule, pair.split) for rule in stable["spec"].get("rules") or () if _leads_to_stable(rule, pair.split)]
    if not rules:
        raise Refused(f"ingress `{pair.stable.name}` has no rules using service {pair.split.stable.service} backend")
    if manifest is not None and not is_controlled_by(manifest, pair.owner):
        raise Refused(
            f"canary ingress `{pair.canary.name}` controlled by different object; {pair.canary} must be renamed or removed"
        )
    old = manifest or new_ingress(pair)
    spec = {key: value for key, value in (old.get("spec") or {}).items() if key != "tls"} | {"rules": rules}
    spec |= {key: stable["spec"][key] for key in ("tls", "ingressClassName") if stable["spec"].get(key)}
    held = old["metadata"].get("annotations") or {}
    return {**old, "metadata": {**old["metadata"], "annotations": held | annotations(held, pair)}, "spec": spec}


def new_ingress(pair: Pair) -> Object:
    target, references = pair.canary, [controller_reference(pair.owner)]
    return {"metadata": {"namespace": target.namespace, "name": target.name, "ownerReferences": references}}


def annotations(held: Mapping[str, str], pair: Pair) -> dict[str, str]:
    """Ours, of which the last three win over whatever the configuration says of them."""
    prefix, config, split = pair.prefix, pair.config, pair.split
    ingress_class = annotation_of(pair.found or {}, CLASS)
    wanted = {CLASS: ingress_class} if ingress_class else {}
    for key, text in (config.get("additionalIngressAnnotations") or {}).items():
        wanted[key if key.startswith(f"{prefix}/") else f"{prefix}/{key}"] = text
    wanted |= config.get("canaryIngressAnnotations") or {}
    wanted |= {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(split.canary.weight)}
    total = f"{prefix}/canary-weight-total"
    if split.max_weight != DEFAULT_TOTAL or (total in held and total not in wanted):
        wanted[total] = str(split.max_weight)
    return wanted


def canary_rule(rule: Json, split: Split) -> Json:
    paths = [_canary_path(path, split) for path in rule["http"]["paths"]]
    return {**rule, "http": {**rule["http"], "paths": paths}}


def _canary_path(path: Json, split: Split) -> Json:
    if _service_of(path) != split.stable.service:
        return path
    return {**path, "backend": {**path["backend"], "service": {**path["backend"]["service"], "name": split.canary.service}}}


def _leads_to_stable(rule: Json, split: Split) -> bool:
    return any(_service_of(path) == split.stable.service for path in (rule.get("http") or {}).get("paths") or ())


def _service_of(path: Json) -> str | None:
    service: str | None = ((path.get("backend") or {}).get("service") or {}).get("name")
    return service


def canary_share(manifest: Object, pair: Pair) -> int:
    weight = annotation_of(manifest, f"{pair.prefix}/canary-weight") or ""
    return int(weight) if weight.isascii() and weight.isdigit() else 0


def records_of(written: Written, pair: Pair) -> list[Record]:
    name, weight = pair.canary.name, pair.split.canary.weight
    if written.before is None:
        return [Record(reason="CreatingCanaryIngress", message=f"Creating canary ingress `{name}` with weight `{weight}`")]
    return [Record(reason="PatchingCanaryIngress", message=f"Updating Ingress `{name}` to desiredWeight '{weight}'")]


class Nginx:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.MAX_WEIGHT, Feature.STICKINESS})
    remarks: ClassVar[Mapping[Feature, str]] = {Feature.STICKINESS: "`affinity` by `additionalIngressAnnotations`"}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        return await carry_out(self._kube, NAME, await self._changes(ask), ask)

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, await self._changes(ask), ask)

    async def _changes(self, ask: Ask) -> list[Change]:
        config = ask.config
        names = one_or_several(
            config.get("stableIngress"), config.get("stableIngresses"), what=f"{NAME}: stableIngress, stableIngresses"
        )
        return [await self._change(Target(INGRESS, ask.owner.namespace, name), ask) for name in names]

    async def _change(self, stable: Target, ask: Ask) -> Change:
        pair = Pair(owner=ask.owner, split=ask.split, config=ask.config, stable=stable, found=await read(self._kube, stable))
        return Change(
            target=pair.canary,
            wanted=partial(patched, pair=pair),
            share=partial(canary_share, pair=pair),
            records=partial(records_of, pair=pair),
        )
