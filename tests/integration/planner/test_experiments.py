"""Experiments made by hand, on a real API server with real pods. The resync is an hour away: changes alone wake the planner."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tidegate.durations import epoch
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import EXPERIMENT, POD, REPLICA_SET, SERVICE, Object
from tidegate.messages import OUTCOMES, EventsRecorded
from tidegate.testing import Scene, Suite, eventually

pytestmark = pytest.mark.integration

PlannerFactory = Callable[..., AbstractContextManager[Suite]]


def an_experiment(**spec: Any) -> Object:
    labels = {"app": "trial"}
    container = {"name": "app", "image": "demo:blue", "ports": [{"containerPort": 8080}]}
    pod = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    template = {"name": "one", "replicas": 2, "selector": {"matchLabels": labels}, "template": pod, "service": {}}
    body = {"templates": [template], "scaleDownDelaySeconds": 1, **spec}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "trial"}, "spec": body}


async def until(scene: Scene, phase: str) -> Object:
    async def look() -> Object:
        return await scene.kube.get(EXPERIMENT, scene.namespace, "trial")

    return await eventually(look, lambda seen: (seen.get("status") or {}).get("phase") == phase, what=f"it to be {phase}")


async def end_soon(scene: Scene, running: Object) -> None:
    """Three seconds from now by its duration, given only when all was looked at that is there while it runs."""
    so_far = int(time.time() - epoch(running["status"]["availableAt"]))
    await scene.kube.merge_patch(EXPERIMENT, scene.namespace, "trial", {"spec": {"duration": f"{so_far + 3}s"}})


async def names(scene: Scene, kind: Any) -> list[str]:
    found, _ = await scene.kube.list(kind, scene.namespace)
    return [each["metadata"]["name"] for each in found if not each["metadata"].get("deletionTimestamp")]


async def test_it_runs_for_its_time_behind_its_service_and_leaves_nothing_running(scene: Scene, a_planner: PlannerFactory) -> None:
    events: list[str] = []
    subject = f"tidegate.recorded.planner.{scene.namespace}.trial"
    scene.bus.feed(OUTCOMES, subject, lambda message, _: note(events, message), beginning="all")
    with a_planner(TIDEGATE_RESYNC_SECONDS="3600"):
        await scene.apply(an_experiment())
        running = await until(scene, "Running")
        service = await scene.kube.get(SERVICE, scene.namespace, "trial-one")
        held = await scene.kube.get(REPLICA_SET, scene.namespace, "trial-one")
        chosen = held["metadata"]["labels"][POD_TEMPLATE_HASH]
        assert service["spec"]["selector"] == {"app": "trial", POD_TEMPLATE_HASH: chosen}
        await end_soon(scene, running)
        ended = await until(scene, "Successful")
        assert [each["status"] for each in ended["status"]["templateStatuses"]] == ["Successful"]
        await eventually(lambda: names(scene, POD), lambda seen: not seen, what="the pods to go")
        await eventually(lambda: names(scene, SERVICE), lambda seen: "trial-one" not in seen, what="the Service to go")

        async def told() -> list[str]:
            return events

        last = "ExperimentSuccessful"
        await eventually(told, lambda seen: seen.count("ScalingReplicaSet") == 2 and last in seen, what="the Events")
        wanted = ["TemplateProgressing", "ExperimentPending", "TemplateRunning", "ExperimentRunning", "ExperimentSuccessful"]
        assert [each for each in events if each in wanted] == wanted


def note(events: list[str], message: object) -> None:
    if isinstance(message, EventsRecorded) and message.kind == "Experiment":
        events.extend(record.reason for record in message.records)


async def test_it_is_what_another_planner_finds_of_it(scene: Scene, a_planner: PlannerFactory) -> None:
    with a_planner():
        await scene.apply(an_experiment())
        first = await until(scene, "Running")
    await end_soon(scene, first)
    with a_planner():
        ended = await until(scene, "Successful")
        assert ended["status"]["availableAt"] == first["status"]["availableAt"]
        assert await names(scene, REPLICA_SET) == ["trial-one"]


async def test_it_is_ended_retried_and_deleted_with_all_its_own(scene: Scene, a_planner: PlannerFactory) -> None:
    with a_planner(TIDEGATE_RESYNC_SECONDS="3600"):
        await scene.apply(an_experiment())
        await until(scene, "Running")
        for terminate, phase in ((True, "Successful"), (False, "Running")):
            patch = {"spec": {"terminate": terminate}, **({} if terminate else {"status": None})}
            await scene.kube.merge_patch(EXPERIMENT, scene.namespace, "trial", patch)
            await until(scene, phase)
        await scene.kube.delete(EXPERIMENT, scene.namespace, "trial")
        for kind in (REPLICA_SET, SERVICE):
            await eventually(lambda kind=kind: names(scene, kind), lambda seen: "trial-one" not in seen, what=f"{kind} to go")  # type: ignore[misc]
        with pytest.raises(NotFound):
            await scene.kube.get(EXPERIMENT, scene.namespace, "trial")
