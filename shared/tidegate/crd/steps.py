"""The steps of a canary (`argo-behaviour.md` 1.2 and 4). An empty or contradictory step is storable; the planner reports it."""

from tidegate.crd.analysis import DryRun, RolloutAnalysis, RolloutArgument
from tidegate.crd.common import ExtraMetadata, FreeValue, Int32, IntOrString, LabelSelector, Model
from tidegate.crd.experiment import ExperimentService


class Pause(Model):
    """Waits; without duration until someone promotes."""

    duration: IntOrString | None = None
    """Seconds as a number, or e.g. 10s, 5m, 1h."""


class SetCanaryScale(Model):
    """Pods of the canary apart from its weight; exactly one field."""

    weight: Int32 | None = None
    """Percent of spec.replicas."""
    replicas: Int32 | None = None
    """Pods."""
    match_traffic_weight: bool | None = None
    """True: as many as the weight asks for."""


class ExperimentStepTemplate(Model):
    name: str | None = None
    spec_ref: str | None = None
    """stable or canary: whose pod template is copied."""
    replicas: Int32 | None = None
    """Pods. Default 1."""
    metadata: ExtraMetadata | None = None
    selector: LabelSelector | None = None
    weight: Int32 | None = None
    """Percent of traffic for this template; needs a router."""
    service: ExperimentService | None = None


class ExperimentStepAnalysis(Model):
    name: str | None = None
    template_name: str | None = None
    cluster_scope: bool | None = None
    """True names a ClusterAnalysisTemplate. Default false."""
    args: list[RolloutArgument] | None = None
    required_for_completion: bool | None = None
    """True: the experiment succeeds once all such analyses have. Default false."""


class ExperimentStep(Model):
    """Runs an Experiment and waits for its success."""

    templates: list[ExperimentStepTemplate] | None = None
    duration: str | None = None
    """Time from all templates being available to the end, e.g. 30s, 5m, 1h."""
    analyses: list[ExperimentStepAnalysis] | None = None
    dry_run: list[DryRun] | None = None
    analysis_run_metadata: ExtraMetadata | None = None
    scale_down_delay_seconds: Int32 | None = None
    """Seconds from the end until the pods go. Default 30."""


class StringMatch(Model):
    """Exactly one."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HeaderMatch(Model):
    header_name: str | None = None
    header_value: StringMatch | None = None


class SetHeaderRoute(Model):
    """Sends requests with certain headers to the canary."""

    name: str | None = None
    """One of trafficRouting.managedRoutes."""
    match: list[HeaderMatch] | None = None
    """Without it the route is removed."""


class RouteMatch(Model):
    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: dict[str, StringMatch] | None = None


class SetMirrorRoute(Model):
    """Copies certain requests to the canary; its answers are dropped."""

    name: str | None = None
    """One of trafficRouting.managedRoutes."""
    match: list[RouteMatch] | None = None
    """Without it the route is removed."""
    percentage: Int32 | None = None
    """Percent of matching requests. Default 100."""


class PluginStep(Model):
    name: str | None = None
    """<namespace>/<name>."""
    config: FreeValue | None = None
    """The plugin's own configuration."""


class CanaryStep(Model):
    """One kind of step; a weight, a scale and routes may stand together."""

    set_weight: Int32 | None = None
    """Percent of traffic for the canary, 0 to 100 (or maxTrafficWeight)."""
    pause: Pause | None = None
    set_canary_scale: SetCanaryScale | None = None
    analysis: RolloutAnalysis | None = None
    """Runs an analysis and waits for its success."""
    experiment: ExperimentStep | None = None
    set_header_route: SetHeaderRoute | None = None
    set_mirror_route: SetMirrorRoute | None = None
    plugin: PluginStep | None = None
