"""The information tree as rows of a table and as labelled facts: texts and places, no colours, no widths. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tidegate.durations import instant
from tidegate_cli import health
from tidegate_cli.ages import age, short
from tidegate_cli.info import AnalysisRunInfo, ExperimentInfo, PluginCallInfo, ReplicaSetInfo, RolloutInfo, TrafficInfo, Tree
from tidegate_cli.steps import step_words

KIND_ICONS = {
    "Rollout": "⟳", "Revision": "#", "ReplicaSet": "⧉", "Pod": "□", "Job": "⊞", "Experiment": "Σ", "AnalysisRun": "α",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`last` tells for each level from the root down to this row whether it is the last child there: enough to draw any tree."""

    name: str
    kind: str
    status: str = ""
    icon: str = ""
    age: str = ""
    info: tuple[str, ...] = ()
    detail: str = ""  # shown in wide output only
    last: tuple[bool, ...] = ()

    @property
    def depth(self) -> int:
        return len(self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the header; `depth` 1 is indented under the one before."""

    label: str
    value: str = ""
    icon: str = ""
    depth: int = 0


def facts(info: Tree, *, now: datetime) -> list[Fact]:
    return _experiment_facts(info) if isinstance(info, ExperimentInfo) else _rollout_facts(info, now=now)


def _experiment_facts(info: ExperimentInfo) -> list[Fact]:
    return [
        Fact(label="Name", value=info.object_meta.name),
        Fact(label="Namespace", value=info.object_meta.namespace),
        Fact(label="Status", value=info.status, icon=info.icon),
        *([Fact(label="Message", value=info.message)] if info.message else []),
        *_image_facts(info.replica_sets),
    ]


def _rollout_facts(info: RolloutInfo, *, now: datetime) -> list[Fact]:
    listed = [
        Fact(label="Name", value=info.object_meta.name),
        Fact(label="Namespace", value=info.object_meta.namespace),
        Fact(label="Status", value=info.status, icon=info.icon),
        *([Fact(label="Message", value=info.message)] if info.message else []),
        Fact(label="Strategy", value=info.strategy),
    ]
    if info.strategy == "Canary":
        listed += [
            *([Fact(label="Step", value=_step(info), depth=1)] if info.step else []),
            *(Fact(label="Plugin", value=_plugin(each), icon=each.icon, depth=1) for each in info.plugin_calls),
            Fact(label="SetWeight", value=info.set_weight, depth=1),
            Fact(label="ActualWeight", value=info.actual_weight, depth=1),
        ]
    if info.traffic is not None:
        listed.append(Fact(label="Traffic", value=_traffic(info.traffic, now), icon=health.icon(info.traffic.state.capitalize())))
    listed += _image_facts([*info.replica_sets, *(each for experiment in info.experiments for each in experiment.replica_sets)])
    listed.append(Fact(label="Replicas"))
    counts = ("desired", "current", "updated", "ready", "available")
    listed += [Fact(label=count.capitalize(), value=str(getattr(info, count)), depth=1) for count in counts]
    return listed


def _plugin(call: PluginCallInfo) -> str:
    text = f"{call.status} ({call.step}: {call.name}, {call.operation})"
    return f"{text}: {call.message}" if call.message else text


def rows(info: Tree, *, now: datetime) -> list[Row]:
    if isinstance(info, ExperimentInfo):
        node = _experiment(info, now)
        return [node.row, *_nested(node.children)]
    root = Row(
        name=info.object_meta.name,
        kind="Rollout",
        status=info.status,
        icon=info.icon,
        age=age(info.object_meta.creation_timestamp, now=now),
    )
    return [root, *_nested([_revision(info, number, now) for number in info.revisions])]


@dataclass(frozen=True, slots=True)
class _Node:
    row: Row
    children: tuple["_Node", ...] = ()


def _nested(nodes: Iterable[_Node], above: tuple[bool, ...] = ()) -> Iterator[Row]:
    listed = list(nodes)
    for place, node in enumerate(listed):
        here = (*above, place == len(listed) - 1)
        yield _placed(node.row, here)
        yield from _nested(node.children, here)


def _placed(row: Row, last: tuple[bool, ...]) -> Row:
    return Row(
        name=row.name, kind=row.kind, status=row.status, icon=row.icon, age=row.age, info=row.info, detail=row.detail, last=last
    )


def _revision(info: RolloutInfo, number: int, now: datetime) -> _Node:
    children = (
        *(_replica_set(each, now) for each in info.replica_sets if each.revision == number),
        *(_experiment(each, now) for each in info.experiments if each.revision == number),
        *(_analysis_run(each, now) for each in info.analysis_runs if each.revision == number),
    )
    return _Node(Row(name=f"revision:{number}", kind="Revision"), children)


def _replica_set(info: ReplicaSetInfo, now: datetime) -> _Node:
    row = Row(
        name=info.object_meta.name,
        kind="ReplicaSet",
        status=info.status,
        icon=info.icon,
        age=age(info.object_meta.creation_timestamp, now=now),
        info=(*info.roles, *_delay(info.scale_down_deadline, now)),
        detail=",".join(info.images),
    )
    pods = tuple(
        _Node(
            Row(
                name=pod.object_meta.name,
                kind="Pod",
                status=pod.status,
                icon=pod.icon,
                age=age(pod.object_meta.creation_timestamp, now=now),
                info=(f"ready:{pod.ready}", *([f"restarts:{pod.restarts}"] if pod.restarts else [])),
            )
        )
        for pod in info.pods
    )
    return _Node(row, pods)


def _experiment(info: ExperimentInfo, now: datetime) -> _Node:
    row = Row(
        name=info.object_meta.name,
        kind="Experiment",
        status=info.status,
        icon=info.icon,
        age=age(info.object_meta.creation_timestamp, now=now),
        detail=info.message,
    )
    children = (
        *(_replica_set(each, now) for each in info.replica_sets),
        *(_analysis_run(each, now) for each in info.analysis_runs),
    )
    return _Node(row, children)


def _analysis_run(info: AnalysisRunInfo, now: datetime) -> _Node:
    row = Row(
        name=info.object_meta.name,
        kind="AnalysisRun",
        status=info.status,
        icon=info.icon,
        age=age(info.object_meta.creation_timestamp, now=now),
        info=_counts(info),
        detail=info.message,
    )
    jobs = tuple(
        _Node(
            Row(
                name=job.object_meta.name,
                kind="Job",
                status=job.status,
                icon=job.icon,
                age=age(job.object_meta.creation_timestamp, now=now),
            )
        )
        for job in info.jobs
    )
    return _Node(row, jobs)


def _counts(info: AnalysisRunInfo) -> tuple[str, ...]:
    counted = (
        (health.OK, info.successful),
        (health.BAD, info.failed),
        (health.UNKNOWN, info.inconclusive),
        (health.WARNING, info.error),
    )
    text = ",".join(f"{icon} {count}" for icon, count in counted if count)
    return (text,) if text else ()


def _delay(deadline: str, now: datetime) -> tuple[str, ...]:
    if not deadline:
        return ()
    left = instant(deadline) - now
    return (f"delay:{short(left)}",) if left.total_seconds() > 0 else ("delay:passed",)


def _step(info: RolloutInfo) -> str:
    index = int(info.step.split("/")[0])
    return f"{info.step} ({step_words(info.steps[index])})" if index < len(info.steps) else info.step


def _traffic(traffic: TrafficInfo, now: datetime) -> str:
    return f"{traffic.state} for {age(traffic.since, now=now)}: {traffic.message}"


def _image_facts(sets: Iterable[ReplicaSetInfo]) -> list[Fact]:
    return [Fact(label="" if place else "Images", value=image) for place, image in enumerate(_images(sets))]


def _images(sets: Iterable[ReplicaSetInfo]) -> list[str]:
    """Images that run, each with the parts it plays; the stable one may also be the canary's after a rollback."""
    tags: dict[str, list[str]] = {}
    for each in sets:
        for image in each.images if each.replicas else ():
            known = tags.setdefault(image, [])
            known.extend(role for role in each.roles if role not in known)
    return [f"{image} ({', '.join(roles)})" if roles else image for image, roles in tags.items()]
