"""The plan of an update as numbered stages, and at which of them a status stands: the steps of a canary, or what a blue-green
update goes through from the preview to the switch and after it.

Rule of this file: pure; it reads what the planner wrote and adds nothing to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.rollout import Analysis, BlueGreen, Canary, Experiment
from tidegate_planner.analysis import BACKGROUND, POST_PROMOTION, PRE_PROMOTION, STEP
from tidegate_planner.progress import BLUE_GREEN_PAUSE

Json = Mapping[str, Any]

PREVIEW, PRE, PAUSE, SWITCH, POST = "preview", "prePromotionAnalysis", "pause", "switch", "postPromotionAnalysis"
OF_EXPERIMENT = ""  # its runs carry no kind
KINDS = {PRE: PRE_PROMOTION, POST: POST_PROMOTION}


def stages_of(strategy: Canary | BlueGreen) -> list[str]:
    """In the words that Events use for steps, and the manifest's for the rest."""
    if isinstance(strategy, Canary):
        return [str(step) for step in strategy.steps]
    pauses = not strategy.auto_promotion or strategy.auto_promotion_seconds > 0
    given = {PRE: strategy.pre_promotion is not None, PAUSE: pauses, POST: strategy.post_promotion is not None}
    return [each for each in (PREVIEW, PRE, PAUSE, SWITCH, POST) if given.get(each, True)]


def stage_of(strategy: Canary | BlueGreen, status: Json) -> int | None:
    """The number of the stage; one past the last when all is done, None for a plan without any."""
    if isinstance(strategy, Canary):
        index: int | None = status.get("currentStepIndex")
        return index
    stages = stages_of(strategy)
    if status.get("currentPodHash") == status.get("stableRS"):
        return len(stages)
    return stages.index(_blue_green(stages, status))


def _blue_green(stages: Sequence[str], status: Json) -> str:
    told = status.get("blueGreen") or {}
    if told.get("activeSelector") == status.get("currentPodHash"):
        return POST if POST in stages else SWITCH
    if any(each["reason"] == BLUE_GREEN_PAUSE for each in status.get("pauseConditions") or ()):
        return PAUSE
    if told.get("scaleUpPreviewCheckPoint") or status.get("promoteFull"):
        return SWITCH
    return PRE if told.get("prePromotionAnalysisRunStatus") else PREVIEW


def measured_at(strategy: Canary | BlueGreen, stage: int) -> str | None:
    """The kind of analysis that could fail there; None where nothing is measured."""
    if isinstance(strategy, BlueGreen):
        return KINDS.get(stages_of(strategy)[stage])
    step = strategy.steps[stage]
    if isinstance(step, Analysis):
        return STEP
    if isinstance(step, Experiment) and step.config.get("analyses"):
        return OF_EXPERIMENT
    background = strategy.analysis
    return BACKGROUND if background is not None and stage >= background.starting_step else None
