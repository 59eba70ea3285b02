"""Blue-green: one Service is switched from version to version."""

import asyncio

from objects import analysis, blue_green, rollout, services, template
from play import Play


async def auto(play: Play) -> None:
    await play.first(*services("active", "preview"), rollout(blue_green(previewService="preview", scaleDownDelaySeconds=3)))
    await play.image("v2")
    await play.healthy()
    await asyncio.sleep(6)


async def manual(play: Play) -> None:
    plan = blue_green(previewService="preview", autoPromotionEnabled=False, scaleDownDelaySeconds=2)
    await play.first(*services("active", "preview"), rollout(plan))
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()
    await asyncio.sleep(5)


async def abort(play: Play) -> None:
    plan = blue_green(previewService="preview", autoPromotionEnabled=False, abortScaleDownDelaySeconds=2)
    await play.first(*services("active", "preview"), rollout(plan))
    await play.image("v2")
    await play.paused()
    await play.abort()
    await play.degraded()
    await asyncio.sleep(5)


async def pre_analysis_fail(play: Play) -> None:
    plan = blue_green(previewService="preview", prePromotionAnalysis=analysis("bad")["analysis"])
    await play.first(template("bad", f"{play.metrics}/bad"), *services("active", "preview"), rollout(plan))
    await play.image("v2")
    await play.degraded()
    await asyncio.sleep(2)


async def analysis_pass(play: Play) -> None:
    good = analysis("good")["analysis"]
    plan = blue_green(prePromotionAnalysis=good, postPromotionAnalysis=good)
    await play.first(template("good", f"{play.metrics}/good"), *services("active"), rollout(plan))
    await play.image("v2")
    await play.healthy()


SCENARIOS = {
    "bluegreen-auto": auto,
    "bluegreen-manual": manual,
    "bluegreen-abort": abort,
    "bluegreen-pre-analysis-fail": pre_analysis_fail,
    "bluegreen-analysis-pass": analysis_pass,
}
