"""The blue-green strategy: the new version comes up beside the old one, is looked at through the preview Service, and gets all
users at once when the active Service moves (`argo-behaviour.md` 5).

Rule of this file: pure; it answers what `strategies.Strategy` asks. The switch is seen, not assumed: what follows it waits until
the active Service itself is found to choose the new version, and no pods go before their Service has moved.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate import keys
from tidegate.durations import epoch, rfc3339
from tidegate.messages import ServiceTarget, TrafficRequested
from tidegate_planner import analysis, cutover, delays, routing
from tidegate_planner.progress import (
    BLUE_GREEN_PAUSE,
    FAST_ROLLBACK,
    FULL_PROMOTION,
    WITHIN_WINDOW,
    PauseCondition,
    Progress,
    aborted,
    accepted,
    at_end,
    paused,
    promoted,
)
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation

Json = Mapping[str, Any]

SECTION = "blueGreen"


# --- progress ----------------------------------------------------------------------------------------------------------


def advanced(at: Situation) -> Progress:
    """One look moves it by one thing at most: each one (judged, paused, accepted, switched, promoted) waits for something seen."""
    progress = at.progress
    if progress.abort or progress.fully_promoted:
        return progress
    if not at.spec.paused and _is_new(at) and cutover.returns_in_time(at):
        return accepted(progress)
    if not at.spec.paused and at.within_window and not (progress.preview_accepted or cutover.done(at)):
        return accepted(at_end(progress, steps=None))
    verdict = analysis.verdict(at)
    if verdict.abort_reason is not None:
        return aborted(progress, reason=verdict.abort_reason, now=rfc3339(at.now), steps=None)
    if verdict.inconclusive is not None:
        return paused(progress, reason=verdict.inconclusive, now=rfc3339(at.now))
    if at.spec.paused or progress.inconclusive:
        return progress
    if cutover.done(at):
        return _after_switch(at)
    return progress if progress.promote_full or progress.preview_accepted else _before_switch(at)


def _is_new(at: Situation) -> bool:
    """This very look found the template changed."""
    return at.seen.status.get("currentPodHash") != at.progress.current_hash


def _before_switch(at: Situation) -> Progress:
    """Judged first, then paused if so configured, then accepted. The pods of the preview must be there for each of them.

    A deadline from an earlier life (an abort before a retry) must be gone first: on an accepted version it means a fast rollback.
    """
    progress, new = at.progress, at.roles.new
    if not _passed_before(at):
        return _without_flag(progress)
    if new is None or new.scale_down_deadline is not None or not cutover.preview_ready(at):
        return progress
    held = progress.pause_for(BLUE_GREEN_PAUSE)
    if _pause_is_over(at, held):
        return accepted(progress)
    return paused(progress, reason=BLUE_GREEN_PAUSE, now=rfc3339(-(-at.now // 1)))


def _passed_before(at: Situation) -> bool:
    return at.blue_green.pre_promotion is None or analysis.passed(at, analysis.PRE_PROMOTION)


def _passed_after(at: Situation) -> bool:
    skipped = at.progress.promote_full or at.within_window or cutover.fast_rollback(at)
    return skipped or at.blue_green.post_promotion is None or analysis.passed(at, analysis.POST_PROMOTION)


def _without_flag(progress: Progress) -> Progress:
    """`controllerPause` without a pause says here that a person let an inconclusive run pass; its successor is under way."""
    return progress if progress.pauses else replace(progress, controller_pause=False)


def _pause_is_over(at: Situation, held: PauseCondition | None) -> bool:
    """A person cleared it, its time ran out, or there is none. Without auto promotion only a person ends it (5.3)."""
    if held is None and at.progress.controller_pause:
        return True
    if not at.blue_green.auto_promotion:
        return False
    seconds = at.blue_green.auto_promotion_seconds
    return seconds == 0 or (held is not None and at.now >= epoch(held.start_time) + seconds)


def _after_switch(at: Situation) -> Progress:
    """Users are on the new version; it is stable once all of it serves, load balancers have it, and it is judged good there too."""
    progress = _without_flag(at.progress)
    if not _reached(at) or not _passed_after(at) or at.new_count.available < at.spec.replicas:
        return progress
    return promoted(progress, because=_reason(at), steps=None)


def _reason(at: Situation) -> str:
    """Of several the first, as in 6.2."""
    if at.progress.promote_full:
        return FULL_PROMOTION
    if at.within_window:
        return WITHIN_WINDOW
    return FAST_ROLLBACK if cutover.fast_rollback(at) else "Completed blue-green update"


def _reached(at: Situation) -> bool:
    """Whether no load balancer is known to lack the pods of the new version. Old pods stay until all are known to have them."""
    return routing.awaited(at, request(at)) is None


def pause_ends(at: Situation) -> float | None:
    """When the pause that is being waited for is over, in seconds since 1970."""
    held, seconds = at.progress.pause_for(BLUE_GREEN_PAUSE), at.blue_green.auto_promotion_seconds
    return epoch(held.start_time) + seconds if held is not None and at.blue_green.auto_promotion else None


# --- Services ----------------------------------------------------------------------------------------------------------


def request(at: Situation) -> TrafficRequested | None:
    """Preview is on the new version at once: whoever looks there must never take the old one for it.

    Users may be asked to go there and, by an abort or a next version, to stay here within the time that the first takes. That they
    were here before is no answer to the second.
    """
    blue_green, held_still = at.blue_green, at.spec.paused or at.progress.inconclusive
    active = _pointed(at, blue_green.active_service, _active(at))
    at_once = None if held_still or at.roles.new is None else at.roles.new.hash
    preview = ServiceTarget(service=blue_green.preview_service, hash=at_once) if blue_green.preview_service and at_once else None
    services = tuple(each for each in (active, preview) if each is not None)
    progress = at.progress
    arrived = cutover.done(at) and not progress.fully_promoted and not progress.abort
    about = f"{at.revision} {progress.abort} {progress.preview_accepted or progress.promote_full or arrived}"
    return routing.request_for(at, services=services, about=about) if services else None


def _active(at: Situation) -> ReplicaSet | None:
    """The version that users should be on; None leaves the Service as it is.

    An abort brings them back whatever holds a promotion up: neither a failing new version nor `spec.paused` is a reason to leave
    them there.
    """
    progress, new, stable = at.progress, at.roles.new, at.roles.stable
    if progress.abort:
        return stable
    behind = cutover.behind_active(at)
    if at.spec.paused or progress.inconclusive:
        return behind
    allowed = progress.preview_accepted or progress.promote_full or progress.fully_promoted
    if allowed and cutover.saturated(at):
        return new
    return behind or (None if stable is new else stable)


def _pointed(at: Situation, service: str, chosen: ReplicaSet | None) -> ServiceTarget | None:
    """Without any pods wanted there is nothing to wait for, and nobody to be disappointed."""
    if at.spec.replicas == 0 and chosen is not None:
        return ServiceTarget(service=service, hash=chosen.hash)
    return routing.service_target(at, service, chosen)


# --- pods --------------------------------------------------------------------------------------------------------------


def sizes(at: Situation, now: dict[str, int]) -> dict[str, int]:
    """Stable is whole until another one is stable. Nobody shrinks before the Services were seen to have moved (N15)."""
    roles, progress = at.roles, at.progress
    wanted = dict(now)
    if roles.stable is not None and roles.stable is not roles.new:
        wanted[roles.stable.hash] = at.spec.replicas
    if not progress.abort:
        wanted[progress.current_hash] = cutover.new_size(at)
    elif not delays.keeps_aborted(at):
        wanted[progress.current_hash] = 0
    for each in () if progress.inconclusive else roles.older:  # nobody knows yet which of them is wanted again
        wanted[each.hash] = _lingering_size(at, each) if delays.lingers(at, each) else 0
    return {each: max(size, now[each]) if _holds(at, each) else size for each, size in wanted.items()}


def _holds(at: Situation, hash_label: str) -> bool:
    """Whether a ReplicaSet may have users: it is behind the active Service, or a switch is under way."""
    asked = request(at)
    under_way = asked is not None and not routing.answered(at, asked)
    serves = cutover.selected(at, at.blue_green.active_service) == hash_label and hash_label != at.progress.current_hash
    aborted_too_late = at.progress.abort and cutover.done(at)
    return under_way or serves or aborted_too_late


def _lingering_size(at: Situation, older: ReplicaSet) -> int:
    """A way back must carry all users at once, however many there are by now (5.4); what was never stable is none."""
    is_way_back = older.scale_down_deadline is not None and not older.never_stable
    return at.spec.replicas if is_way_back else older.replicas


def deadlines(at: Situation, sizes: delays.Sizes) -> dict[str, str | None]:
    """A fast rollback keeps its mark until it is promoted; users are off a version before its delay begins."""
    changes = delays.used_changes(at)
    if at.roles.new is not None and cutover.fast_rollback(at):
        changes.pop(at.roles.new.hash, None)
    chosen = cutover.selected(at, at.blue_green.active_service)
    begun = {**delays.older_changes(at, sizes), **delays.aborted_changes(at)}
    return {**changes, **{each: deadline for each, deadline in begun.items() if each != chosen or deadline is None}}


# --- status ------------------------------------------------------------------------------------------------------------


def serving(at: Situation) -> tuple[ReplicaSet, ...]:
    """Users reach what is behind the active Service and nothing else (5.7)."""
    behind = cutover.behind_active(at)
    return () if behind is None else (behind,)


def scale_selector(at: Situation) -> Json:
    """The autoscaler looks at the pods that users are on."""
    behind, selector = cutover.behind_active(at), at.spec.selector
    if behind is None:
        return selector
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: behind.hash}}


def section(at: Situation) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "activeSelector": cutover.selected(at, at.blue_green.active_service),
        "previewSelector": cutover.selected(at, at.blue_green.preview_service),
        "scaleUpPreviewCheckPoint": at.progress.preview_accepted and not _speaks_for_itself(at),
        **analysis.run_statuses(at),
    }
    return {field: value for field, value in fields.items() if value}


def _speaks_for_itself(at: Situation) -> bool:
    """Users on the new version say that it was accepted. A small preview and a fast rollback need it noted all the same."""
    new = at.roles.new
    return cutover.done(at) and at.blue_green.preview_replicas is None and new is not None and new.scale_down_deadline is None


def is_healthy(at: Situation, status: Json) -> bool:
    """All users on all pods of the new version. One that is still measured there is healthy too; the phase tells (6.5)."""
    counts = {int(status.get(field, 0)) for field in ("updatedReplicas", "availableReplicas")}
    services = (at.blue_green.active_service, at.blue_green.preview_service)
    pointed = all(cutover.selected(at, each) == at.progress.current_hash for each in services if each)
    return counts == {at.spec.replicas} and pointed


def unfinished(at: Situation, status: Json) -> str:
    del status
    if not cutover.done(at):
        return "active service cutover pending"
    if at.progress.fully_promoted:
        return ""
    return "waiting for post-promotion verification to complete" if _passed_after(at) else "waiting for analysis to complete"


def takes_its_time(at: Situation) -> bool:
    return analysis.measures(at)


def waits_for_person(at: Situation) -> bool:
    return at.progress.pause_for(BLUE_GREEN_PAUSE) is not None and not at.blue_green.auto_promotion
