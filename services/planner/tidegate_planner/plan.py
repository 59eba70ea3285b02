"""What a decision asks for: a status, actions in order, and when to look again. Data only; `apply` carries it out.

A plan is complete: carrying it out twice, or half of it and then deciding anew, ends in the same place, because every
action is conditional on what it was decided from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.messages import StepRequested, TrafficRequested

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefaultReplicas:
    """Write `spec.replicas: 1` back where the user left it out: the HPA reads it (`argo-behaviour.md` 1.2)."""

    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateRollout:
    annotations: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRollout:
    """The cache is behind what another planner acted on. `views`: by name of a ReplicaSet, the version of the Rollout that it was
    written from."""

    views: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicaSet:
    """`manifest` is whole, with the replicas it needs at once: scaling it afterwards would cost a second write."""

    hash: str
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleReplicaSet:
    """From what was seen to what is wanted. `annotations` go into the same write (None removes one), and so does `min_ready`: for
    how long its pods must be ready, where that is to change."""

    name: str
    hash: str
    before: int
    after: int
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    min_ready: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReplicaSet:
    name: str
    uid: str
    resource_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptReplicaSet:
    """Make this rollout the controller of a ReplicaSet that its selector matches and that has none."""

    name: str
    uid: str
    owner: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReplicaSet:
    """Let go of a ReplicaSet that the selector does not match any more; `owner_uid` is whose reference is taken out."""

    name: str
    uid: str
    owner_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWorkload:
    """Of the Deployment that `spec.workloadRef` names. `started_with` is noted on it by the first of these writes."""

    name: str
    before: int
    after: int
    started_with: int | None = None


@dataclass(frozen=True, slots=True)
class PodName:
    """A pod and no namesake of it."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictPods:
    """As many as `at_most`, tried in this order; one that a disruption budget holds back is passed over."""

    pods: tuple[PodName, ...]
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTemplate:
    """Metadata and affinity of a ReplicaSet's pod template: its pods stay, later ones differ. Of the very `generation` that was
    seen. `affinity` None: there is to be none."""

    name: str
    generation: int
    metadata: Json
    affinity: Json | None
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmReplicaSet:
    """Its pods are about to be changed by what was seen of it: end the pass if it is not of that generation any more."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelPod:
    """Labels and annotations of a running pod; None removes one."""

    pod: PodName
    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftTraffic:
    request: TrafficRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStepPlugin:
    request: StepRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAnalysis:
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateAnalysis:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAnalysis:
    """Ask the analyzer, which is the only writer of AnalysisRuns, to delete a finished one."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtPods:
    """Find out what the pods of this template hash wait for, and decide again with that."""

    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExperiment:
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateExperiment:
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteExperiment:
    """One that has ended; what it consists of goes with it."""

    name: str
    uid: str


AnalysisAction = StartAnalysis | TerminateAnalysis | DeleteAnalysis
ReplicaSetAction = (
    CreateReplicaSet | ScaleReplicaSet | DeleteReplicaSet | AdoptReplicaSet | ReleaseReplicaSet | ChangeTemplate
)
RolloutAction = SetDefaultReplicas | AnnotateRollout | ReadRollout
ExperimentAction = CreateExperiment | TerminateExperiment | DeleteExperiment
Action = (
    RolloutAction
    | ReplicaSetAction
    | EvictPods
    | ConfirmReplicaSet
    | RelabelPod
    | ScaleWorkload
    | ShiftTraffic
    | AskStepPlugin
    | AnalysisAction
    | LookAtPods
    | ExperimentAction
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is the whole new status. `wake_at` is a time in seconds since 1970, or None when only a change can matter."""

    status: Json
    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
