"""How far a rollout's story was told: the part of its state that Events and outcomes speak of, as one value.

Rule of this file: pure. It is read from what is seen, kept in the message that told it last, and compared with the next view.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.rollout import BlueGreen, revision_in
from tidegate_planner.analysis import UNFINISHED
from tidegate_planner.conditions import ABORTED, CREATE_ERROR, TIMED_OUT
from tidegate_planner.progress import CANARY_PAUSE
from tidegate_planner.seen import AnalysisRun, Seen
from tidegate_planner.step_calls import calls_of

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """The state up to which everything was told. `sets`: hash -> (name, revision, size); `runs`: analysis run -> phase, of those
    that are `_spoken_for`. `experiments`: name -> analysis -> phase.

    `done` stays up once this attempt was Healthy: a pod lost later and replaced is no second completion. `rested` is the present
    step once it has paused and was told to go on. `plugins`: (name, number of the step, operation, phase). `given_up`: why the
    deadline has just asked for an abort, which the next status carries out. `additional`: (weight, Service, hash) of what an
    experiment gets of the traffic. `refused`: what the API server says to the new ReplicaSet.
    """

    hash: str = ""
    stable: str = ""
    revision: int = 0
    annotated: int = 0
    step: int | None = None
    steps_hash: str = ""
    phase: str = ""
    message: str = ""
    pauses: tuple[tuple[str, str], ...] = ()
    held_by_hand: bool = False
    abort: bool = False
    given_up: str = ""
    refused: str = ""
    weight: int | None = None
    additional: tuple[tuple[int, str, str], ...] = ()
    attempt: str = ""
    back_on_stable: bool = False
    done: bool = False
    rested: int | None = None
    sets: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[tuple[str, int, str, str], ...] = ()
    experiments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def paused(self) -> bool:
        return bool(self.pauses) or self.held_by_hand

    @property
    def promoted(self) -> bool:
        return self.stable != "" and self.stable == self.hash

    @property
    def pause_id(self) -> str:
        """Names this pause among all of its attempt. Times have whole seconds, so two steps may pause at the same one; a pause
        step pauses once, so that its number names it even where nobody looked while it lasted."""
        reasons = (reason if reason == CANARY_PAUSE else f"{reason}@{start}" for reason, start in self.pauses)
        return f"{self.step}:{'/'.join((*reasons, *(('spec.paused',) if self.held_by_hand else ())))}"

    def size_of(self, hash_label: str) -> int:
        return self.sets[hash_label][2] if hash_label in self.sets else 0

    def same_attempt(self, other: "Told") -> bool:
        return (self.hash, self.attempt) == (other.hash, other.attempt)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def told_from_json(content: Json) -> Told:
    """The inverse of `as_json`; a snapshot of an older version with other fields still reads."""
    known = {name: content[name] for name in Told.__slots__ if name in content}
    known["pauses"] = tuple((reason, start) for reason, start in known.get("pauses") or ())
    known["plugins"] = tuple((each[0], each[1], each[2], each[3]) for each in known.get("plugins") or ())
    known["additional"] = tuple((each[0], each[1], each[2]) for each in known.get("additional") or ())
    known["sets"] = {key: (value[0], value[1], value[2]) for key, value in (known.get("sets") or {}).items()}
    return Told(**known)


def snapshot(seen: Seen) -> Told:
    status = seen.status
    current = status.get("currentPodHash") or ""
    sets = {each.hash: (each.name, each.revision, each.replicas) for each in seen.replica_sets if not each.deleting}
    weights = (status.get("canary") or {}).get("weights") or {}
    return Told(
        hash=current,
        stable=status.get("stableRS") or "",
        revision=sets[current][1] if current in sets else 0,
        annotated=revision_in(seen.annotations),
        step=status.get("currentStepIndex"),
        steps_hash=status.get("currentStepHash") or "",
        phase=status.get("phase") or "",
        message=status.get("message") or "",
        pauses=tuple((each["reason"], each.get("startTime") or "") for each in status.get("pauseConditions") or ()),
        held_by_hand=seen.spec is not None and seen.spec.paused,
        abort=bool(status.get("abort")) and aborted_condition(status) is not None,
        given_up=_message_of(status, TIMED_OUT) if status.get("abort") else "",
        refused=_message_of(status, CREATE_ERROR),
        weight=(weights.get("canary") or {}).get("weight"),
        additional=tuple(
            (each["weight"], each.get("serviceName") or "", each.get("podTemplateHash") or "")
            for each in weights.get("additional") or ()
            if each.get("weight")  # at 0 it is only asked for
        ),
        attempt=(status.get("duration") or {}).get("rolloutStartedAt") or "",
        back_on_stable=_back_on_stable(seen, current),
        sets=sets,
        runs={run.name: run.phase for run in seen.analysis_runs if run.phase and _spoken_for(run, status)},
        plugins=tuple((each.name, each.index + 1, each.operation, each.phase) for each in calls_of(status) if each.phase),
        experiments={each.name: {name: phase for name, (phase, _) in each.runs.items() if phase} for each in seen.experiments},
    )


def _spoken_for(run: AnalysisRun, status: Json) -> bool:
    """One that was told to end has nothing to say any more, but where a blue-green update names it after its promotion (7.7)."""
    section = status.get("blueGreen") or {}
    named = (section.get(f"{which}PromotionAnalysisRunStatus") or {} for which in ("pre", "post"))
    promoted = status.get("stableRS") == status.get("currentPodHash")
    stays = promoted and run.name in {each.get("name") for each in named}
    return not run.terminate or run.phase in UNFINISHED or stays


def weight_changes(before: Told, now: Told) -> Iterator[str]:
    """In the peer's words; what an experiment gets stands there as Go prints a list of structs."""
    if now.weight is not None and now.weight != before.weight:
        yield f"to {now.weight}" if before.weight is None else f"from {before.weight} to {now.weight}"
    if before.weight is not None and now.additional != before.additional:
        shown = " ".join(f"{{{weight} {service} {hash_label}}}" for weight, service, hash_label in now.additional)
        yield f"additional: [{shown}]"


def aborted_condition(status: Json) -> Json | None:
    """An abort is told once it was carried out, with its reason; the bare flag may be a person's word from a moment ago."""
    return next((each for each in status.get("conditions") or () if each.get("reason") == ABORTED), None)


def _message_of(status: Json, reason: str) -> str:
    return next((each.get("message") or "" for each in status.get("conditions") or () if each.get("reason") == reason), "")


def _back_on_stable(seen: Seen, current: str) -> bool:
    """After an abort: the stable version has all of its pods, and the new one none left, or with blue-green no users."""
    if not seen.status.get("abort") or seen.spec is None:
        return False
    new = next((each for each in seen.replica_sets if each.hash == current), None)
    stable = next((each for each in seen.replica_sets if each.hash == seen.status.get("stableRS")), None)
    if stable is None or stable.available < seen.spec.replicas:
        return False
    if isinstance(seen.spec.strategy, BlueGreen):
        active = seen.services.get(seen.spec.strategy.active_service)
        return active is not None and active.hash == stable.hash
    return new is None or (new.replicas == 0 and new.current == 0)
