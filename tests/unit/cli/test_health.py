"""One word per object: what kubectl would print for a pod, what the peer prints for a ReplicaSet."""

from typing import Any

import pytest

from tidegate_cli import health


def pod(*, phase: str = "Running", deleted: bool = False, init: Any = (), containers: Any = (), **status: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    statuses = {"containerStatuses": list(containers), "initContainerStatuses": list(init)}
    declared = [{"name": each["name"]} for each in init]
    return {"metadata": metadata, "spec": {"initContainers": declared}, "status": {"phase": phase, **statuses, **status}}


WAITING = {"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
RUNNING = {"name": "a", "ready": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        pytest.param(pod(containers=[RUNNING]), "Running", id="it runs"),
        pytest.param(pod(phase="Pending"), "Pending", id="it waits for a node"),
        pytest.param(pod(containers=[WAITING]), "CrashLoopBackOff", id="a container keeps dying"),
        pytest.param(pod(containers=[RUNNING], deleted=True), "Terminating", id="it is on its way out"),
        pytest.param(pod(deleted=True, reason="NodeLost"), "Unknown", id="its node is lost"),
        pytest.param(pod(phase="Failed", reason="Evicted"), "Evicted", id="it was evicted"),
        pytest.param(pod(init=[{"name": "i", "state": {"running": {}}}]), "Init:0/1", id="it is being initialised"),
        pytest.param(
            pod(init=[{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}]), "Init:ErrImagePull", id="init fails"
        ),
        pytest.param(
            pod(init=[{"name": "i", "state": {"terminated": {"exitCode": 0}}}], containers=[RUNNING]), "Running", id="init over"
        ),
        pytest.param(
            pod(containers=[{"name": "a", "state": {"terminated": {"exitCode": 3}}}]), "ExitCode:3", id="it ended without a word"
        ),
        pytest.param(
            pod(containers=[RUNNING, {"name": "b", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}]),
            "Running",
            id="one container is done, another runs",
        ),
    ],
)
def test_a_pod_is_told_by_the_word_of_kubectl(seen: dict[str, Any], word: str) -> None:
    assert health.pod_status(seen) == word


def replica_set(*, wanted: int = 2, generation: int = 1, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "generation": generation}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        pytest.param(replica_set(observedGeneration=1, replicas=2, availableReplicas=2), "Healthy", id="all are available"),
        pytest.param(replica_set(observedGeneration=1, replicas=2, availableReplicas=1), "Progressing", id="one is missing"),
        pytest.param(replica_set(generation=2, observedGeneration=1, availableReplicas=2), "Progressing", id="not yet observed"),
        pytest.param(replica_set(wanted=0, observedGeneration=1), "ScaledDown", id="none are wanted"),
        pytest.param(replica_set(wanted=0, observedGeneration=1, replicas=1), "Healthy", id="the last is on its way out"),
        pytest.param(replica_set(conditions=[{"type": "ReplicaFailure", "status": "True"}]), "ReplicaFailure", id="quota"),
    ],
)
def test_a_replica_set_is_healthy_only_when_observed_and_available(seen: dict[str, Any], word: str) -> None:
    assert health.replica_set_status(seen) == word
