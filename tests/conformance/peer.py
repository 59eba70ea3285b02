"""`python tests/conformance/peer.py RECORDINGS`: write golden.json, the points on which recordings of the peer agree.

RECORDINGS holds one folder per run with one file per scenario, as `recording.Film.developed` makes them.
"""

import json
import sys
from pathlib import Path

from points import Points, agreed, points_of

GOLDEN = Path(__file__).with_name("golden.json")


def read(file: Path) -> dict[str, Points]:
    golden: dict[str, Points] = json.loads(file.read_text())
    return golden


def golden_of(recordings: Path) -> dict[str, Points]:
    runs = sorted(each for each in recordings.iterdir() if each.is_dir() and any(each.glob("*.json")))
    scenarios = sorted({file.stem for run in runs for file in run.glob("*.json")})
    return {name: agreed([points_of(json.loads((run / f"{name}.json").read_text())) for run in runs]) for name in scenarios}


def main() -> None:
    golden = golden_of(Path(sys.argv[1]))
    lines = (f"{json.dumps(name)}:{json.dumps(points, sort_keys=True, separators=(',', ':'))}" for name, points in golden.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
