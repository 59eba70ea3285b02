"""AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun (`argo-behaviour.md` 7.1, 7.2)."""

from tidegate.crd.common import ExtraMetadata, Int32, IntOrString, Model, OpenModel, Resource, StringMap, Time
from tidegate.crd.providers import Provider


class FieldRef(Model):
    field_path: str | None = None
    """Path into the Rollout, e.g. metadata.labels['env'] or status.canary.weights.canary.weight."""


class SecretKeyRef(Model):
    name: str | None = None
    """Secret in the namespace of the run."""
    key: str | None = None


class ArgumentSource(Model):
    secret_key_ref: SecretKeyRef | None = None
    field_ref: FieldRef | None = None


class Argument(Model):
    """A value for {{args.NAME}} in metrics."""

    name: str | None = None
    value: str | None = None
    """Literal value; without one the caller must supply it."""
    value_from: ArgumentSource | None = None


class RolloutArgumentSource(Model):
    pod_template_hash_value: str | None = None
    """Stable or Latest: the hash of that ReplicaSet."""
    field_ref: FieldRef | None = None


class RolloutArgument(Model):
    """A value that a Rollout hands to the templates it names."""

    name: str | None = None
    value: str | None = None
    value_from: RolloutArgumentSource | None = None


class TemplateRef(Model):
    template_name: str | None = None
    cluster_scope: bool | None = None
    """True names a ClusterAnalysisTemplate. Default false."""


class DryRun(Model):
    """Metrics that are measured and reported but never decide."""

    metric_name: str | None = None
    """Regular expression, unanchored."""


class MeasurementRetention(Model):
    """How many measurements are kept in the status. Default 10 per metric."""

    metric_name: str | None = None
    """Regular expression, unanchored."""
    limit: Int32 | None = None


class RolloutAnalysis(Model):
    """Templates merged into one AnalysisRun."""

    templates: list[TemplateRef] | None = None
    args: list[RolloutArgument] | None = None
    dry_run: list[DryRun] | None = None
    measurement_retention: list[MeasurementRetention] | None = None
    analysis_run_metadata: ExtraMetadata | None = None


class Metric(Model):
    """One thing that is measured, again and again, and how it is judged."""

    name: str | None = None
    """Required, unique in the run."""
    interval: str | None = None
    """Time between measurements, e.g. 30s, 5m, 1h."""
    initial_delay: str | None = None
    """Time from the start of the run to the first measurement, e.g. 30s, 5m."""
    count: IntOrString | None = None
    """Measurements to take. Default 1 without interval, endless with one."""
    success_condition: str | None = None
    """Expression over `result`; true means success."""
    failure_condition: str | None = None
    """Expression over `result`; true means failure and wins over success."""
    failure_limit: IntOrString | None = None
    """Failed measurements that are tolerated. Default 0; -1 for any number."""
    inconclusive_limit: IntOrString | None = None
    """Inconclusive measurements that are tolerated. Default 0."""
    consecutive_error_limit: IntOrString | None = None
    """Errors in a row that are tolerated. Default 4."""
    consecutive_success_limit: IntOrString | None = None
    """Successes in a row that end the metric as Successful. Default 0: off."""
    provider: Provider | None = None
    """Required."""


class AnalysisTemplateSpec(Model):
    metrics: list[Metric] | None = None
    args: list[Argument] | None = None
    dry_run: list[DryRun] | None = None
    measurement_retention: list[MeasurementRetention] | None = None
    templates: list[TemplateRef] | None = None
    """Templates whose metrics are added to these."""


class AnalysisTemplate(Resource):
    """Metrics that AnalysisRuns of this namespace are made from."""

    spec: AnalysisTemplateSpec


class ClusterAnalysisTemplate(Resource):
    """Metrics that AnalysisRuns of any namespace are made from."""

    spec: AnalysisTemplateSpec


class TTLStrategy(Model):
    """When a finished run is deleted, in seconds after its end. Default: never."""

    seconds_after_completion: Int32 | None = None
    """Whatever the result."""
    seconds_after_success: Int32 | None = None
    """After Successful; wins over secondsAfterCompletion."""
    seconds_after_failure: Int32 | None = None
    """After Failed; wins over secondsAfterCompletion."""


class AnalysisRunSpec(Model):
    metrics: list[Metric]
    args: list[Argument] | None = None
    dry_run: list[DryRun] | None = None
    measurement_retention: list[MeasurementRetention] | None = None
    terminate: bool | None = None
    """True ends the run; what is measured so far decides."""
    ttl_strategy: TTLStrategy | None = None


class Measurement(OpenModel):
    phase: str | None = None
    message: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    resume_at: Time | None = None
    """When a measurement that takes time is looked at again."""
    value: str | None = None
    metadata: StringMap | None = None


class Tally(OpenModel):
    """Counts by outcome: of measurements in a metric, of metrics in a run."""

    count: Int32 | None = None
    successful: Int32 | None = None
    failed: Int32 | None = None
    inconclusive: Int32 | None = None
    error: Int32 | None = None


class MetricResult(Tally):
    """What one metric has come to so far; errors do not add to count."""

    name: str | None = None
    phase: str | None = None
    message: str | None = None
    measurements: list[Measurement] | None = None
    """Newest last; older ones are dropped by measurementRetention."""
    consecutive_error: Int32 | None = None
    consecutive_success: Int32 | None = None
    dry_run: bool | None = None
    metadata: StringMap | None = None


class AnalysisRunStatus(OpenModel):
    phase: str | None = None
    """Pending, Running, Successful, Failed, Error or Inconclusive."""
    message: str | None = None
    metric_results: list[MetricResult] | None = None
    started_at: Time | None = None
    completed_at: Time | None = None
    run_summary: Tally | None = None
    dry_run_summary: Tally | None = None


class AnalysisRun(Resource):
    """Measures its metrics until they decide, and tells the verdict."""

    spec: AnalysisRunSpec
    status: AnalysisRunStatus | None = None
