"""The Events of an experiment, from two views of it (`argo-behaviour.md` 10, 12.3).

Rule of this file: pure. Only differences between what was told last and what is observed now are told. There are no outcomes: those
are about rollouts, and the Rollout of an experiment tells what became of its step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.messages import Record
from tidegate_planner.event_records import analysis_transition
from tidegate_planner.experiments.assess import ENDED
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.narrative import Chapter

Json = Mapping[str, Any]

WARNINGS = frozenset({"Failed", "Error", "Inconclusive"})


@dataclass(frozen=True, slots=True)
class Told:
    """`templates` and `runs`: name -> status; `sets`: name -> size. `ending`: analyses whose runs are cut short by the end."""

    phase: str = ""
    templates: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, int] = field(default_factory=dict)
    ending: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def told_from_json(content: Json) -> Told:
    return Told(**{name: content[name] for name in Told.__slots__ if name in content})


def narrate(before: Told | None, seen: Seen) -> Chapter[Told]:
    """`before` None: nothing is known of what was told. Then an experiment that has a status is not told again."""
    now = _snapshot(seen)
    if before is None:
        before = now if seen.status.get("phase") else Told()
    return Chapter(now, tuple(_records(before, now, seen)))


def _snapshot(seen: Seen) -> Told:
    status = seen.status
    return Told(
        phase=status.get("phase") or "",
        templates={each["name"]: each.get("status") or "" for each in status.get("templateStatuses") or ()},
        runs={each["name"]: each.get("phase") or "" for each in status.get("analysisRuns") or ()},
        sets={each.name: each.replicas for each in seen.replica_sets.values()},
        ending=_ending(seen),
    )


def _ending(seen: Seen) -> dict[str, str]:
    """Analysis -> its run. One that somebody ends while the experiment goes on has a verdict of its own to tell."""
    if seen.status.get("phase") not in ENDED and not (seen.spec and seen.spec.terminate):
        return {}
    ended = {run.name for run in seen.runs if run.terminate}
    told = ((each["name"], each.get("analysisRun") or "") for each in seen.status.get("analysisRuns") or ())
    return {name: run for name, run in told if run in ended}


def _records(before: Told, now: Told, seen: Seen) -> Iterator[Record]:
    status = seen.status
    for each in status.get("templateStatuses") or ():
        name, after, former = each["name"], each.get("status") or "", before.templates.get(each["name"], "")
        if after != former and after:
            because = f": {each['message']}" if each.get("message") else ""
            yield _record("Template", after, f"Template '{name}' transitioned from {former} -> {after}{because}")
    for each in status.get("analysisRuns") or ():
        name, after, former = each["name"], each.get("phase") or "", before.runs.get(each["name"], "")
        if after != former and after:
            yield _record("AnalysisRun", after, analysis_transition(name, former, after, each.get("message") or ""))
    if now.phase != before.phase and now.phase:
        yield _record("Experiment", now.phase, f"Experiment transitioned from {before.phase} -> {now.phase}")
    yield from _consequences(before, now)


def _consequences(before: Told, now: Told) -> Iterator[Record]:
    for name, run in now.ending.items():
        if name not in before.ending:
            yield Record(type="Normal", reason="AnalysisRunTerminating", message=f"Terminating {name} ({run})")
    for name, size in now.sets.items():
        former_size = before.sets.get(name, 0)
        if size != former_size:
            word = "up" if size > former_size else "down"
            text = f"Scaled {word} ReplicaSet {name} from {former_size} to {size}"
            yield Record(type="Normal", reason="ScalingReplicaSet", message=text)


def _record(about: str, phase: str, message: str) -> Record:
    return Record(type="Warning" if phase in WARNINGS else "Normal", reason=f"{about}{phase}", message=message)
