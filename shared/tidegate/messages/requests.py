"""Requests and commands: people and delivery tools -> planner."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidegate.messages.base import REQUESTS, Message


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
