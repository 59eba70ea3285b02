"""One namespace with a cluster and a bus around it: what a person with kubectl and a delivery tool can do and see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.bus import Bus
from tidegate.keys import REVISION
from tidegate.kube.client import Kube
from tidegate.kube.kinds import (
    ANALYSIS_RUN,
    ANALYSIS_TEMPLATE,
    DEPLOYMENT,
    EVENT,
    EXPERIMENT,
    HTTP_ROUTE,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    Kind,
    Object,
)
from tidegate.messages import RequestAnswered, RolloutCommanded, RolloutRequested, Verb
from tidegate.testing.manifests import CONTAINER
from tidegate.testing.outcomes import Outcomes
from tidegate.testing.waiting import PATIENCE, eventually

KINDS: dict[str, Kind] = {
    each.kind: each for each in (ROLLOUT, SERVICE, HTTP_ROUTE, ANALYSIS_TEMPLATE, ANALYSIS_RUN, DEPLOYMENT, EXPERIMENT)
}
ANSWER_SECONDS = 300.0
FIELD_MANAGER = "kubectl"

Condition = Callable[[Object], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    kube: Kube
    bus: Bus
    namespace: str
    outcomes: Outcomes

    async def apply(self, *manifests: Object) -> None:
        """As `kubectl apply --server-side` would."""
        for manifest in manifests:
            there = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
            await self.kube.apply(KINDS[manifest["kind"]], there, field_manager=FIELD_MANAGER)

    async def patch(self, name: str, patch: Object, *, subresource: str | None = None) -> Object:
        return await self.kube.merge_patch(ROLLOUT, self.namespace, name, patch, subresource=subresource)

    async def set_image(self, name: str, image: str) -> Object:
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
        return await self.kube.json_patch(ROLLOUT, self.namespace, name, [operation])

    async def request(self, name: str, *, requested_by: str = "", correlation: str = "", **change: Any) -> RequestAnswered:
        """`rollout.requested` and its answer."""
        request = RolloutRequested(namespace=self.namespace, name=name, **change)
        return await self.bus.request(request, timeout=ANSWER_SECONDS, requested_by=requested_by, correlation=correlation)

    async def request_image(self, name: str, image: str, *, container: str = CONTAINER) -> RequestAnswered:
        return await self.request(name, images={container: image})

    async def command(self, name: str, verb: Verb, *, revision: int | None = None) -> RequestAnswered:
        command = RolloutCommanded(namespace=self.namespace, name=name, verb=verb, revision=revision)
        return await self.bus.request(command, timeout=ANSWER_SECONDS)

    async def rollout(self, name: str) -> Object:
        return await self.kube.get(ROLLOUT, self.namespace, name)

    async def until(self, name: str, condition: Condition, *, what: str = "", patience: float = PATIENCE) -> Object:
        """The rollout once the condition holds."""
        what = f"{self.namespace}/{name}: {what or getattr(condition, '__name__', 'a condition')}"
        return await eventually(lambda: self.rollout(name), condition, what=what, patience=patience)

    async def until_told(self, name: str, verb: str, *, revision: int | None = None, patience: float = PATIENCE) -> None:
        """Until the listener was given this outcome."""

        async def verbs() -> list[str]:
            return [told.outcome.verb for told in self.outcomes.of(self.namespace, name, revision=revision)]

        await eventually(verbs, lambda seen: verb in seen, what=f"the outcome {verb!r} of {name}", patience=patience)

    async def replica_sets(self, name: str) -> list[Object]:
        """Those of a rollout, by revision."""
        found, _ = await self.kube.list(REPLICA_SET, self.namespace)
        rollout = (ROLLOUT.kind, name)
        owners = ((each, each["metadata"].get("ownerReferences") or ()) for each in found)
        owned = [each for each, holders in owners if any((owner["kind"], owner["name"]) == rollout for owner in holders)]
        return sorted(owned, key=lambda each: int(each["metadata"]["annotations"][REVISION]))

    async def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the core Events about an object, oldest first."""
        found, _ = await self.kube.list(EVENT, self.namespace)
        about = [each for each in found if each["involvedObject"].get("name") == name]
        about.sort(key=lambda each: (each["firstTimestamp"] or "", int(each["metadata"]["resourceVersion"])))
        return [(each["reason"], each["message"]) for each in about]


def healthy_on(image: str) -> Condition:
    """Fully promoted, with this image."""

    def holds(rollout: Object) -> bool:
        status = rollout.get("status") or {}
        return (
            image_of(rollout) == image
            and status.get("phase") == "Healthy"
            and status.get("stableRS") == status.get("currentPodHash")
            and is_observed(rollout)
        )

    holds.__name__ = f"Healthy on {image}"
    return holds


def paused_at(step: int, *, image: str | None = None) -> Condition:
    def holds(rollout: Object) -> bool:
        status = rollout.get("status") or {}
        at_step = status.get("phase") == "Paused" and status.get("currentStepIndex") == step and bool(status.get("pauseConditions"))
        return at_step and image in (None, image_of(rollout)) and is_observed(rollout)

    holds.__name__ = f"Paused at step {step}"
    return holds


def degraded(reason: str) -> Condition:
    """Degraded with `reason` in its message."""

    def holds(rollout: Object) -> bool:
        status = rollout.get("status") or {}
        return status.get("phase") == "Degraded" and reason in (status.get("message") or "")

    holds.__name__ = f"Degraded, {reason}"
    return holds


def is_observed(rollout: Object) -> bool:
    """The status is of this spec, and not of the one before: an update that was asked for shows in the spec first."""
    generation: int = rollout["metadata"]["generation"]
    return int((rollout.get("status") or {}).get("observedGeneration") or 0) >= generation


def image_of(rollout: Object) -> str:
    image: str = rollout["spec"]["template"]["spec"]["containers"][0]["image"]
    return image
