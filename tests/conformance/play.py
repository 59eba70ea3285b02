"""What the person in a scenario does with kubectl and the plugin, and what he waits for."""

import asyncio
from collections.abc import Callable
from typing import Any

from recording import FOREIGN, WATCHED, Film

from tidegate.errors import KubeError
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.client import Kube
from tidegate.kube.kinds import ANALYSIS_TEMPLATE, ROLLOUT, Object

PATIENCE = 300.0
"""Seconds for one condition. A scenario that waits in vain notes it and goes on: the comparison then shows what is missing."""
CALM = 0.5  # seconds between a condition that came true and the next change, so that what belongs to the former is over
QUIET = 1.2  # seconds without any change after which a scenario counts as ended
LONG_QUIET = 15.0  # the same where something is missing yet: on a busy machine an Event may be written seconds after its cause

KINDS = {kind.kind: kind for kind in (*WATCHED, *FOREIGN, ANALYSIS_TEMPLATE)}


class Play:
    """One scenario's Rollout `app` in a namespace of its own."""

    def __init__(self, kube: Kube, film: Film, metrics: str) -> None:
        self._kube = kube
        self.film = film
        self.metrics = metrics  # URL of the endpoint whose /good, /mid and /bad are measured
        self.notes: list[str] = []

    async def apply(self, *manifests: Object) -> None:
        for manifest in manifests:
            metadata = {**manifest["metadata"], "namespace": self.film.namespace}
            try:
                await self._kube.create(KINDS[manifest["kind"]], {**manifest, "metadata": metadata})
            except KubeError as error:
                self.notes.append(f"{manifest['kind']} refused: {error}")

    async def first(self, *manifests: Object) -> None:
        """Everything applied, the first revision rolled out."""
        await self.apply(*manifests)
        await self.healthy()

    async def patch(self, patch: Object, *, status: bool = False) -> None:
        written = await self._kube.merge_patch(ROLLOUT, self.film.namespace, "app", patch, subresource="status" if status else None)
        await self._seen(written)

    async def image(self, tag: str) -> None:
        await asyncio.sleep(CALM)
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"demo:{tag}"}
        await self._seen(await self._kube.json_patch(ROLLOUT, self.film.namespace, "app", [operation]))

    async def steps(self, *steps: Object) -> None:
        await self.patch({"spec": {"strategy": {"canary": {"steps": list(steps)}}}})

    async def promote(self) -> None:
        if self.status.get("pauseConditions"):
            await self.patch({"status": {"pauseConditions": None}}, status=True)
        else:
            await self.patch({"status": {"currentStepIndex": self.status.get("currentStepIndex", 0) + 1}}, status=True)

    async def promote_full(self) -> None:
        await self.patch({"status": {"promoteFull": True}}, status=True)

    async def abort(self) -> None:
        await self.patch({"status": {"abort": True}}, status=True)

    async def paused(self) -> None:
        await self.phase("Paused")

    async def degraded(self, part: str = "") -> None:
        await self.phase("Degraded", part)

    async def phase(self, phase: str, part: str = "") -> None:
        def holds() -> bool:
            return self._observed and self.status.get("phase") == phase and part in (self.status.get("message") or "")

        await self.until(holds, f"{phase} {part}".strip())

    async def healthy(self) -> None:
        """On the current template, with all its pods."""

        def holds() -> bool:
            status, spec = self.status, self.rollout.get("spec") or {}
            promoted = status.get("stableRS") == status.get("currentPodHash")
            enough = status.get("availableReplicas", 0) >= spec.get("replicas", 1)
            return self._observed and status.get("phase") == "Healthy" and promoted and enough

        await self.until(holds, "Healthy")

    async def until(self, holds: Callable[[], object], what: str) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while not holds():
            self.film.changed.clear()
            try:
                await asyncio.wait_for(self.film.changed.wait(), max(0.0, end - loop.time()))
            except TimeoutError:
                self.notes.append(f"waited in vain for {what}; it is {self.status.get('phase')} {self.status.get('message') or ''}")
                return

    async def led_to_the_present_version(self, *services: str) -> None:
        """These Services choose its pods, and nothing else."""

        def holds() -> bool:
            return all(self.chosen(each) == self.status.get("currentPodHash", "-") for each in services)

        await self.until(holds, f"{', '.join(services)} to lead to the present version")

    def chosen(self, service: str) -> str | None:
        found = self.film.objects.get(("Service", service)) or {"spec": {}}
        found_hash: str | None = (found["spec"].get("selector") or {}).get(POD_TEMPLATE_HASH)
        return found_hash

    async def quiet(self, seconds: float = QUIET) -> None:
        """Until what was caused has happened and was told."""
        async with asyncio.timeout(PATIENCE):
            before = -1
            while before != self.film.changes:
                before = self.film.changes
                await asyncio.sleep(seconds)

    @property
    def rollout(self) -> Object:
        return self.film.objects.get(("Rollout", "app"), {})

    @property
    def status(self) -> dict[str, Any]:
        return self.rollout.get("status") or {}

    @property
    def _observed(self) -> bool:
        metadata = self.rollout.get("metadata") or {}
        return str(self.status.get("observedGeneration")) == str(metadata.get("generation"))

    async def _seen(self, written: Object) -> None:
        """Our own change came by on the watch: a condition must not be read off what was there before it."""
        version = int(written["metadata"]["resourceVersion"])
        await self.until(lambda: int(self.rollout["metadata"]["resourceVersion"]) >= version, "our own change")
