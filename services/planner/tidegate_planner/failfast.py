"""An update whose pods cannot start ends at once instead of at its deadline, where the owner asked for it with the annotation
`tidegate.dev/fail-fast` (N3, AR#1376, AR#1593).

Rule of this file: pure. Pods are looked at only while an update of such a Rollout is under way and pods of it are missing. The
annotation's number says after how many restarts a crash loop counts; what no restart will mend counts at once.
"""

from tidegate import keys
from tidegate.rollout import number_in
from tidegate_planner.plan import LookAtPods
from tidegate_planner.seen import WaitingContainer
from tidegate_planner.situation import Situation

CRASH_LOOP = "CrashLoopBackOff"
TERMINAL = frozenset(
    {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
"""Waiting reasons of a kubelet that has tried, and needs somebody to change something."""


def question(at: Situation) -> LookAtPods | None:
    return LookAtPods(hash=at.progress.current_hash) if _watches(at) else None


def reason(at: Situation) -> str:
    """Why to give up, in one sentence; "" for no reason."""
    limit = _limit(at)
    if limit is None or not _watches(at):
        return ""
    return next((_told(each) for each in at.seen.waiting if _is_hopeless(each, limit)), "")


def _watches(at: Situation) -> bool:
    new, progress = at.roles.new, at.progress
    under_way = not (progress.fully_promoted or progress.abort or at.spec.paused)
    return _limit(at) is not None and under_way and new is not None and new.available < new.current


def _limit(at: Situation) -> int | None:
    return number_in(at.seen.annotations, keys.FAIL_FAST)


def _is_hopeless(each: WaitingContainer, limit: int) -> bool:
    return each.reason in TERMINAL or (each.reason == CRASH_LOOP and each.restarts >= limit)


def _told(each: WaitingContainer) -> str:
    crashed = f" after {each.restarts} restarts" if each.reason == CRASH_LOOP else ""
    because = f": {each.message}" if each.message else ""
    return f'Pod "{each.pod}" cannot start: container "{each.container}" waits with {each.reason}{crashed}{because}'
