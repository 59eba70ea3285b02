"""A simulation of the planner: its own `decide` on a modelled cluster, with a seeded clock.

`timeline` and `render` show what a Rollout would do; `python -m tidegate_planner.simulation` looks for what it must not do.
"""

from tidegate_planner.simulation.timeline import Options, TimelineEntry, render, timeline

__all__ = ["Options", "TimelineEntry", "render", "timeline"]
