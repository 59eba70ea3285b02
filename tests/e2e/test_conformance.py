"""The peer's recorded scenarios that need nothing but pods, on the same suite; `make conformance` plays all of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.testing import Suite
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e

PLAYER = Path(__file__).parents[1] / "conformance"
PATIENCE = 1200.0  # seconds; they take 40


def conformance(control_plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PLAYER), "--kubeconfig", str(control_plane.kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_basic_canaries_and_refused_specs_end_and_say_what_the_peer_did(control_plane: ControlPlane, suite: Suite) -> None:
    played = conformance(control_plane, "canary-", "invalid-")
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}"
    assert played.stdout.count("ok   canary-") >= 10, played.stdout
    assert played.stdout.count("ok   invalid-") >= 12, played.stdout


def test_an_agreement_that_is_lost_is_named_and_fails(control_plane: ControlPlane, suite: Suite, tmp_path: Path) -> None:
    golden = json.loads((PLAYER / "golden.json").read_text())
    golden["invalid-weight-over"]["end/phase"] = "Healthy"
    golden["invalid-weight-over"]["said/Rollout Normal NobodySaysThis"] = True
    other = tmp_path / "golden.json"
    other.write_text(json.dumps(golden))
    played = conformance(control_plane, "--golden", str(other), "invalid-weight-over")
    assert played.returncode == 1, f"{played.stdout}\n{played.stderr}"
    assert "LOST invalid-weight-over" in played.stdout
    assert "lost: end/phase" in played.stdout
    assert "lost: said/Rollout Normal NobodySaysThis" in played.stdout
