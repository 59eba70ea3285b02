"""What wakes what: a change of any object that a decision looks at leads to a pass over the Rollouts and Experiments it is about.

Rule of this file: it finds out whom a change concerns, by indexes, and decides nothing. Waking too often costs a pass, waking too
seldom costs the slow resync.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.kube.cache import Cache
from tidegate.kube.kinds import EXPERIMENT, ROLLOUT, Kind
from tidegate.kube.store import ChangeType
from tidegate.worker import Key
from tidegate_planner.readings import analyses_of, instance_of, orphaned_in, owners_of, service_names
from tidegate_planner.router_objects import keys_of, named_by
from tidegate_planner.workloads import reference_of
from tidegate_planner.world import BY_OWNER, ORPHANS

BY_SERVICE, BY_TEMPLATE, BY_WORKLOAD, BY_ROUTER_OBJECT = "service", "template", "workload", "routerObject"


@dataclass(frozen=True, kw_only=True)
class Wakes:
    """`wake_rollout`, `wake_experiment`: of the workers. `instance`: whose Rollouts they look at."""

    rollouts: Cache
    replica_sets: Cache
    services: Cache
    runs: Cache
    experiments: Cache
    templates: tuple[Cache, ...]
    instance: str
    wake_rollout: Callable[[Key], None]
    wake_experiment: Callable[[Key], None]

    def wire(self) -> None:
        self.replica_sets.add_index(BY_OWNER, owners_of)
        self.replica_sets.add_index(ORPHANS, orphaned_in)
        for cache in (self.runs, self.experiments, self.services):
            cache.add_index(BY_OWNER, owners_of)
        self.rollouts.add_index(BY_SERVICE, lambda rollout: [_scoped(rollout, name) for name in service_names(rollout)])
        self.rollouts.add_index(BY_TEMPLATE, lambda rollout: ["any"] if analyses_of(rollout) else [])
        self.rollouts.add_index(BY_ROUTER_OBJECT, lambda rollout: [named.key for named in named_by(rollout)])
        self.rollouts.add_index(BY_WORKLOAD, _referred_in)
        self.experiments.add_index(BY_TEMPLATE, lambda experiment: ["any"] if experiment["spec"].get("analyses") else [])
        self.rollouts.on_change(self._rollout_changed)
        self.experiments.on_change(self._experiment_changed)
        for cache in (self.replica_sets, self.runs, self.experiments, self.services):
            cache.on_change(self._child_changed)
        self.services.on_change(lambda _type, old, new: self._users_of(new or old))
        for cache in self.templates:
            cache.on_change(lambda _type, _old, _new: self._whoever_is_analysed())

    def rollout(self, manifest: dict[str, Any] | None) -> None:
        if manifest is not None and instance_of(manifest) == self.instance:
            self.wake_rollout((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    def experiment(self, manifest: dict[str, Any] | None) -> None:
        if manifest is not None and instance_of(manifest) == self.instance:
            self.wake_experiment((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    def referrers(self, kind: Kind, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Of a workload's own pods, which come and go without a new generation, nobody needs to know."""
        changed = new or old
        if changed is None or (old and new and old["metadata"].get("generation") == new["metadata"].get("generation")):
            return
        key = _scoped(changed, f"{kind.group}/{kind.kind}/{changed['metadata']['name']}")
        for rollout in self.rollouts.by_index(BY_WORKLOAD, key):
            self.rollout(rollout)

    def naming(self, kind: Kind, changed: dict[str, Any] | None) -> None:
        """The Rollouts that name this router object."""
        for key in () if changed is None else keys_of(changed, kind):
            for rollout in self.rollouts.by_index(BY_ROUTER_OBJECT, key):
                self.rollout(rollout)

    def _rollout_changed(self, _type: ChangeType, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """The former one too: its label may have handed it to another instance, and then it must be let go."""
        self.rollout(old)
        self.rollout(new)
        for experiment in self.experiments.by_index(BY_OWNER, (new or old or {"metadata": {"uid": ""}})["metadata"]["uid"]):
            self.experiment(experiment)  # its pods go when the Rollout's traffic is seen to have left them

    def _experiment_changed(self, _type: ChangeType, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        self.experiment(old)
        self.experiment(new)

    def _child_changed(self, _type: ChangeType, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        self._owner_of(old)
        self._owner_of(new)

    def _owner_of(self, child: dict[str, Any] | None) -> None:
        for owner in (child or {"metadata": {}})["metadata"].get("ownerReferences") or ():
            if child is None or owner.get("kind") not in {ROLLOUT.kind, EXPERIMENT.kind}:
                continue
            place = (child["metadata"]["namespace"], owner["name"])
            if owner["kind"] == ROLLOUT.kind:
                self.rollout(self.rollouts.get(*place))
            else:
                self.experiment(self.experiments.get(*place))

    def _users_of(self, service: dict[str, Any] | None) -> None:
        if service is not None:
            for rollout in self.rollouts.by_index(BY_SERVICE, _scoped(service, service["metadata"]["name"])):
                self.rollout(rollout)

    def _whoever_is_analysed(self) -> None:
        for rollout in self.rollouts.by_index(BY_TEMPLATE, "any"):
            self.rollout(rollout)
        for experiment in self.experiments.by_index(BY_TEMPLATE, "any"):
            self.experiment(experiment)


def _referred_in(rollout: dict[str, Any]) -> list[str]:
    """Index: the workload that a Rollout takes its pods from."""
    reference = reference_of(rollout)
    return [] if reference is None else [_scoped(rollout, f"{reference.group}/{reference.kind}/{reference.name}")]


def _scoped(obj: dict[str, Any], name: str) -> str:
    return f"{obj['metadata']['namespace']}/{name}"
