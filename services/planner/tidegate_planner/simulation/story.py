"""What a run tells: the break it ends in, and the shortest scenario found that still breaks the same promise.

Rule of this file: text for people; a story names the seed, so that it can be told again.
"""

from dataclasses import dataclass, fields

from tidegate_planner.decide import decide
from tidegate_planner.simulation.invariants import BrokenError
from tidegate_planner.simulation.process import Decision
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Faults, PodBehaviour, Scenario
from tidegate_planner.simulation.scheduler import OverrunError
from tidegate_planner.simulation.shorter import shorter

MOST_ATTEMPTS = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """`broken` is "" for a run that kept every promise, else the name of the first one broken."""

    broken: str = ""
    reason: str = ""
    writes: int = 0
    passes: int = 0


def outcome_of(scenario: Scenario, *, lines: list[str] | None = None, decide: Decision = decide) -> Outcome:
    """Play it to its end or its first break. `lines` gets the story."""
    listener = None if lines is None else (lambda moment, text: lines.append(f"{moment:10.3f}  {text}"))
    run = Run(scenario, listener=listener, decide=decide)
    try:
        run.play()
    except BrokenError as broken:
        return Outcome(broken.name, str(broken), run.writes, run.passes)
    except OverrunError as overrun:
        return Outcome("loop", str(overrun), run.writes, run.passes)
    except Exception as error:  # noqa: BLE001 - whatever `decide` raises is a finding, with its seed
        return Outcome("error", f"{type(error).__name__}: {error}", run.writes, run.passes)
    return Outcome(writes=run.writes, passes=run.passes)


def shrunk(scenario: Scenario, broken: str, *, decide: Decision = decide) -> Scenario:
    """Fewest edits, crashes and features that still break the same promise; greedy, so minimal in each single thing."""
    attempts = 0
    again = True
    while again and attempts < MOST_ATTEMPTS:
        again = False
        for candidate in shorter(scenario):
            attempts += 1
            if outcome_of(candidate, decide=decide).broken == broken:
                scenario, again = candidate, True
                break
    return scenario


def story_of(scenario: Scenario, *, decide: Decision = decide) -> str:
    """The scenario, what happened, and what broke, as plain text."""
    lines: list[str] = []
    outcome = outcome_of(scenario, lines=lines, decide=decide)
    spec = {key: value for key, value in scenario.manifest["spec"].items() if key not in {"selector", "template"}}
    head = [f"seed {scenario.seed}", f"spec {spec}"]
    head += [] if scenario.workload is None else [f"a Deployment of {scenario.workload} pods, all of which serve"]
    odd = {version: behaviour for version, behaviour in scenario.behaviours.items() if behaviour != PodBehaviour()}
    head += [f"pods of {version}: {behaviour}" for version, behaviour in odd.items()]
    calm = Faults()
    faults = {each.name: getattr(scenario.faults, each.name) for each in fields(Faults)}
    wrong = {name: value for name, value in faults.items() if value != getattr(calm, name)}
    head += [f"faults {wrong}"] if wrong else []
    end = outcome.reason if outcome.broken else "every promise was kept"
    return "\n".join([*head, *lines, f"=> {end}"])


def shortest_story(scenario: Scenario) -> str:
    """Its story, cut down if it breaks."""
    outcome = outcome_of(scenario)
    return story_of(shrunk(scenario, outcome.broken) if outcome.broken else scenario)
