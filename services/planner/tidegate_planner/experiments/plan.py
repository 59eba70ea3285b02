"""What a decision about an experiment asks for, beside what a rollout's asks for too. Data only; `apply` carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate_planner.plan import ScaleReplicaSet, StartAnalysis, TerminateAnalysis

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicaSet:
    """The whole ReplicaSet of one template."""

    template: str
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateService:
    template: str
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteService:
    name: str
    uid: str


Action = CreateReplicaSet | ScaleReplicaSet | CreateService | DeleteService | StartAnalysis | TerminateAnalysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is the whole new status; `wake_at` a time in seconds since 1970, None when only a change can matter."""

    status: Json
    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
