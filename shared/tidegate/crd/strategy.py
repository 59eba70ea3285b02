"""Canary and blue-green (`argo-behaviour.md` 1.2). Both, or neither, is storable; the planner reports it."""

from tidegate.crd.analysis import RolloutAnalysis
from tidegate.crd.common import ExtraMetadata, Int32, IntOrString, Model
from tidegate.crd.routing import TrafficRouting
from tidegate.crd.steps import CanaryStep


class PreferredAntiAffinity(Model):
    weight: Int32 | None = None
    """1 to 100."""


class RequiredAntiAffinity(Model):
    """Takes no fields."""


class AntiAffinity(Model):
    """Keeps pods of the new and the stable version on different nodes; exactly one."""

    # pydantic's camel case of the full snake case is the same word; the long names are Kubernetes' own
    preferred_during_scheduling_ignored_during_execution: PreferredAntiAffinity | None = None
    required_during_scheduling_ignored_during_execution: RequiredAntiAffinity | None = None


class PingPong(Model):
    """Two Services that take turns in being the stable one, so that no selector changes under load."""

    ping_service: str | None = None
    pong_service: str | None = None


class ReplicaProgressThreshold(Model):
    """Availability at which a step may go on."""

    type: str | None = None
    """Percent or Pods."""
    value: Int32 | None = None


class BackgroundAnalysis(RolloutAnalysis):
    """Runs beside the steps; its failure aborts."""

    starting_step: Int32 | None = None
    """Index of the step it starts with. Default 0."""


class Canary(Model):
    canary_service: str | None = None
    stable_service: str | None = None
    steps: list[CanaryStep] | None = None
    """Without steps: a plain rolling update."""
    traffic_routing: TrafficRouting | None = None
    max_surge: IntOrString | None = None
    """Pods above spec.replicas: a number; text is a percentage, with or without %. Default 25%."""
    max_unavailable: IntOrString | None = None
    """Pods below spec.replicas: a number; text is a percentage, with or without %. Default 25%."""
    analysis: BackgroundAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    canary_metadata: ExtraMetadata | None = None
    stable_metadata: ExtraMetadata | None = None
    scale_down_delay_seconds: Int32 | None = None
    """Seconds the old pods stay after promotion. Default 30; needs trafficRouting."""
    scale_down_delay_revision_limit: Int32 | None = None
    """Old revisions that may stay. Default: all."""
    abort_scale_down_delay_seconds: Int32 | None = None
    """Seconds the canary's pods stay after an abort. Default 30; 0 keeps them."""
    dynamic_stable_scale: bool | None = None
    """True shrinks the stable pods as the canary's weight grows; needs trafficRouting."""
    ping_pong: PingPong | None = None
    min_pods_per_replica_set: Int32 | None = None
    """Least pods of a ReplicaSet that has weight; needs trafficRouting."""
    replica_progress_threshold: ReplicaProgressThreshold | None = None


class BlueGreen(Model):
    active_service: str | None = None
    """Required: Service of the version that users see."""
    preview_service: str | None = None
    """Service of the version to come."""
    preview_replica_count: Int32 | None = None
    """Pods of the version to come until it may be promoted. Default spec.replicas."""
    auto_promotion_enabled: bool | None = None
    """False waits for someone to promote. Default true."""
    auto_promotion_seconds: Int32 | None = None
    """Seconds to wait before promotion. Default 0."""
    scale_down_delay_seconds: Int32 | None = None
    """Seconds the old pods stay after promotion. Default 30."""
    scale_down_delay_revision_limit: Int32 | None = None
    """Old revisions that may stay. Default: all."""
    abort_scale_down_delay_seconds: Int32 | None = None
    """Seconds the preview's pods stay after an abort. Default 30; 0 keeps them."""
    pre_promotion_analysis: RolloutAnalysis | None = None
    post_promotion_analysis: RolloutAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    preview_metadata: ExtraMetadata | None = None
    active_metadata: ExtraMetadata | None = None
    max_unavailable: IntOrString | None = None
    """Pods that a restart may take away at once: a number; text is a percentage, with or without %. Default 25%."""


class Strategy(Model):
    """Exactly one."""

    canary: Canary | None = None
    blue_green: BlueGreen | None = None
