"""A rollout's progress in one line, for pipes, and its steps with a mark at the current one, for screens. Pure."""

from tidegate_cli import health
from tidegate_cli.info import ReplicaSetInfo, RolloutInfo
from tidegate_cli.steps import step_words


def progress_line(info: RolloutInfo) -> str:
    """`Paused       step 1/8 (pause)       weight 20   revision 2 canary 1/1   revision 1 stable 4/4`"""
    sets = [each for each in info.replica_sets if each.replicas or each.pods]
    parts = [f"{info.status:<11}", f"{_step(info):<25}", f"weight {info.actual_weight:>3}"]
    return "  ".join([*parts, *(_replica_set(each) for each in sets)]).rstrip()


def marked_steps(info: RolloutInfo) -> list[tuple[str, str]]:
    """Each step with the icon of its state: behind us, now, or still to come."""
    current = current_step(info)

    def mark(place: int) -> str:
        if place < current:
            return health.OK
        return health.WORKING if place == current else health.WAITING

    return [(mark(place), step_words(step)) for place, step in enumerate(info.steps)]


def current_step(info: RolloutInfo) -> int:
    """Equal to the number of steps when none is left."""
    return int(info.step.split("/")[0]) if info.step else 0


def waits_for_a_person(info: RolloutInfo) -> bool:
    """At a pause without an end of its own."""
    current = current_step(info)
    if info.status != "Paused" or current >= len(info.steps):
        return False
    return "pause" in info.steps[current] and not (info.steps[current]["pause"] or {}).get("duration")


def is_promoted(info: RolloutInfo, image: str) -> bool:
    """Healthy on this very image: right after a request the phase still is the old revision's Healthy."""
    stable = [each for each in info.replica_sets if each.stable]
    return info.status == "Healthy" and any(image in each.images for each in stable)


def is_rolled_back(info: RolloutInfo) -> bool:
    """Aborted, every canary pod gone, and the stable revision whole again."""
    canary_pods = sum(len(each.pods) for each in info.replica_sets if each.canary)
    stable = sum(each.available for each in info.replica_sets if each.stable)
    return info.status == "Degraded" and canary_pods == 0 and stable == info.desired


def _step(info: RolloutInfo) -> str:
    current = current_step(info)
    return f"step {info.step} ({step_words(info.steps[current])})" if current < len(info.steps) else f"step {info.step}"


def _replica_set(info: ReplicaSetInfo) -> str:
    role = f" {info.roles[0]}" if info.roles else ""
    return f"revision {info.revision}{role} {info.available}/{len(info.pods)}"
