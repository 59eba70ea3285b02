"""Experiments: ReplicaSets that run side by side for a while and are measured (`argo-behaviour.md` 10).

The planner's shape once more, for another kind of object: `observe` reads the caches, `decide` is pure, `apply` writes, `narrative`
tells. What a Rollout's experiment step makes of an Experiment's end is in `tidegate_planner.experiment_step`.
"""
