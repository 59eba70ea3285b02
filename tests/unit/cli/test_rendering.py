"""The same tree for a pipe and for a screen of any width."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from tidegate_cli.info import (
    AnalysisRunInfo,
    ExperimentInfo,
    Meta,
    PluginCallInfo,
    PodInfo,
    ReplicaSetInfo,
    RolloutInfo,
    TrafficInfo,
)
from tidegate_cli.render.plain import tree_text
from tidegate_cli.render.pretty import list_view, tree_view

NOW = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
BORN = "2026-01-01T00:00:00Z"


def meta(name: str) -> Meta:
    return Meta(name=name, namespace="default", creation_timestamp=BORN)


def pods(name: str, count: int) -> tuple[PodInfo, ...]:
    return tuple(
        PodInfo(object_meta=meta(f"{name}-{at}"), status="Running", icon="✔", ready="1/1", restarts=at) for at in range(count)
    )


def replica_set(name: str, revision: int, *, role: str, image: str, deadline: str = "") -> ReplicaSetInfo:
    return ReplicaSetInfo(
        object_meta=meta(name), status="Healthy", icon="✔", revision=revision, hash="h", replicas=2, available=2,
        stable=role == "stable", canary=role == "canary", images=(image,), pods=pods(name, 2), scale_down_deadline=deadline,
    )  # fmt: skip


INFO = RolloutInfo(
    object_meta=meta("web"), status="Paused", message="CanaryPauseStep", icon="॥", strategy="Canary",
    step="1/2", set_weight="20", actual_weight="20", desired=4, current=4, updated=2, ready=4, available=4,
    replica_sets=(
        replica_set("web-new", 2, role="canary", image="demo:yellow"),
        replica_set("web-old", 1, role="stable", image="demo:blue", deadline="2026-01-01T00:01:30Z"),
    ),
    analysis_runs=(AnalysisRunInfo(object_meta=meta("web-2-1"), status="Running", icon="◌", revision=2, successful=3, failed=1),),
    steps=({"setWeight": 20}, {"pause": {}}),
)  # fmt: skip


def test_a_pipe_gets_ascii_words_in_columns() -> None:
    assert (
        tree_text(INFO, now=NOW)
        == """\
Name:            web
Namespace:       default
Status:          Paused
Message:         CanaryPauseStep
Strategy:        Canary
  Step:          1/2 (pause)
  SetWeight:     20
  ActualWeight:  20
Images:          demo:yellow (canary)
                 demo:blue (stable)
Replicas:
  Desired:       4
  Current:       4
  Updated:       2
  Ready:         4
  Available:     4

NAME              KIND          STATUS    AGE   INFO
web               Rollout       Paused    60s
  revision:2
    web-new       ReplicaSet    Healthy   60s   canary
      web-new-0   Pod           Running   60s   ready:1/1
      web-new-1   Pod           Running   60s   ready:1/1,restarts:1
    web-2-1       AnalysisRun   Running   60s   successful:3,failed:1
  revision:1
    web-old       ReplicaSet    Healthy   60s   stable,delay:30s
      web-old-0   Pod           Running   60s   ready:1/1
      web-old-1   Pod           Running   60s   ready:1/1,restarts:1"""
    )


def on_screen(width: int, *, color: bool = False, wide: bool = False, info: RolloutInfo = INFO) -> str:
    text = StringIO()
    console = Console(file=text, width=width, force_terminal=color, color_system="standard" if color else None, highlight=False)
    console.print(tree_view(info, now=NOW, width=width, wide=wide))
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert max(cell_len(line) for line in on_screen(width).splitlines()) <= width


def test_a_screen_shows_icons_and_branches() -> None:
    lines = on_screen(80).splitlines()
    assert "├──# revision:2" in "\n".join(lines)
    assert any(line.startswith("│  ├──⧉ web-new") and "✔ Healthy" in line and "canary" in line for line in lines)
    assert any(line.startswith("   └──⧉ web-old") for line in lines)


def test_only_a_wide_screen_has_the_column_of_kinds() -> None:
    assert "ReplicaSet" in on_screen(140)
    assert "ReplicaSet" not in on_screen(80)


def test_wide_output_adds_images() -> None:
    assert "demo:yellow" not in tree_text(INFO, now=NOW).partition("NAME ")[2]
    assert "demo:yellow" in tree_text(INFO, now=NOW, wide=True).partition("NAME ")[2]


def test_a_list_keeps_names_whole_on_a_narrow_screen() -> None:
    text = StringIO()
    name = "a-rollout-with-quite-a-long-name-that-nobody-could-guess"
    view = list_view(["NAME", "STATUS", "MESSAGE"], [[name, "Degraded", "m" * 60]])
    Console(file=text, width=40, color_system=None).print(view, soft_wrap=True)
    assert f"{name}  ✖ Degraded  mmm" in text.getvalue()


def test_traffic_that_does_not_move_is_shown_with_its_router_and_since_when() -> None:
    stuck = replace(INFO, traffic=TrafficInfo(state="failed", message="smi: TrafficSplit is not served", since=BORN))
    told = "failed for 60s: smi: TrafficSplit is not served"
    assert f"  ActualWeight:  20\nTraffic:         {told}\nImages:" in tree_text(stuck, now=NOW)
    assert told in on_screen(100, info=stuck)


def test_a_call_of_a_step_plugin_is_shown_under_the_step() -> None:
    call = PluginCallInfo(step=2, name="acme/approval", operation="Run", status="Running", icon="◌", message="waits for ann")
    asked = replace(INFO, plugin_calls=(call,))
    told = "Running (2: acme/approval, Run): waits for ann"
    assert f"  Step:          1/2 (pause)\n  Plugin:        {told}\n  SetWeight:" in tree_text(asked, now=NOW)
    assert told in on_screen(100, info=asked)


EXPERIMENT = ExperimentInfo(
    object_meta=meta("trial"), status="Running", icon="◌", revision=0, message="",
    replica_sets=(replica_set("trial-one", 0, role="", image="demo:blue"),),
    analysis_runs=(AnalysisRunInfo(object_meta=meta("trial-a"), status="Running", icon="◌", revision=0, successful=1),),
)  # fmt: skip


def test_an_experiment_is_drawn_like_a_rollout_with_less_to_say() -> None:
    assert (
        tree_text(EXPERIMENT, now=NOW)
        == """\
Name:            trial
Namespace:       default
Status:          Running
Images:          demo:blue

NAME              KIND          STATUS    AGE   INFO
trial             Experiment    Running   60s
  trial-one       ReplicaSet    Healthy   60s
    trial-one-0   Pod           Running   60s   ready:1/1
    trial-one-1   Pod           Running   60s   ready:1/1,restarts:1
  trial-a         AnalysisRun   Running   60s   successful:1"""
    )


def test_the_experiment_of_a_rollout_stands_under_its_revision() -> None:
    info = replace(INFO, experiments=(replace(EXPERIMENT, revision=2),))
    lines = tree_text(info, now=NOW).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    trial "))
    assert [line.split()[:2] for line in lines[first : first + 5]] == [
        ["trial", "Experiment"], ["trial-one", "ReplicaSet"], ["trial-one-0", "Pod"], ["trial-one-1", "Pod"],
        ["trial-a", "AnalysisRun"],
    ]  # fmt: skip
