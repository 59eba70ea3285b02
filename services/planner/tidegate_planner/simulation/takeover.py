"""What must hold while a Rollout takes over the pods of a live Deployment (`workloadRef.scaleDown`, 11.1): users are served by
either, so nobody's pods go before there are others in their place; and in the end the Deployment has what `scaleDown` says.

Rule of this file: as in `invariants`, it judges what was seen, decided and written, and never looks into the planner.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tidegate import keys
from tidegate_planner.plan import Plan, ScaleReplicaSet, ScaleWorkload
from tidegate_planner.seen import ReplicaSet, Seen
from tidegate_planner.simulation.invariants import Json, check
from tidegate_planner.simulation.ledger import MOST_TURNS, turns_in
from tidegate_planner.simulation.objects import Rollout
from tidegate_planner.simulation.scenario import EditKind

ON_SUCCESS, PROGRESSIVELY = "onsuccess", "progressively"
TAKES_NO_PODS: frozenset[EditKind] = frozenset(
    {"abort", "retry", "promote", "promote-full", "pause", "unpause", "wipe-bus", "take-name", "steps", "replicas", "break-spec",
     "mend-spec", "scale-down"}
)  # fmt: skip
"""What people do and the number of pods that serve is still the planner's business alone."""


def check_handover(seen: Seen, plan: Plan) -> None:
    """One decision: what is taken from the Deployment serves already, what is given back it once had. Holds for stale views too."""
    for action in (each for each in plan.actions if isinstance(each, ScaleWorkload)):
        workload, spec = seen.workload, seen.spec
        mode = spec.workload_scale_down if spec is not None else ""
        change = f"the Deployment goes from {action.before} to {action.after}"
        check(mode in {ON_SUCCESS, PROGRESSIVELY}, "takeover", f"{change}, and scaleDown is {mode!r}")
        if spec is None or workload is None:
            continue
        if action.after > action.before:
            check(mode == PROGRESSIVELY, "takeover", f"{change} under onsuccess")
            check(action.after <= (workload.started_with or 0), "takeover", f"{change}, it had {workload.started_with}")
            continue
        serving, wanted = _left(seen, plan), spec.replicas
        needed = wanted if mode == ON_SUCCESS else min(action.before, wanted)
        together = serving if mode == ON_SUCCESS else serving + action.after
        check(together >= needed, "takeover", f"{change}, the Rollout has {serving} of {wanted}")


def _left(seen: Seen, plan: Plan) -> int:
    """Pods of the Rollout that serve and are not taken away by the same plan."""
    sizes = {each.name: each.after for each in plan.actions if isinstance(each, ScaleReplicaSet)}
    return sum(min(each.available, each.replicas, sizes.get(each.name, each.replicas)) for each in seen.replica_sets)


@dataclass(slots=True)
class Takeover:
    """A whole run. `floor`: as many pods as users have had all the while; None once fate or a person has taken some."""

    floor: int | None
    once_healthy: bool = False
    sizes: list[int] = field(default_factory=list)
    seen: dict[str, ReplicaSet] = field(default_factory=dict)

    def edited(self, kind: EditKind) -> None:
        self.sizes.clear()
        if kind not in TAKES_NO_PODS:
            self.floor = None

    def look(self, sets: Iterable[ReplicaSet], rollout: Rollout) -> None:
        """After each change of any pods: the Deployment's and the Rollout's serve the same users."""
        conditions = rollout.status.get("conditions") or ()
        self.once_healthy = self.once_healthy or any(each["type"] == "Healthy" for each in conditions)
        if self.floor is not None:
            self.floor = min(self.floor, rollout.manifest["spec"].get("replicas", 1))
            serving = sum(min(each.available, each.replicas) for each in sets)
            check(serving >= self.floor, "users", f"{serving} pods serve, {self.floor} did so before the takeover")

    def set_changed(self, seen: ReplicaSet) -> None:
        """Pods that crash come and go, and the Deployment gives way and takes up again with them."""
        before, self.seen[seen.name] = self.seen.get(seen.name), seen
        if before is not None and before.replicas <= seen.replicas and before.available > seen.available:
            self.sizes.clear()

    def resized(self, replicas: int) -> None:
        if not self.sizes or self.sizes[-1] != replicas:
            self.sizes.append(replicas)
        check(turns_in(self.sizes) <= MOST_TURNS, "flapping", f"the Deployment was given the sizes {self.sizes}")

    def check_end(self, rollout: Rollout, sets: Iterable[ReplicaSet], deployment: Json | None) -> None:
        spec = rollout.spec
        if deployment is None or spec is None or rollout.problem is not None:
            return
        generation = str(deployment["metadata"]["generation"])
        told = (rollout.status.get("workloadObservedGeneration"), rollout.annotations.get(keys.WORKLOAD_GENERATION))
        check(told == (generation, generation), "workload", f"of the Deployment's generation {generation} the Rollout says {told}")
        mode, held = spec.workload_scale_down, deployment["spec"]["replicas"]
        missing = max(0, spec.replicas - sum(min(each.available, each.replicas) for each in _staying(rollout.status, sets)))
        if spec.paused or mode not in {ON_SUCCESS, PROGRESSIVELY}:
            return
        if rollout.status.get("phase") == "Healthy":
            check(held == 0, "takeover", f"Healthy, and the Deployment still has {held} pods under {mode}")
        elif mode == PROGRESSIVELY:
            noted = deployment["metadata"]["annotations"].get(keys.HANDED_OVER)
            had = held if noted is None or self.once_healthy else int(noted)
            check(held == min(had, missing), "takeover", f"{missing} pods are missing, the Deployment has {held} and had {had}")


def _staying(status: Json, sets: Iterable[ReplicaSet]) -> Iterable[ReplicaSet]:
    """Without an aborted version, whose pods nobody can count on."""
    current = status.get("currentPodHash")
    given_up = current if status.get("abort") and current != status.get("stableRS") else None
    return (each for each in sets if each.hash != given_up)
