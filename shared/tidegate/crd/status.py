"""The status of a Rollout (`argo-behaviour.md` 1.3). Every object in it is open: a field that a newer peer wrote survives us."""

from pydantic import Field

from tidegate.crd.common import Condition, FreeValue, Int32, Int64, OpenModel, Time


class PauseCondition(OpenModel):
    reason: str | None = None
    """InconclusiveAnalysisRun, InconclusiveExperiment, CanaryPauseStep or BlueGreenPause."""
    start_time: Time | None = None


class WeightDestination(OpenModel):
    weight: Int32 | None = None
    """Percent of traffic (or of maxTrafficWeight)."""
    service_name: str | None = None
    pod_template_hash: str | None = None


class TrafficWeights(OpenModel):
    """The split that the routers were last told."""

    canary: WeightDestination | None = None
    stable: WeightDestination | None = None
    additional: list[WeightDestination] | None = None
    verified: bool | None = None
    """Whether the router was seen to carry these weights."""


class AnalysisRunRef(OpenModel):
    name: str | None = None
    status: str | None = None
    """Phase of the AnalysisRun."""
    message: str | None = None


class StepPluginStatus(OpenModel):
    index: Int32 | None = None
    """Index of the step."""
    name: str | None = None
    operation: str | None = None
    """Run, Terminate or Abort."""
    phase: str | None = None
    """Running, Successful, Failed or Error."""
    message: str | None = None
    started_at: Time | None = None
    updated_at: Time | None = None
    finished_at: Time | None = None
    backoff: str | None = None
    """Time until the next call, e.g. 30s."""
    executions: Int32 | None = None
    disabled: bool | None = None
    status: FreeValue | None = None
    """The plugin's own state."""


class CanaryStatus(OpenModel):
    weights: TrafficWeights | None = None
    current_step_analysis_run_status: AnalysisRunRef | None = None
    current_background_analysis_run_status: AnalysisRunRef | None = None
    current_experiment: str | None = None
    stable_ping_pong: str | None = None
    """ping or pong: which Service is the stable one."""
    step_plugin_statuses: list[StepPluginStatus] | None = None


class BlueGreenStatus(OpenModel):
    active_selector: str | None = None
    """Hash that the active Service selects."""
    preview_selector: str | None = None
    """Hash that the preview Service selects."""
    scale_up_preview_check_point: bool | None = None
    """True once the preview may grow to spec.replicas."""
    pre_promotion_analysis_run_status: AnalysisRunRef | None = None
    post_promotion_analysis_run_status: AnalysisRunRef | None = None


class AWSResource(OpenModel):
    name: str | None = None
    arn: str | None = None
    full_name: str | None = None


class ALBStatus(OpenModel):
    load_balancer: AWSResource | None = None
    canary_target_group: AWSResource | None = None
    stable_target_group: AWSResource | None = None
    ingress: str | None = None


class RolloutDuration(OpenModel):
    """How long the update takes or took."""

    rollout_started_at: Time | None = None
    manual_pause_started_at: Time | None = None
    total_manual_pause_duration_seconds: Int64 | None = None
    """Seconds spent waiting for people."""
    finished_at: Time | None = None
    completion_status: str | None = None
    """Promoted, FastPromoted, Aborted, RolledBack or FastRolledBack."""


class RolloutStatus(OpenModel):
    observed_generation: str | None = None
    """metadata.generation, as text, that this status belongs to."""
    phase: str | None = None
    """Healthy, Progressing, Paused or Degraded."""
    message: str | None = None
    current_pod_hash: str | None = None
    """Hash label of the ReplicaSet for the wanted pod template."""
    stable_rs: str | None = Field(default=None, alias="stableRS")
    """Hash label of the ReplicaSet that was last fully promoted."""
    current_step_hash: str | None = None
    current_step_index: Int32 | None = None
    """Steps completed so far."""
    replicas: Int32 | None = None
    updated_replicas: Int32 | None = None
    ready_replicas: Int32 | None = None
    available_replicas: Int32 | None = None
    hpa_replicas: Int32 | None = Field(default=None, alias="HPAReplicas")
    """Pods that the scale subresource reports."""
    selector: str | None = None
    """Label selector that the scale subresource reports."""
    collision_count: Int32 | None = None
    abort: bool | None = None
    """True asks for an abort, and stays until a retry or a new version."""
    aborted_at: Time | None = None
    pause_conditions: list[PauseCondition] | None = None
    """Why the controller waits; clearing it resumes."""
    controller_pause: bool | None = None
    """True while a pause of the controller's own is not yet done with."""
    promote_full: bool | None = None
    """True asks to skip all steps, pauses and analyses."""
    restarted_at: Time | None = None
    """The last spec.restartAt that is carried out."""
    conditions: list[Condition] | None = None
    canary: CanaryStatus | None = None
    blue_green: BlueGreenStatus | None = None
    workload_observed_generation: str | None = None
    alb: ALBStatus | None = None
    albs: list[ALBStatus] | None = None
    duration: RolloutDuration | None = None
