"""What a run cost: CPU and memory of our processes from /proc, API writes from the audit log."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete"})
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """User and system time that the process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@dataclass(frozen=True, slots=True)
class Write:
    agent: str
    verb: str
    resource: str
    refused: bool

    @property
    def is_event(self) -> bool:
        return self.resource == "events"


class AuditLog:
    """Reads on from where the last reading stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size

    def skip(self) -> None:
        self._position = self._path.stat().st_size

    def writes(self) -> Counter[Write]:
        """Writes of our services since the last call. A refused one costs the server as much, so it is counted and named."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            content = log.read()
        whole = content.rpartition(b"\n")[0]
        self._position += len(whole) + 1 if whole else 0
        return Counter(write for line in whole.splitlines() if (write := _write(line)) is not None)


def _write(line: bytes) -> Write | None:
    entry = json.loads(line)
    agent = entry.get("userAgent", "")
    if entry.get("stage") != "ResponseComplete" or entry["verb"] not in WRITES or not agent.startswith("tidegate-"):
        return None
    if agent.startswith("tidegate-bench"):
        return None
    reference = entry.get("objectRef") or {}
    resource = "/".join(each for each in (reference.get("resource", "?"), reference.get("subresource")) if each)
    refused = (entry.get("responseStatus") or {}).get("code", 0) >= 400
    return Write(agent.partition("/")[0], entry["verb"], resource, refused)


class Costs:
    """CPU of named processes since it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._start = {name: cpu_ms(pid) for name, pid in pids.items()}

    def cpu(self) -> dict[str, float]:
        return {name: cpu_ms(pid) - self._start[name] for name, pid in self._pids.items()}

    def rss(self) -> dict[str, float]:
        return {name: rss_mb(pid) for name, pid in self._pids.items()}
