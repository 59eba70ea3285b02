"""Outcomes: planner -> everyone."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from tidegate.messages.base import OUTCOMES, Message, Part

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
