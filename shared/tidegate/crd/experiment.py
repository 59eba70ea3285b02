"""Experiment: ReplicaSets run side by side for a while and are analysed (`argo-behaviour.md` 10)."""

from tidegate.crd.analysis import Argument, DryRun, MeasurementRetention
from tidegate.crd.common import Condition, ExtraMetadata, Int32, LabelSelector, Model, OpenModel, PodTemplate, Resource, Time


class ExperimentService(Model):
    """A Service in front of the template's pods."""

    name: str | None = None
    """Default: the name of the ReplicaSet."""


class ExperimentTemplate(Model):
    name: str | None = None
    """Required, unique in the experiment."""
    replicas: Int32 | None = None
    """Pods. Default 1."""
    min_ready_seconds: Int32 | None = None
    """Seconds a pod must be ready before it counts as available. Default 0."""
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    service: ExperimentService | None = None


class ExperimentAnalysis(Model):
    name: str | None = None
    template_name: str | None = None
    cluster_scope: bool | None = None
    """True names a ClusterAnalysisTemplate. Default false."""
    args: list[Argument] | None = None
    required_for_completion: bool | None = None
    """True: the experiment succeeds once all such analyses have. Default false."""


class ExperimentSpec(Model):
    templates: list[ExperimentTemplate]
    duration: str | None = None
    """Time from all templates being available to the end, e.g. 30s, 5m, 1h. Default: until terminated or decided."""
    progress_deadline_seconds: Int32 | None = None
    """Seconds a template may take to become available. Default 600."""
    terminate: bool | None = None
    """True ends the experiment as Successful."""
    analyses: list[ExperimentAnalysis] | None = None
    dry_run: list[DryRun] | None = None
    measurement_retention: list[MeasurementRetention] | None = None
    analysis_run_metadata: ExtraMetadata | None = None
    scale_down_delay_seconds: Int32 | None = None
    """Seconds from the end until the pods go. Default 30."""


class TemplateStatus(OpenModel):
    name: str | None = None
    replicas: Int32 | None = None
    updated_replicas: Int32 | None = None
    ready_replicas: Int32 | None = None
    available_replicas: Int32 | None = None
    collision_count: Int32 | None = None
    status: str | None = None
    """Progressing, Running, Successful, Failed or Error."""
    message: str | None = None
    last_transition_time: Time | None = None
    service_name: str | None = None
    pod_template_hash: str | None = None


class ExperimentAnalysisRunStatus(OpenModel):
    name: str | None = None
    analysis_run: str | None = None
    phase: str | None = None
    message: str | None = None


class ExperimentStatus(OpenModel):
    phase: str | None = None
    """Pending, Running, Successful, Failed, Error or Inconclusive."""
    message: str | None = None
    available_at: Time | None = None
    """When all templates were available; duration counts from here."""
    conditions: list[Condition] | None = None
    template_statuses: list[TemplateStatus] | None = None
    analysis_runs: list[ExperimentAnalysisRunStatus] | None = None


class Experiment(Resource):
    """ReplicaSets that run side by side for a while, and the analyses that judge them."""

    spec: ExperimentSpec
    status: ExperimentStatus | None = None
