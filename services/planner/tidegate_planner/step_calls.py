"""The calls of step plugins as the status holds them: `status.canary.stepPluginStatuses` (`argo-behaviour.md` 1.3, 4).

Rule of this file: pure values; each function takes a call and returns the next one. A call is written down before anything is
asked, so its state says all: `backoff` set, it waits until `updatedAt` + `backoff`; not set and not over, it is being asked for.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate.durations import duration_text, epoch, go_duration, rfc3339

Json = Mapping[str, Any]

RUN, TERMINATE, ABORT = "Run", "Terminate", "Abort"
RUNNING, SUCCESSFUL, FAILED, ERROR = "Running", "Successful", "Failed", "Error"

SHORTEST_REQUEUE, DEFAULT_REQUEUE = 10.0, 30.0
PATIENCE = 60.0
"""Seconds without an answer after which a call counts as an Error. Whoever needs longer answers Running and is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a plugin said about the call of this `id`."""

    id: str
    phase: str
    message: str = ""
    requeue_after: float = 0.0
    status: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of one step. `executions` counts the Runs that ended, by an answer or by silence."""

    index: int
    name: str
    operation: str = RUN
    phase: str = ""
    message: str = ""
    started_at: str = ""
    updated_at: str = ""
    finished_at: str = ""
    backoff: str = ""
    executions: int = 0
    disabled: bool = False
    status: Any = None

    @property
    def is_over(self) -> bool:
        return self.disabled or bool(self.finished_at) or (self.operation == RUN and self.phase in {SUCCESSFUL, FAILED})

    @property
    def is_asked(self) -> bool:
        """Whether an answer is due."""
        return not self.is_over and not self.backoff

    @property
    def due(self) -> float:
        """When the next thing happens by itself: it is asked again, or counts as unanswered."""
        return epoch(self.updated_at or self.started_at) + (go_duration(self.backoff) if self.backoff else PATIENCE)

    def id_for(self, uid: str, template_hash: str) -> str:
        """Names the call for ever, whoever asks: a planner that takes over asks under the same id, and hears the same answer.

        `startedAt` tells an attempt from the one before it.
        """
        about = f"{uid}/{template_hash}/{self.index}/{self.name}/{self.operation}/{self.started_at}/{self.executions}"
        return hashlib.blake2b(about.encode(), digest_size=16).hexdigest()


def begun(index: int, name: str, operation: str, now: float) -> Call:
    moment = rfc3339(now)
    return Call(index=index, name=name, operation=operation, phase=RUNNING, started_at=moment, updated_at=moment)


def passed_over(index: int, name: str) -> Call:
    """A disabled plugin: the step is done."""
    return Call(index=index, name=name, disabled=True)


def asked_again(call: Call, now: float) -> Call:
    return replace(call, backoff="", updated_at=rfc3339(now))


def answered(call: Call, answer: Answer, now: float) -> Call:
    moment, over = rfc3339(now), answer.phase in {SUCCESSFUL, FAILED}
    if call.operation != RUN:  # not asked again: Running is none of its answers
        phase = FAILED if answer.phase == RUNNING else answer.phase
        return replace(call, phase=phase, message=answer.message, updated_at=moment, finished_at=moment)
    wait = answer.requeue_after if answer.phase == RUNNING and answer.requeue_after > SHORTEST_REQUEUE else DEFAULT_REQUEUE
    return replace(
        call,
        phase=answer.phase,
        message=answer.message,
        updated_at=moment,
        finished_at=moment if over else "",
        backoff="" if over else duration_text(wait),
        executions=call.executions + 1,
        status=call.status if answer.phase == ERROR else answer.status,  # tried again on the last state that was good
    )


def unanswered(call: Call, now: float) -> Call:
    text = f"plugin {call.name} did not answer within {PATIENCE:.0f} s"
    return answered(call, Answer(id="", phase=ERROR, message=text), now)


# --- as JSON -----------------------------------------------------------------------------------------------------------

_FIELDS = {
    "index": "index", "name": "name", "operation": "operation", "phase": "phase", "message": "message", "startedAt": "started_at",
    "updatedAt": "updated_at", "finishedAt": "finished_at", "backoff": "backoff", "executions": "executions",
    "disabled": "disabled", "status": "status",
}  # fmt: skip


def calls_of(status: Json) -> tuple[Call, ...]:
    """Those of a Rollout's status, also as the peer left them."""
    held = (status.get("canary") or {}).get("stepPluginStatuses") or ()
    return tuple(Call(**{ours: each[theirs] for theirs, ours in _FIELDS.items() if each.get(theirs) is not None}) for each in held)


def statuses_of(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """What is empty is left out, as the peer does; the index of the first step is not empty."""
    return [
        {theirs: value for theirs, ours in _FIELDS.items() if (value := getattr(call, ours)) or theirs == "index"} for call in calls
    ]
