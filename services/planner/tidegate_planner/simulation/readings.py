"""How a planner reads what it knows of the modelled cluster: the Rollout with the template of its workload, and the whole view.

Rule of this file: it does what `observe` does, by the same rules of `workloads`; nothing is kept but what was read once.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.hashing import pod_template_hash
from tidegate.rollout import Spec, spec_of
from tidegate_planner.readings import workload_of
from tidegate_planner.seen import Seen, Traffic
from tidegate_planner.simulation.objects import EXPERIMENTS, RUNS, SERVICES, SETS, Json, Rollout
from tidegate_planner.simulation.replica_sets import is_rollouts_own
from tidegate_planner.step_calls import Answer
from tidegate_planner.validation import invalid_message
from tidegate_planner.workloads import reference_of, resolved, unresolvable, workload_in


class Readings:
    """Of Rollouts with `workloadRef`, by the generations of both."""

    def __init__(self) -> None:
        self._held: dict[tuple[Any, ...], tuple[Spec, str]] = {}

    def read(self, rollout: Rollout, deployments: Mapping[str, Json]) -> Rollout:
        """The two are watched apart, so either may be older than the other."""
        reference = reference_of(rollout.manifest)
        if reference is None or rollout.problem is not None:
            return rollout
        workload = workload_in(deployments.values(), reference)
        refusal = unresolvable(rollout.manifest, reference, workload)
        if workload is None or refusal is not None:
            return replace(rollout, problem=invalid_message("app", refusal or ""))
        spec, template_hash = self._with_template(rollout, workload)
        return replace(rollout, spec=spec, template_hash=template_hash, workload=workload_of(workload))

    def _with_template(self, rollout: Rollout, workload: Json) -> tuple[Spec, str]:
        collisions, metadata = rollout.status.get("collisionCount"), workload["metadata"]
        key = (rollout.generation, collisions, metadata["uid"], metadata["generation"])
        if key not in self._held:
            spec = spec_of(resolved(rollout.manifest, workload))
            self._held[key] = (spec, pod_template_hash(spec.template, collisions))
        return self._held[key]


def seen_of(
    rollout: Rollout,
    objects: Mapping[str, dict[str, Any]],
    traffic: Traffic | None,
    step_answers: Mapping[str, Answer],
    taken_names: frozenset[str],
) -> Seen:
    return Seen(
        namespace="default",
        name=rollout.manifest["metadata"]["name"],
        uid="uid-app",
        generation=rollout.generation,
        resource_version=rollout.resource_version,
        annotations=rollout.annotations,
        labels={},
        status=rollout.status,
        manifest=rollout.manifest,
        spec=rollout.spec,
        problem=rollout.problem,
        template_hash=rollout.template_hash,
        replica_sets=tuple(each for each in objects[SETS].values() if is_rollouts_own(each)),
        services=objects[SERVICES],
        traffic=traffic,
        step_answers=dict(step_answers),
        analysis_runs=tuple(each for each in objects[RUNS].values() if each.kind),
        experiments=tuple(objects[EXPERIMENTS].values()),
        templates=rollout.templates,
        workload=rollout.workload,
        taken_names=taken_names,
    )
