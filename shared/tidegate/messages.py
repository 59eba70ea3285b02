"""Every message on the bus, each class with its subject: the whole vocabulary on one page (DESIGN.md 4).

Commands are imperatives or requests, events are past participles. All are frozen and validated at construction, so inside
the code every message is already good. A message wakes; it is never trusted for state: handlers re-read what they act on.

`{namespace}` and `{name}` in a subject are Kubernetes names escaped by `subject_token` ('.' -> '_', which no Kubernetes
name contains, so it can be undone).
"""

import json
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

REQUESTS = "TIDEGATE_REQUESTS"
TRAFFIC = "TIDEGATE_TRAFFIC"
ANALYSIS = "TIDEGATE_ANALYSIS"
PLUGINS = "TIDEGATE_PLUGINS"
OUTCOMES = "TIDEGATE_OUTCOMES"

DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253, description="a Kubernetes object name")]
Fence = Annotated[
    int,
    Field(
        ge=0,
        description="highest resourceVersion among the objects the decision was made from; a request with a lower one than"
        " the target already carries is stale and dropped",
    ),
]
PLUGIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9][A-Za-z0-9.-]*$"
PluginName = Annotated[
    str, Field(pattern=PLUGIN_NAME, max_length=128, description="<owner>/<name>, as Rollouts write it; no '_', it stands for '.'")
]
MOST_STATUS = 16 * 1024
CallId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="names this very call: a repeat has the same")]


def subject_token(name: str) -> str:
    """A Kubernetes or plugin name as one NATS subject token."""
    return name.replace(".", "_")


def name_from_token(token: str) -> str:
    """The inverse of `subject_token`."""
    return token.replace("_", ".")


class Part(BaseModel):
    """A value inside messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Part):
    """What travels. `subject` is a template over the message's own fields; `type` is the CloudEvents type.

    Without a `stream` it is not stored: whoever listens at the moment hears it. `reply` is where its answer goes, if one is due.
    """

    stream: ClassVar[str]
    subject: ClassVar[str]
    type: ClassVar[str]
    reply: ClassVar[str] = ""

    namespace: DnsName
    name: DnsName

    def subject_of(self) -> str:
        return self.subject.format_map(_Tokens(self))

    def reply_of(self) -> str:
        return self.reply.format_map(_Tokens(self))

    def type_of(self) -> str:
        return self.type.format_map(_Tokens(self)) if "{" in self.type else self.type


class _Tokens(dict[str, str]):
    """A message's fields as subject tokens, each made when it is asked for: a whole manifest is never turned into text for it."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def __missing__(self, field: str) -> str:
        return subject_token(str(getattr(self._message, field)))


# --- requests and commands: people and delivery tools -> planner ------------------------------------------------------


class RolloutRequested(Message):
    """Ask for a change: a whole Rollout manifest, or new images, or a merge patch of the Rollout's spec.

    Exactly one of `manifest`, `images`, `patch`. The answer (`RequestAnswered`) goes to the reply subject, the outcomes to
    their topics, tied together by the CloudEvents attribute `correlationid`.
    """

    stream: ClassVar[str] = REQUESTS
    subject: ClassVar[str] = "tidegate.rollout.requested.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.rollout.requested"

    manifest: dict[str, Any] | None = Field(default=None, description="a whole argoproj.io/v1alpha1 Rollout")
    images: dict[str, str] | None = Field(default=None, description="container name -> image; '*' means every container")
    patch: dict[str, Any] | None = Field(default=None, description="JSON merge patch of the Rollout, e.g. {'spec': {...}}")

    @model_validator(mode="after")
    def _exactly_one_change(self) -> Self:
        given = [field for field in ("manifest", "images", "patch") if getattr(self, field)]
        if len(given) != 1:
            raise ValueError(f"exactly one of manifest, images, patch must be given, got {', '.join(given) or 'none'}")
        return self


Verb = Literal["promote", "promote-full", "abort", "retry", "pause", "resume", "restart", "undo"]


class RolloutCommanded(Message):
    """What a person at the gate says; the same verbs as the CLI (`argo-behaviour.md` 6.1)."""

    stream: ClassVar[str] = REQUESTS
    subject: ClassVar[str] = "tidegate.rollout.command.{verb}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.rollout.commanded"

    verb: Verb
    revision: int | None = Field(default=None, ge=0, description="for undo: the revision to go back to; 0 or none: the one before")


class RequestAnswered(Message):
    """The reply to a request or command. Not stored: it goes to the sender's reply subject only."""

    stream: ClassVar[str] = ""
    subject: ClassVar[str] = ""
    type: ClassVar[str] = "dev.tidegate.rollout.answered"

    accepted: bool
    reason: str = Field(default="", description="why it was refused, naming the field, the value and what would be right")
    generation: int | None = Field(default=None, description="metadata.generation of the Rollout after the change")
    uid: str | None = None


# --- traffic: planner <-> traffic-shifter ------------------------------------------------------------------------------


class Destination(Part):
    """One side of a split. `weight` is out of the split's `max_weight`."""

    weight: int = Field(ge=0)
    service: str | None = None
    hash: str = ""


class HeaderRoute(Part):
    """All requests that match go to the canary. `match` entries have the shape of `setHeaderRoute.match`."""

    name: str
    match: tuple[dict[str, Any], ...]


class MirrorRoute(Part):
    """A copy of `percentage` percent of the requests that match goes to the canary."""

    name: str
    match: tuple[dict[str, Any], ...]
    percentage: int | None = Field(default=None, ge=0, le=100)


class Split(Part):
    """The asked traffic, whole: weights sum to `max_weight`, and only the listed managed routes exist."""

    canary: Destination
    stable: Destination
    additional: tuple[Destination, ...] = ()
    header_routes: tuple[HeaderRoute, ...] = ()
    mirror_routes: tuple[MirrorRoute, ...] = ()
    managed_routes: tuple[str, ...] = Field(default=(), description="names that may be created and removed, in order of priority")
    max_weight: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _weights_sum_to_max(self) -> Self:
        total = self.canary.weight + self.stable.weight + sum(each.weight for each in self.additional)
        if total != self.max_weight:
            raise ValueError(f"weights sum to {total}, they must sum to max_weight {self.max_weight}")
        return self


class ServiceTarget(Part):
    """A Service whose selector must choose the pods of one ReplicaSet (by `rollouts-pod-template-hash`)."""

    service: DnsName
    hash: str = Field(min_length=1)


class Router(Part):
    """One configured traffic router: its name in the registry and its part of `spec.strategy.canary.trafficRouting`."""

    router: str
    config: dict[str, Any]
    split: Split | None = Field(default=None, description="this router's own, where its Services differ from the others'")


class TrafficRequested(Message):
    """The traffic a rollout must have now: desired state, never a step. `digest` names it; the answer repeats it."""

    stream: ClassVar[str] = TRAFFIC
    subject: ClassVar[str] = "tidegate.traffic.requested.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.traffic.requested"

    uid: str
    fence: Fence
    digest: str
    services: tuple[ServiceTarget, ...] = ()
    routers: tuple[Router, ...] = ()
    split: Split | None = None


class RouterReport(Part):
    """What one router was seen to do. `weight` is the canary's observed share, None where nothing could be observed yet."""

    router: str
    state: Literal["applied", "pending", "failed"]
    weight: int | None = None
    verified: bool | None = Field(default=None, description="None: the router cannot be asked; False: asked, not there yet")
    message: str = ""
    status: dict[str, Any] = Field(default_factory=dict, description="fields of the Rollout's status that tell of it: alb, albs")


class TrafficApplied(Message):
    """What the shifter did and saw for the request of this `digest`. `state` is the worst of the reports."""

    stream: ClassVar[str] = TRAFFIC
    subject: ClassVar[str] = "tidegate.traffic.applied.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.traffic.applied"

    uid: str
    fence: Fence
    digest: str
    state: Literal["applied", "pending", "failed"]
    reports: tuple[RouterReport, ...] = ()
    message: str = ""


# --- analysis: planner <-> analyzer ------------------------------------------------------------------------------------


class AnalysisRequested(Message):
    """Create this AnalysisRun if absent, end it, or delete it. `name` is the run's; the `rollout` or the `experiment` owns it."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.requested.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.requested"

    rollout: DnsName | None = None
    experiment: DnsName | None = None
    manifest: dict[str, Any] | None = Field(default=None, description="the whole AnalysisRun to create; None with terminate")
    terminate: bool = False
    delete: str | None = Field(default=None, description="the uid of a finished run that is beyond the history limits")


class AnalysisMeasured(Message):
    """One measurement of one metric was finished."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.measured.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.measured"

    metric: str
    phase: str
    value: str = ""
    message: str = ""


class AnalysisConcluded(Message):
    """A run reached its verdict."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.concluded.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.concluded"

    phase: Literal["Successful", "Failed", "Error", "Inconclusive"]
    message: str = ""


# --- outcomes: planner -> everyone -------------------------------------------------------------------------------------

OutcomeVerb = Literal[
    "started", "step-completed", "paused", "resumed", "weight-changed", "analysis-concluded", "promoted", "completed",
    "aborted", "rolled-back", "degraded", "superseded",
]  # fmt: skip


class RolloutOutcome(Message):
    """What happened to a rollout, derived from observed status transitions (DESIGN.md 4).

    The CloudEvents id is deterministic (uid, revision, verb, detail), so a repeat is a duplicate that consumers can drop.
    """

    stream: ClassVar[str] = OUTCOMES
    subject: ClassVar[str] = "tidegate.rollout.{verb}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.rollout.{verb}"

    verb: OutcomeVerb
    uid: str
    revision: int
    hash: str = Field(description="rollouts-pod-template-hash of the revision")
    phase: str = ""
    message: str = ""
    step: int | None = Field(default=None, description="index of the step this is about, from 0")
    steps: int | None = Field(default=None, description="number of steps in the plan")
    weight: int | None = Field(default=None, description="the canary's weight, in percent")
    images: tuple[str, ...] = ()
    requested_by: str = Field(default="", description="who asked, where known (CloudEvents authid of the request)")


class Record(Part):
    """One core Event to be written on an object: `reason` and `message` are those of `argo-behaviour.md` 12.3."""

    type: Literal["Normal", "Warning"] = "Normal"
    reason: str
    message: str


class EventsRecorded(Message):
    """What a service did to an object, in order; the notifier turns each record into a core Event.

    `id` of each Event is derived from the message's id and the record's place, so a redelivery writes nothing twice.
    """

    stream: ClassVar[str] = OUTCOMES
    subject: ClassVar[str] = "tidegate.recorded.{service}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.recorded"

    service: Literal["planner", "traffic-shifter", "analyzer"]
    kind: Literal["Rollout", "AnalysisRun", "Experiment"] = "Rollout"
    uid: str
    at: datetime
    records: tuple[Record, ...]
    told: dict[str, Any] | None = Field(
        default=None, description="planner only: the snapshot up to which outcomes were told; read back after a restart"
    )


# --- plugins: planner, traffic-shifter, analyzer <-> anyone's process (docs/plugins.md) ---------------------------------
#
# A request is not stored: it is repeated until it is answered, and a metric's may hold a Secret's value. The answer goes to the
# reply subject that the request carries, which names plugin, call and object, so that a body need not repeat them.


class PluginMessage(Message):
    """A question to a plugin, or its answer to the question of this `id`."""

    plugin: PluginName
    id: CallId


class StepRequested(PluginMessage):
    """Carry out a canary step, or undo it (Abort), or stop it (Terminate). Must bear repeats: the same `id` is the same call."""

    stream: ClassVar[str] = ""
    subject: ClassVar[str] = "tidegate.step.requested.{plugin}.{namespace}.{name}"
    reply: ClassVar[str] = "tidegate.step.answered.{plugin}.{id}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.step.requested"

    operation: Literal["Run", "Terminate", "Abort"]
    uid: str
    index: int = Field(ge=0, description="of the step, from 0")
    execution: int = Field(ge=1, description="which Run of this step this is, from 1; Terminate and Abort: after how many")
    revision: int
    hash: str = Field(description="rollouts-pod-template-hash of the new version")
    stable_hash: str
    images: tuple[str, ...] = ()
    config: Any = Field(default=None, description="`plugin.config` of the step, as written")
    status: Any = Field(default=None, description="what the plugin's last answer for this step left in its `status`")


class StepAnswered(PluginMessage):
    """What came of it. Running: ask again after `requeue_after`. Failed: the rollout is aborted. Error: tried again after 30 s."""

    stream: ClassVar[str] = PLUGINS
    subject: ClassVar[str] = StepRequested.reply
    type: ClassVar[str] = "dev.tidegate.step.answered"

    phase: Literal["Running", "Successful", "Failed", "Error"]
    message: str = Field(default="", max_length=4096)
    requeue_after: float = Field(default=0, ge=0, le=86400, description="seconds; up to 10 count as 30")
    status: Any = Field(default=None, description="kept in the Rollout's status, given back with the next request; at most 16 KiB")

    @model_validator(mode="after")
    def _status_fits(self) -> Self:
        size = len(json.dumps(self.status))
        if size > MOST_STATUS:
            raise ValueError(f"status has {size} characters as JSON, at most {MOST_STATUS} fit into the Rollout's own status")
        return self


class RouterRequested(PluginMessage):
    """The whole traffic a rollout must have, never a step towards it. Apply: bring it about, say what is there. Observe: say it."""

    stream: ClassVar[str] = ""
    subject: ClassVar[str] = "tidegate.router.requested.{plugin}.{namespace}.{name}"
    reply: ClassVar[str] = "tidegate.router.answered.{plugin}.{id}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.router.requested"

    operation: Literal["Apply", "Observe"]
    uid: str
    fence: Fence
    split: Split
    config: dict[str, Any] = Field(default_factory=dict, description="what the Rollout says under `trafficRouting.plugins`")


class RouterAnswered(PluginMessage):
    """What the data plane was seen to do. pending: not there yet, asked again; failed: `message` says why, asked again."""

    stream: ClassVar[str] = PLUGINS
    subject: ClassVar[str] = RouterRequested.reply
    type: ClassVar[str] = "dev.tidegate.router.answered"

    state: Literal["applied", "pending", "failed"]
    weight: int | None = Field(default=None, description="the canary's share, where it can be seen")
    verified: bool | None = Field(default=None, description="False: the data plane is not there yet; None: it cannot be asked")
    message: str = Field(default="", max_length=4096)


class MetricRequested(PluginMessage):
    """Take a measurement (Run), look how one goes on (Resume), or give one up (Terminate). `name` is the AnalysisRun's."""

    stream: ClassVar[str] = ""
    subject: ClassVar[str] = "tidegate.metric.requested.{plugin}.{namespace}.{name}"
    reply: ClassVar[str] = "tidegate.metric.answered.{plugin}.{id}.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.metric.requested"

    operation: Literal["Run", "Resume", "Terminate"]
    uid: str
    metric: str
    number: int = Field(ge=1, description="of the measurement, from 1, Errors included")
    config: Any = Field(default=None, description="what the metric says for the plugin, arguments put in: a Secret's too, if named")
    metadata: dict[str, str] = Field(default_factory=dict, description="Resume and Terminate: what the last answer left")


class MetricAnswered(PluginMessage):
    """A value, which the metric's conditions judge, or a phase, where the plugin judges itself. Running: `resume_after` seconds."""

    stream: ClassVar[str] = PLUGINS
    subject: ClassVar[str] = MetricRequested.reply
    type: ClassVar[str] = "dev.tidegate.metric.answered"

    result: Any = Field(default=None, description="what `result` is in conditions: any JSON")
    phase: Literal["", "Running", "Successful", "Failed", "Inconclusive", "Error"] = ""
    value: str = Field(default="", description="the text for the status; without it, `result` as JSON")
    message: str = Field(default="", max_length=4096)
    resume_after: float = Field(default=0, ge=0, le=86400, description="seconds until Resume; 10 where it is not said")
    metadata: dict[str, str] = Field(default_factory=dict, description="kept in the AnalysisRun, given back with the next question")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.phase and "result" not in self.model_fields_set:
            raise ValueError("either `result` (any JSON, null too) or `phase` must be given")
        return self


MESSAGES: tuple[type[Message], ...] = (
    RolloutRequested, RolloutCommanded, RequestAnswered, TrafficRequested, TrafficApplied,
    AnalysisRequested, AnalysisMeasured, AnalysisConcluded, RolloutOutcome, EventsRecorded,
    StepRequested, StepAnswered, RouterRequested, RouterAnswered, MetricRequested, MetricAnswered,
)  # fmt: skip
