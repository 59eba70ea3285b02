"""What one decision about an experiment is made from, as plain values.

Rule of this file: values only. `observe` fills them from the caches, the simulation from its model, tests by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate_planner.experiments.spec import Spec
from tidegate_planner.seen import AnalysisRun, ReplicaSet

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service of this experiment; `hash` is that of the pods it chooses."""

    name: str
    uid: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An experiment and all that belongs to it; `replica_sets`, `services` and `refusals` by the name of their template.

    `spec` is None when `problem` says what is wrong with the manifest. `refusals` are whole sentences: what the API server said to
    a child that was to be made. `in_traffic`: hashes to which the Rollout of this experiment may be sending requests.
    """

    namespace: str
    name: str
    uid: str
    resource_version: int
    annotations: Json
    labels: Json
    status: Json
    manifest: Json
    spec: Spec | None
    problem: str | None = None
    replica_sets: Mapping[str, ReplicaSet] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    runs: tuple[AnalysisRun, ...] = ()
    templates: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    in_traffic: frozenset[str] = frozenset()

    def run(self, name: str) -> AnalysisRun | None:
        return next((each for each in self.runs if each.name == name), None)
