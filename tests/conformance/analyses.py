"""Analysis and experiments: measurements decide."""

import asyncio

from objects import analysis, canary, pause, rollout, template, weight
from play import Play


async def step_pass(play: Play) -> None:
    await play.first(template("good", f"{play.metrics}/good"), rollout(canary(weight(25), analysis("good"), weight(50))))
    await play.image("v2")
    await play.healthy()


async def step_fail(play: Play) -> None:
    await play.first(template("bad", f"{play.metrics}/bad"), rollout(canary(weight(25), analysis("bad"), weight(50))))
    await play.image("v2")
    await play.degraded()
    await asyncio.sleep(2)


async def background_pass(play: Play) -> None:
    plan = {"canary": {**analysis("good"), "steps": [weight(25), pause("3s"), weight(50)]}}
    await play.first(template("good", f"{play.metrics}/good", interval="1s"), rollout(plan))
    await play.image("v2")
    await play.healthy()
    await asyncio.sleep(2)


async def args_dry_run(play: Play) -> None:
    checked = template("args", f"{play.metrics}/{{{{args.path}}}}")
    metric = checked["spec"]["metrics"][0]
    checked["spec"] |= {
        "args": [{"name": "path"}, {"name": "hash"}],
        "metrics": [metric, {**metric, "name": "dry", "successCondition": "result.rate > 2"}],
        "dryRun": [{"metricName": "dry"}],
    }
    args = [{"name": "path", "value": "good"}, {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    await play.first(checked, rollout(canary(weight(25), analysis("args", args=args))))
    await play.image("v2")
    await play.healthy()


async def experiment(play: Play) -> None:
    templates = [{"name": name, "specRef": ref, "replicas": 1} for name, ref in (("base", "stable"), ("cand", "canary"))]
    step = {"experiment": {"duration": "3s", "templates": templates, "analyses": [{"name": "a", "templateName": "good"}]}}
    await play.first(template("good", f"{play.metrics}/good"), rollout(canary(weight(25), step, weight(50))))
    await play.image("v2")
    await play.healthy()
    await asyncio.sleep(2)


SCENARIOS = {
    "analysis-step-pass": step_pass,
    "analysis-step-fail": step_fail,
    "analysis-background-pass": background_pass,
    "analysis-args-dryrun": args_dry_run,
    "experiment-step": experiment,
}
