"""The columns of `tidegate list rollouts` and `tidegate list experiments` (`argo-behaviour.md` 13). Pure."""

from datetime import datetime, timedelta

from tidegate.durations import go_duration, instant
from tidegate_cli.ages import age, short
from tidegate_cli.canaries import asked_weight, step_text
from tidegate_cli.phases import phase_and_message
from tidegate_cli.tree import Object, desired_replicas, strategy_of

COLUMNS = ("NAME", "STRATEGY", "STATUS", "STEP", "SET-WEIGHT", "READY", "DESIRED", "UP-TO-DATE", "AVAILABLE")
WIDE_COLUMNS = ("IMAGES", "MESSAGE")
STATUS_COLUMN = "STATUS"
EXPERIMENT_COLUMNS = ("NAME", "STATUS", "DURATION", "REMAINING", "AGE")
ENDED = frozenset({"Successful", "Failed", "Error", "Inconclusive"})


def columns(*, everywhere: bool) -> tuple[str, ...]:
    return ("NAMESPACE", *COLUMNS) if everywhere else COLUMNS


def line(rollout: Object, *, everywhere: bool, wide: bool) -> tuple[str, ...]:
    status = rollout.get("status") or {}
    phase, message = phase_and_message(rollout)
    canary = strategy_of(rollout) == "Canary"
    cells = (
        rollout["metadata"]["name"],
        strategy_of(rollout),
        phase,
        step_text(rollout) or "-",
        str(asked_weight(rollout)) if canary else "-",
        f"{status.get('readyReplicas') or 0}/{status.get('replicas') or 0}",
        str(desired_replicas(rollout)),
        str(status.get("updatedReplicas") or 0),
        str(status.get("availableReplicas") or 0),
    )
    detail = (",".join(_images(rollout)) or "-", message or "-") if wide else ()
    return (*((rollout["metadata"]["namespace"],) if everywhere else ()), *cells, *detail)


def _images(rollout: Object) -> list[str]:
    template = (rollout.get("spec") or {}).get("template") or {}
    return [each.get("image", "") for each in (template.get("spec") or {}).get("containers") or ()]


def experiment_columns(*, everywhere: bool) -> tuple[str, ...]:
    return ("NAMESPACE", *EXPERIMENT_COLUMNS) if everywhere else EXPERIMENT_COLUMNS


def experiment_line(experiment: Object, *, now: datetime, everywhere: bool) -> tuple[str, ...]:
    metadata, status = experiment["metadata"], experiment.get("status") or {}
    lasts = _duration(experiment)
    available_at = "" if status.get("phase") in ENDED else status.get("availableAt") or ""
    left = instant(available_at) + lasts - now if available_at and lasts else timedelta(0)
    cells = (
        metadata["name"],
        status.get("phase") or "Pending",
        short(lasts) if lasts else "-",
        short(left) if left > timedelta(0) else "-",
        age(metadata.get("creationTimestamp"), now=now),
    )
    return (metadata["namespace"], *cells) if everywhere else cells


def _duration(experiment: Object) -> timedelta | None:
    text = (experiment.get("spec") or {}).get("duration")
    try:
        return timedelta(seconds=go_duration(text)) if text else None
    except ValueError:
        return None
