"""What people and bad luck do to the modelled cluster: each edit of a scenario, carried out as kubectl or fate would.

Rule of this file: commands write what `argo-behaviour.md` 6.1 says they write, from the status as it is at that moment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.durations import rfc3339
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.simulation.model import Cluster
from tidegate_planner.simulation.peers import TrafficShifter
from tidegate_planner.simulation.process import PlannerProcess
from tidegate_planner.simulation.scenario import Edit, pod_template


@dataclass(slots=True)
class People:
    cluster: Cluster
    shifter: TrafficShifter
    planners: Sequence[PlannerProcess]

    def do(self, edit: Edit) -> None:
        deeds: Mapping[str, Callable[[Any], None]] = {
            "image": lambda version: self._edit_template(pod_template(version)),
            "template": self._edit_template,
            "steps": self._edit_steps,
            "replicas": lambda replicas: self._edit_spec(replicas=replicas),
            "pause": lambda _: self._edit_spec(paused=True),
            "unpause": lambda _: self._edit_spec(paused=False),
            "restart": lambda after: self._edit_spec(restartAt=rfc3339(self.cluster.clock.now + (after or 0))),
            "abort": lambda _: self._patch(abort=True),
            "retry": lambda _: self._patch(abort=False),
            "promote": lambda _: self._promote(),
            "promote-full": lambda _: self._promote_full(),
            "delete-set": self._delete_set,
            "kill-pods": self._kill_pods,
            "break-pods": self.cluster.break_pods,
            "mend-pods": self.cluster.mend_pods,
            "wipe-bus": lambda _: self._wipe_bus(),
            "break-spec": lambda _: self._edit_spec(problem="The Rollout is invalid: spec.strategy: broken by a person"),
            "mend-spec": lambda _: self._edit_spec(),
            "take-name": lambda _: self._take_name(),
            "resize-workload": lambda replicas: self.cluster.edit_deployment(replicas=replicas),
            "remove-workload": lambda _: self.cluster.delete_deployment(),
            "return-workload": self._return_workload,
            "scale-down": self._edit_scale_down,
        }
        deeds[edit.kind](edit.value)

    def _edit_spec(self, *, problem: str | None = None, **fields: Any) -> None:
        self.cluster.edit_spec(problem=problem, **fields)

    def _edit_template(self, template: Mapping[str, Any]) -> None:
        if self.refers:
            self.cluster.edit_deployment(template=template)
        else:
            self._edit_spec(template=template)

    @property
    def refers(self) -> bool:
        return "workloadRef" in self.cluster.rollout.manifest["spec"]

    def _edit_scale_down(self, mode: str) -> None:
        reference = self.cluster.rollout.manifest["spec"]["workloadRef"]
        self._edit_spec(workloadRef={**reference, "scaleDown": mode})

    def _return_workload(self, replicas: int) -> None:
        """As a GitOps tool would apply what is written down: the first version, and none of the notes that were on it."""
        if self.cluster.deployment is None:
            self.cluster.create_deployment(replicas=replicas, template=pod_template("v1"))

    def _edit_steps(self, steps: Sequence[Any]) -> None:
        strategy = self.cluster.rollout.manifest["spec"]["strategy"]
        self._edit_spec(strategy={**strategy, "canary": {**strategy["canary"], "steps": list(steps)}})

    def _patch(self, **fields: Any) -> None:
        """A merge patch: None removes the field."""
        merged = {**self.cluster.rollout.status, **fields}
        self.cluster.patch_status({field: value for field, value in merged.items() if value is not None})

    def _promote(self) -> None:
        rollout, status = self.cluster.rollout, self.cluster.rollout.status
        if rollout.manifest["spec"].get("paused"):
            self._edit_spec(paused=False)
        steps = rollout.manifest["spec"]["strategy"].get("canary", {}).get("steps") or ()
        index, pauses = status.get("currentStepIndex"), status.get("pauseConditions")
        following = None if index is None else min(index + 1, len(steps))
        run = (status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}
        if pauses and run.get("status") == "Inconclusive" and status.get("controllerPause"):
            self._patch(pauseConditions=None, controllerPause=False, currentStepIndex=following)
        elif pauses:
            self._patch(pauseConditions=None)
        elif following is not None and index != following:
            self._patch(pauseConditions=None, currentStepIndex=following)

    def _promote_full(self) -> None:
        status = self.cluster.rollout.status
        if self.cluster.rollout.manifest["spec"].get("paused"):
            self._edit_spec(paused=False)
        if status.get("currentPodHash") != status.get("stableRS"):
            self._patch(promoteFull=True)

    def _chosen(self, which: str) -> ReplicaSet | None:
        status, sets = self.cluster.rollout.status, [owned.seen for owned in self.cluster.sets.values()]
        named = {"new": status.get("currentPodHash"), "stable": status.get("stableRS")}
        known = set(named.values())
        fits = (each for each in sets if (each.hash == named[which] if which in named else each.hash not in known))
        return next(fits, None)

    def _delete_set(self, which: str) -> None:
        chosen = self._chosen(which)
        if chosen is not None:
            self.cluster.delete_set(chosen.name)

    def _kill_pods(self, which: str) -> None:
        chosen = self._chosen(which)
        if chosen is not None:
            self.cluster.kill_pods(chosen.name, 2)

    def _wipe_bus(self) -> None:
        """All streams and buckets are deleted: nobody knows any more what the shifter last said."""
        for planner in self.planners:
            planner.traffic = None
            planner.wake()

    def _take_name(self) -> None:
        """Somebody else's ReplicaSet has the name that the next version would get."""
        name = f"app-{self.cluster.read_rollout.template_hash}"
        if name not in self.cluster.sets:
            self.cluster.taken_names |= {name}
