"""The one word and the one icon that say how an object is: ReplicaSets, pods, Jobs, runs (`argo-behaviour.md` 13). Pure.

Icons are part of the information tree (the peer's JSON carries them); whether they are shown is the renderer's business.
"""

from collections.abc import Mapping
from typing import Any

WAITING, WORKING, WARNING, UNKNOWN, OK, BAD, PAUSED, SCALED_DOWN = "◷", "◌", "⚠", "?", "✔", "✖", "॥", "•"

ICONS = {
    "Healthy": OK, "Successful": OK, "Running": OK, "Completed": OK, "Succeeded": OK, "Complete": OK,
    "Progressing": WORKING, "Active": WORKING, "Terminating": WORKING, "ContainerCreating": WORKING, "PodInitializing": WORKING,
    "Pending": WAITING,
    "Paused": PAUSED,
    "Degraded": BAD, "Failed": BAD, "ReplicaFailure": WARNING,
    "Error": WARNING, "CrashLoopBackOff": WARNING, "ImagePullBackOff": WARNING, "ErrImagePull": WARNING,
    "CreateContainerConfigError": WARNING, "CreateContainerError": WARNING, "InvalidImageName": WARNING, "OOMKilled": WARNING,
    "RunContainerError": WARNING, "Evicted": WARNING,
    "Inconclusive": UNKNOWN, "Unknown": UNKNOWN,
    "ScaledDown": SCALED_DOWN,
}  # fmt: skip


def icon(status: str) -> str:
    """Of a rollout, ReplicaSet, pod or Job. Unlisted words are states on the way to another ("Init:0/2")."""
    return ICONS.get(status, WORKING)


def run_icon(phase: str) -> str:
    """Of an AnalysisRun or Experiment, for which Running means: not finished yet."""
    return WORKING if phase == "Running" else icon(phase)


def replica_set_status(replica_set: Mapping[str, Any]) -> str:
    spec, status = replica_set.get("spec") or {}, replica_set.get("status") or {}
    wanted = int(spec.get("replicas") or 0)
    observed = int(status.get("observedGeneration") or 0) >= int(replica_set["metadata"].get("generation") or 0)
    if any(each.get("type") == "ReplicaFailure" and each.get("status") == "True" for each in status.get("conditions") or ()):
        return "ReplicaFailure"
    if wanted == 0 and int(status.get("replicas") or 0) == 0:
        return "ScaledDown"
    if not observed or int(status.get("availableReplicas") or 0) < wanted:
        return "Progressing"
    return "Healthy"


def pod_status(pod: Mapping[str, Any]) -> str:
    """The word `kubectl get pods` would print."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    initialising = _init_status(pod)
    if initialising:
        return initialising
    word = status.get("reason") or status.get("phase") or "Pending"
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        running = running or (bool(container.get("ready")) and "running" in state)
        word = _stopped_word(state) or word
    return "Running" if word == "Completed" and running else word


def _init_status(pod: Mapping[str, Any]) -> str:
    """ "" once every init container is done; side-cars (restartPolicy Always) are done when they have started."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    declared = spec.get("initContainers") or ()
    side_cars = {each["name"] for each in declared if each.get("restartPolicy") == "Always"}
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode") == 0 or (
            container.get("name") in side_cars and container.get("started")
        ):
            continue
        word = _stopped_word(state)
        return f"Init:{word}" if word and word != "PodInitializing" else f"Init:{index}/{len(declared)}"
    return ""


def _stopped_word(state: Mapping[str, Any]) -> str:
    waiting, terminated = state.get("waiting") or {}, state.get("terminated")
    if waiting.get("reason"):
        return str(waiting["reason"])
    if terminated is None:
        return ""
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def pod_ready(pod: Mapping[str, Any]) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    total = len((pod.get("spec") or {}).get("containers") or ())
    return f"{sum(bool(each.get('ready')) for each in statuses)}/{total}"


def pod_restarts(pod: Mapping[str, Any]) -> int:
    return sum(int(each.get("restartCount") or 0) for each in (pod.get("status") or {}).get("containerStatuses") or ())
