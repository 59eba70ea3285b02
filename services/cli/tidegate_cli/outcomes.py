"""An outcome in one line, and what the outcomes of a request amount to. Pure."""

from dataclasses import dataclass

from tidegate.messages import RolloutOutcome

GOOD = frozenset({"completed"})
BAD = frozenset({"aborted", "rolled-back", "degraded", "superseded"})


@dataclass(slots=True, kw_only=True)
class Verdict:
    """Tells the last outcome of one request. Those of another change to the same rollout may come in between: a request that
    replaces an unfinished update is answered by that one's `superseded` first."""

    correlation: str
    revision: int | None = None

    def exit_code(self, outcome: RolloutOutcome, *, correlation: str) -> int | None:
        """0 when it has completed, 1 when it has failed, None while it goes on."""
        if correlation and correlation != self.correlation:
            return None
        if outcome.verb == "started":
            self.revision = outcome.revision
        if not correlation and outcome.revision != self.revision:
            return None
        if outcome.verb in GOOD:
            return 0
        return 1 if outcome.verb in BAD else None


def outcome_line(outcome: RolloutOutcome, *, time: str) -> str:
    """`10:15:02  default/web  revision 2  step-completed  step 1/8, weight 20  ...`"""
    place = f"{outcome.namespace}/{outcome.name}"
    return f"{_clock(time)}{place}  revision {outcome.revision}  {outcome.verb:<18}  {outcome_detail(outcome)}".rstrip()


def outcome_detail(outcome: RolloutOutcome) -> str:
    """The message is the rollout's own at that moment; it says something about an outcome only where something holds or fails."""
    parts = (
        _step(outcome),
        f"weight {outcome.weight}" if outcome.weight is not None else "",
        outcome.message if outcome.verb in BAD | {"paused"} else "",
    )
    return ", ".join(part for part in parts if part)


def _step(outcome: RolloutOutcome) -> str:
    """Counted like the tree's `Step`: how many are done. A step is told as completed by its own index, which is one less."""
    if outcome.step is None or not outcome.steps:
        return ""
    done = outcome.step + (outcome.verb == "step-completed")
    return f"step {done}/{outcome.steps}"


def _clock(time: str) -> str:
    """The time of day of an RFC 3339 text; the date is in the JSON output."""
    _, _, clock = time.partition("T")
    return f"{clock[:8]}  " if clock else ""
