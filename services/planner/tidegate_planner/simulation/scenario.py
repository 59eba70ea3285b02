"""What one simulated run is made of, as a value: a rollout, how its pods behave, what people do to it, and what goes wrong.

Rule of this file: data only. A scenario can be printed, cut down and run again; nothing in it depends on the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]

EditKind = Literal[
    "image", "template", "steps", "replicas", "pause", "unpause", "restart", "abort", "retry", "promote", "promote-full",
    "delete-set", "kill-pods", "break-pods", "mend-pods", "wipe-bus", "break-spec", "mend-spec", "take-name",
    "resize-workload", "remove-workload", "return-workload", "scale-down",
]  # fmt: skip
Shifter = Literal["prompt", "slow", "failing", "partial", "unverified", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodBehaviour:
    """How the pods of one version come up. `ready_after` None: never. `spread`: each further one that much later.

    `crash_every`: seconds a pod stays ready before it crashes; it comes back after `ready_after` again, for ever. `waits_with`: why
    the containers of one that is not ready do not run.
    """

    ready_after: float | None = 1.0
    spread: float = 0.0
    crash_every: float | None = None
    waits_with: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Something a person, a tool or bad luck does `at` so many seconds into the run."""

    at: float
    kind: EditKind
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """`crashes` are ordinals of writes, counted over the whole run, after which the planner that made it dies."""

    planners: int = 1
    crashes: frozenset[int] = frozenset()
    stale: float = 0.0  # share of changes that reach a planner's cache only after seconds
    lost: float = 0.0  # share of wake-ups and messages that never arrive
    doubled: float = 0.0  # share of messages that arrive twice, the second time late
    late: float = 0.0  # share of messages that are overtaken by later ones
    shifter: Shifter = "prompt"
    capacity: int | None = None  # pods that fit on the nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`manifest` is the Rollout at its first version. `auto_promote`: somebody ends each endless pause after so many seconds.

    `workload`: the pods, all serving, of the Deployment that the manifest refers to; None where it has a template of its own.
    `verdicts`: phase of a run -> share of the analysis runs that end so. `plugin_phases`: the same of plugins' answers; "" is none.
    """

    seed: int
    manifest: Json
    workload: int | None = None
    behaviours: Mapping[str, PodBehaviour] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    faults: Faults = field(default_factory=Faults)
    auto_promote: float | None = None
    verdicts: Mapping[str, float] = field(default_factory=lambda: {"Successful": 1.0})
    analysis_seconds: float = 5.0
    plugin_phases: Mapping[str, float] = field(default_factory=lambda: {"Successful": 1.0})
    plugin_seconds: float = 1.0
    lasting: frozenset[str] = frozenset()  # kinds of analysis that measure until they are ended
    adds_ports: bool = True  # to pods of experiments, whose share of the traffic needs one; a drawn template has none


def pod_template(version: str) -> dict[str, Any]:
    """A template that differs by its version only; pods behave as the scenario says of this version."""
    return {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]}}


def templates_named_in(manifest: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """For every analysis template that a manifest names, one that takes any arguments and has one metric."""
    if isinstance(manifest, list):
        parts = [templates_named_in(each) for each in manifest]
    elif isinstance(manifest, Mapping):
        parts = [templates_named_in(each) for each in manifest.values()]
        name = manifest.get("templateName")
        if isinstance(name, str):
            kind = "ClusterAnalysisTemplate" if manifest.get("clusterScope") else "AnalysisTemplate"
            parts.append({(kind, name): {"spec": {"metrics": [{"name": name}]}}})
    else:
        parts = []
    return {key: template for part in parts for key, template in part.items()}


def services_named_in(strategy: Json) -> list[str]:
    """Those that a strategy of either kind moves."""
    canary, blue_green = strategy.get("canary") or {}, strategy.get("blueGreen") or {}
    names = [canary.get(field) for field in ("stableService", "canaryService")]
    names += [(canary.get("pingPong") or {}).get(field) for field in ("pingService", "pongService")]
    names += [blue_green.get(field) for field in ("activeService", "previewService")]
    return [name for name in names if name]


def version_of(template: Json) -> str:
    """The tag of the first container's image."""
    image: str = template["spec"]["containers"][0]["image"]
    return image.rpartition(":")[2]
