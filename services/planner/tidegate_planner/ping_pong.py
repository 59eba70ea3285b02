"""Ping and pong: two Services that take turns in being the stable one, so that a promotion moves no Service that has traffic
(`argo-behaviour.md` 3.7).

Rule of this file: pure. Whose turn it is stands in `status.canary.stablePingPong`, and changes in the very write that changes the
stable version.
"""

from tidegate.rollout import Canary
from tidegate_planner.situation import Situation

PING, PONG = "ping", "pong"


def is_on(canary: Canary) -> bool:
    return bool(canary.ping_service and canary.pong_service)


def sides(at: Situation) -> tuple[str, str]:
    """The Services of the stable and of the canary side."""
    pair = (at.canary.pong_service, at.canary.ping_service)
    return pair[::-1] if _ping_is_stable(at) else pair


def told(at: Situation) -> str:
    """For the status; "" where nobody has had a turn yet, which means that pong is stable."""
    if not is_on(at.canary) or not (_before(at) or _promoted_now(at)):
        return ""
    return PING if _ping_is_stable(at) else PONG


def _ping_is_stable(at: Situation) -> bool:
    return (_before(at) == PING) != _promoted_now(at)


def _before(at: Situation) -> str:
    return (at.seen.status.get("canary") or {}).get("stablePingPong") or ""


def _promoted_now(at: Situation) -> bool:
    """The first deployment is a promotion too (as with the peer)."""
    return at.progress.stable_hash != (at.seen.status.get("stableRS") or "")
