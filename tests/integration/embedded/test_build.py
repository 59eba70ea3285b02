"""Finding, caching and timing the build. None of these compiles anything: what a build makes is what all the other tests run."""

import os
from pathlib import Path

import pytest

from tidegate_embedded import ControlPlaneError, build
from tidegate_embedded.progress import Progress, progress_line


@pytest.mark.parametrize(
    ("compiled", "seconds", "expected"),
    [
        pytest.param(50, 10.0, "compiled 50 of 1000 packages in 10 s; too early to estimate", id="too early"),
        pytest.param(250, 90.0, "compiled 250 of 1000 packages in 1 min 30 s; about 4 min 48 s left", id="under way"),
        pytest.param(1000, 360.0, "compiled 1000 of 1000 packages in 6 min 00 s; linking", id="linking"),
        pytest.param(0, 5.0, "compiled 0 of 0 packages in 5 s; linking", id="only the link is stale"),
    ],
)
def test_the_estimate_follows_from_the_rate_so_far(compiled: int, seconds: float, expected: str) -> None:
    total = 0 if compiled == 0 else 1000
    progress = Progress(total=total, started=100.0, compiled=compiled)
    assert progress_line(progress, now=100.0 + seconds) == expected


@pytest.fixture
def module(tmp_path: Path) -> Path:
    for name in ("main.go", "go.mod", "go.sum", "README.md"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", ["main.go", "go.mod", "go.sum"])
def test_a_changed_source_asks_for_a_new_binary(module: Path, name: str) -> None:
    before = build.source_hash(module, [])
    (module / name).write_text("changed")
    assert build.source_hash(module, []) != before


def test_a_changed_readme_does_not(module: Path) -> None:
    before = build.source_hash(module, [])
    (module / "README.md").write_text("changed")
    assert build.source_hash(module, []) == before


def test_the_tool_of_a_module_is_built_as_its_go_mod_says(module: Path) -> None:
    (module / "go.mod").write_text("module ours\n\ntool example.net/them/cmd/thing\n")
    program = build.tool(module)
    assert (program.name, program.package) == (module.name, "example.net/them/cmd/thing")


def test_a_module_without_one_tool_is_refused(module: Path) -> None:
    (module / "go.mod").write_text("module ours\n")
    with pytest.raises(ControlPlaneError, match=r"go.mod: has 0 `tool` lines; it must have exactly one"):
        build.tool(module)


def test_a_ready_made_binary_is_taken_as_it_is(tmp_path: Path) -> None:
    given = tmp_path / "controlplane"
    given.touch(mode=0o755)
    assert build.binary(environment={build.READY_MADE: str(given)}) == given


def test_a_ready_made_binary_that_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneError, match="is not an executable file"):
        build.binary(environment={build.READY_MADE: str(tmp_path / "absent")})


def test_a_binary_in_the_cache_is_found_without_go(tmp_path: Path) -> None:
    cached = tmp_path / "tidegate" / f"controlplane-{build.source_hash(build.MODULE, build.control_plane().flags)}"
    cached.parent.mkdir()
    cached.touch(mode=0o755)
    assert build.binary(environment={"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}) == cached


def test_go_is_taken_from_path_first(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.touch(mode=0o755)
    assert build.go_command({"PATH": os.pathsep.join(["/nowhere", str(tmp_path)])}) == go
