"""The Rollout kind and its spec (`argo-behaviour.md` 1.1, 1.2)."""

from typing import Annotated

from pydantic import Field

from tidegate.crd.common import Int32, LabelSelector, Model, PodTemplate, Resource, Time
from tidegate.crd.status import RolloutStatus
from tidegate.crd.strategy import Strategy

ImmutableSelector = Annotated[
    LabelSelector,
    Field(json_schema_extra={"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": ".spec.selector is immutable"}]}),
]


class WorkloadRef(Model):
    """A workload whose pod template is used instead of spec.template."""

    api_version: str | None = None
    kind: str | None = None
    """Deployment, ReplicaSet or PodTemplate."""
    name: str | None = None
    scale_down: str | None = None
    """never (default), onsuccess or progressively: what becomes of a Deployment's own pods."""


class RollbackWindow(Model):
    revisions: Int32 | None = None
    """Going back at most this many revisions skips the steps."""


class AnalysisHistory(Model):
    """Finished AnalysisRuns and Experiments that are kept."""

    successful_run_history_limit: Int32 | None = None
    """Default 5."""
    unsuccessful_run_history_limit: Int32 | None = None
    """Failed, Error and Inconclusive together. Default 5."""


class RolloutSpec(Model):
    replicas: Int32 | None = None
    """Pods. Default 1, written back."""
    selector: ImmutableSelector | None = None
    """Required unless workloadRef is set. Immutable."""
    template: PodTemplate | None = None
    """Required unless workloadRef is set."""
    workload_ref: WorkloadRef | None = None
    strategy: Strategy | None = None
    min_ready_seconds: Int32 | None = None
    """Seconds a pod must be ready before it counts as available. Default 0."""
    rollback_window: RollbackWindow | None = None
    revision_history_limit: Int32 | None = None
    """Old ReplicaSets that are kept. Default 10."""
    paused: bool | None = None
    """True holds every step."""
    progress_deadline_seconds: Int32 | None = None
    """Seconds without progress before the rollout is Degraded. Default 600."""
    progress_deadline_abort: bool | None = None
    """True aborts at the deadline. Default false."""
    restart_at: Time | None = None
    """Pods older than this are evicted one after another."""
    analysis: AnalysisHistory | None = None


class Rollout(Resource):
    """Pods of one application, changed step by step and judged on the way."""

    spec: RolloutSpec
    status: RolloutStatus | None = None
