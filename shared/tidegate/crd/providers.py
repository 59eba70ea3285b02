"""Where a metric's value comes from: one model per provider (`argo-behaviour.md` 8.1-8.12). Units and defaults stand at the fields.

"Controller namespace" is the one the analyzer runs in.
"""

from typing import Literal

from pydantic import Field

from tidegate.crd.common import ExtraMetadata, FreeObject, FreeValue, Int64, IntOrString, Model, OpenModel, PodTemplate


class Header(Model):
    key: str | None = None
    value: str | None = None


class BasicAuth(Model):
    username: str | None = None
    password: str | None = None


class Sigv4(Model):
    """AWS request signing; used only for addresses of Amazon Managed Prometheus."""

    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None


class OAuth2(Model):
    """Client credentials; used when tokenUrl is set."""

    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    scopes: list[str] | None = None


class Authentication(Model):
    basic_auth: BasicAuth | None = None
    sigv4: Sigv4 | None = None
    oauth2: OAuth2 | None = None


class RangeQuery(Model):
    """Turns the query into one over a span of time."""

    start: str | None = None
    """Expression that yields a time, e.g. now() - duration("10m")."""
    end: str | None = None
    """Expression that yields a time."""
    step: str | None = None
    """Time between points, e.g. 1m."""


class Prometheus(Model):
    address: str | None = None
    """URL with scheme and host."""
    query: str | None = None
    """PromQL."""
    timeout: Int64 | None = None
    """Seconds. Default 30."""
    insecure: bool | None = None
    """True accepts any certificate."""
    headers: list[Header] | None = None
    authentication: Authentication | None = None
    range_query: RangeQuery | None = None


class Web(Model):
    url: str | None = None
    method: str | None = None
    """GET (default), POST or PUT."""
    headers: list[Header] | None = None
    body: str | None = None
    """Raw body; excludes jsonBody."""
    json_body: FreeValue | None = None
    """Body sent as JSON; excludes body."""
    timeout_seconds: Int64 | None = None
    """Seconds. Default 10."""
    json_path: str | None = None
    """Kubernetes JSONPath into the answer. Default {$}."""
    insecure: bool | None = None
    """True accepts any certificate."""
    authentication: Authentication | None = None


class DatadogSecretRef(Model):
    name: str | None = None
    """Secret with the keys api-key, app-key and, optionally, address."""
    namespaced: bool | None = None
    """True: in the namespace of the run; else in the controller namespace."""


class Datadog(Model):
    api_version: Literal["v1", "v2"] = "v1"
    query: str | None = None
    queries: dict[str, str] | None = None
    """Named queries; v2 only, excludes query."""
    formula: str | None = None
    """How several queries become one value; v2 only."""
    aggregator: Literal["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"] | None = None
    """How a series becomes one number; v2 only. Default last."""
    interval: str = "5m"
    """Span that is queried, back from now, e.g. 5m."""
    request_timeout: str = "10s"
    """Time for one request, e.g. 10s."""
    secret_ref: DatadogSecretRef | None = None
    """Default: the environment, else Secret datadog in the controller namespace."""


class Wavefront(Model):
    address: str | None = None
    """Host without scheme."""
    query: str | None = None


class NewRelic(Model):
    profile: str | None = None
    """Secret in the controller namespace. Default newrelic."""
    query: str | None = None
    """NRQL."""
    timeout: Int64 | None = None
    """Seconds. Default 5."""


class Graphite(Model):
    address: str | None = None
    """URL with scheme and host."""
    query: str | None = None
    """Query string of a render call, e.g. target=...&from=-2min."""


class Influxdb(Model):
    profile: str | None = None
    """Secret in the controller namespace. Default influxdb."""
    query: str | None = None
    """Flux."""


class CloudWatchDimension(Model):
    name: str | None = None
    value: str | None = None


class CloudWatchMetric(Model):
    namespace: str | None = None
    metric_name: str | None = None
    dimensions: list[CloudWatchDimension] | None = None


class CloudWatchMetricStat(Model):
    metric: CloudWatchMetric | None = None
    period: IntOrString | None = None
    """Seconds."""
    stat: str | None = None
    unit: str | None = None


class CloudWatchQuery(Model):
    id: str | None = None
    expression: str | None = None
    label: str | None = None
    metric_stat: CloudWatchMetricStat | None = None
    period: IntOrString | None = None
    """Seconds."""
    return_data: bool | None = None


class CloudWatch(Model):
    interval: str | None = None
    """Span that is queried, back from now. Default 5m."""
    metric_data_queries: list[CloudWatchQuery] | None = None


class Skywalking(Model):
    address: str | None = None
    query: str | None = None
    """GraphQL."""
    interval: str | None = None
    """Span that is queried, back from now, e.g. 5m. Required in practice."""


class KayentaThreshold(Model):
    """Scores from 0 to 100."""

    Pass: Int64 | None = Field(default=None, alias="pass")  # `pass` is a keyword
    """At least this is Successful."""
    marginal: Int64 | None = None
    """At least this is Inconclusive; less is Failed."""


class KayentaScopeRange(Model):
    scope: str | None = None
    region: str | None = None
    step: Int64 | None = None
    """Seconds."""
    start: str | None = None
    """RFC 3339; with end, or neither."""
    end: str | None = None
    """RFC 3339; with start, or neither."""


class KayentaScope(Model):
    name: str | None = None
    control_scope: KayentaScopeRange | None = None
    experiment_scope: KayentaScopeRange | None = None


class Kayenta(Model):
    address: str | None = None
    application: str | None = None
    canary_config_name: str | None = None
    metrics_account_name: str | None = None
    configuration_account_name: str | None = None
    storage_account_name: str | None = None
    threshold: KayentaThreshold | None = None
    lookback: bool | None = None
    """True: from the start of the run; else only the last metric interval."""
    scopes: list[KayentaScope] | None = None


class JobSpec(OpenModel):
    """A batch/v1 JobSpec, stored as it comes."""

    template: PodTemplate | None = None


class Job(Model):
    metadata: ExtraMetadata | None = None
    spec: JobSpec | None = None


class Provider(Model):
    """Exactly one."""

    prometheus: Prometheus | None = None
    web: Web | None = None
    datadog: Datadog | None = None
    wavefront: Wavefront | None = None
    new_relic: NewRelic | None = None
    graphite: Graphite | None = None
    influxdb: Influxdb | None = None
    cloud_watch: CloudWatch | None = None
    skywalking: Skywalking | None = None
    kayenta: Kayenta | None = None
    job: Job | None = None
    plugin: FreeObject | None = None
    """One key, the plugin's <namespace>/<name>; its value is the plugin's own configuration."""
