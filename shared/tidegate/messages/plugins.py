"""Plugins: planner, traffic-shifter, analyzer <-> anyone's process (docs/plugins.md).

A request is not stored: it is repeated until it is answered, and a metric's may hold a Secret's value. The answer goes to the
reply subject that the request carries, which names plugin, call and object, so that a body need not repeat them.
"""

import json
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidegate.messages.base import MOST_STATUS, PLUGINS, CallId, Fence, Message, PluginName
from tidegate.messages.traffic import Split


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
