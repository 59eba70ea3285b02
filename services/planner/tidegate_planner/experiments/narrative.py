"""The Events of an experiment, from two views of it (`argo-behaviour.md` 10, 12.3).

Rule of this file: pure. Only differences between what was told last and what is observed now are told. There are no outcomes: those
are about rollouts, and the Rollout of an experiment tells what became of its step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.messages import Record
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.narrative import Chapter, analysis_transition

Json = Mapping[str, Any]

WARNINGS = frozenset({"Failed", "Error", "Inconclusive"})


@dataclass(frozen=True, slots=True)
class Told:
    """`templates` and `runs`: name -> status; `sets`: name -> size."""

    phase: str = ""
    templates: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, int] = field(default_factory=dict)

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
    )


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
        because = f": {status['message']}" if status.get("message") else ""
        yield _record("Experiment", now.phase, f"Experiment transitioned from {before.phase} -> {now.phase}{because}")
    for name, size in now.sets.items():
        former_size = before.sets.get(name, 0)
        if size != former_size:
            word = "up" if size > former_size else "down"
            text = f"Scaled {word} ReplicaSet {name} from {former_size} to {size}"
            yield Record(type="Normal", reason="ScalingReplicaSet", message=text)


def _record(about: str, phase: str, message: str) -> Record:
    return Record(type="Warning" if phase in WARNINGS else "Normal", reason=f"{about}{phase}", message=message)
