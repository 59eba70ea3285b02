"""Who may do what on the bus: one NATS user per service, one for those who send requests, one for those who only listen, one
for plugins. Pure.

Nothing else grants a subject: `deploy/nats/users.conf` is written from this table (`make docs`), and the servers of the demo and
of the tests take it as it is. A test compares it with what the services were seen to use, both ways, so an idle permission fails.

Two things NATS cannot express, so they rest on the services behind it:
- Who may create a consumer chooses where it delivers to. A listener could so have outcomes delivered to a request subject; they
  are no requests, and end as dead letters. Which consumer it creates is limited: none of a service's own name.
- A reply subject is chosen by whoever asks, so the planner may publish to every inbox (`envelope.inbox_or_none` refuses all else).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.bus.subjects import ASK, wildcard
from tidegate.bus.topology import (
    ANALYZER_ANSWERS,
    ANALYZER_REQUESTS,
    DEAD,
    DEAD_SUBJECT,
    NOTIFIER_EVENTS,
    NOTIFIER_OUTCOMES,
    PLANNER_ANSWERS,
    PLANNER_REQUESTS,
    SHIFTER_ANSWERS,
    SHIFTER_REQUESTS,
    STREAMS,
    Consumer,
    Stream,
)
from tidegate.messages import (
    ANALYSIS,
    OUTCOMES,
    PLUGINS,
    REQUESTS,
    TRAFFIC,
    AnalysisConcluded,
    AnalysisMeasured,
    AnalysisRequested,
    EventsRecorded,
    MetricAnswered,
    MetricRequested,
    RolloutCommanded,
    RolloutOutcome,
    RolloutRequested,
    RouterAnswered,
    RouterRequested,
    StepAnswered,
    StepRequested,
    TrafficApplied,
    TrafficRequested,
)

_API = "$JS.API"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_STREAM = {stream.name: stream for stream in STREAMS}
DURABLES: Final[Mapping[str, tuple[str, ...]]] = {OUTCOMES: (NOTIFIER_EVENTS.name, f"{NOTIFIER_OUTCOMES.name}-webhook")}
"""The services' own consumers of the streams that others may replay: a service's messages are not theirs to take or to redirect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one user does, in the suite's words; `publish` and `subscribe` say it in those of NATS.

    `declares`: streams it makes and migrates. `consumes`: durable consumers it makes, pulls from and acknowledges. `drives`:
    streams all of whose consumers are its own affair. `feeds`: streams it hears through a consumer that is forgotten with its
    connection. `replays`: the same as NATS's own tools do it, which name the consumer. `reads`: streams it reads single messages
    from. `ignores`: what is kept from it though a subject it hears admits it. `asks`: it waits for answers in an inbox of its own.
    """

    user: str
    sends: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    declares: tuple[str, ...] = ()
    consumes: tuple[Consumer, ...] = ()
    drives: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    replays: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    asks: bool = True

    @property
    def publish(self) -> tuple[str, ...]:
        subjects = [
            *self.sends,
            *(f"{_API}.STREAM.{verb}.{stream}" for stream in self.declares for verb in ("CREATE", "INFO", "UPDATE", "DELETE")),
            *(subject for each in self.consumes for subject in _consuming(each.stream, each.name, filters=len(each.filters))),
            *(subject for stream in self.drives for subject in _consuming(stream, "*", filters=1)),
            *(subject for stream in self.feeds for subject in _feeding(stream)),
            *(f"{_API}.CONSUMER.CREATE.{stream}.>" for stream in self.replays),
            *(f"{_API}.STREAM.MSG.GET.{stream}" for stream in self.reads),
        ]
        wide = [each for each in subjects if "*" in each or each.endswith(">")]
        return tuple(dict.fromkeys(each for each in subjects if not any(covers(other, each) for other in wide if other != each)))

    @property
    def publish_never(self) -> tuple[str, ...]:
        return tuple(subject for stream in self.replays for name in DURABLES[stream] for subject in _taking_over(stream, name))

    @property
    def subscribe(self) -> tuple[str, ...]:
        return (*self.hears, f"{inbox_prefix(self.user)}.>") if self.asks else self.hears

    @property
    def permissions(self) -> dict[str, dict[str, list[str]]]:
        """For each verb what is allowed, and what is denied nevertheless."""
        return {
            "publish": {"allow": list(self.publish), "deny": list(self.publish_never)},
            "subscribe": {"allow": list(self.subscribe), "deny": list(self.ignores)},
        }

    @property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(_STREAM[name] for name in self.declares)


def inbox_prefix(user: str | None) -> str:
    """Where answers to this user arrive; without a user, as on a server that asks nobody, NATS's own prefix."""
    return f"_INBOX.{_UNSAFE.sub('_', user)}" if user else "_INBOX"


def covers(permission: str, subject: str) -> bool:
    """Whether a permission admits a subject, which may have wildcards itself (a subscription, another permission)."""
    wanted, given = permission.split("."), subject.split(".")
    for place, part in enumerate(wanted):
        if part == ">":
            return len(given) > place
        if place >= len(given) or given[place] == ">" or part not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


def _consuming(stream: str, consumer: str, *, filters: int) -> tuple[str, ...]:
    create = f"{_API}.CONSUMER.CREATE.{stream}.{consumer}"
    return (
        f"{_API}.CONSUMER.INFO.{stream}.{consumer}",
        f"{create}.>" if filters == 1 else create,  # a single filter is part of the subject
        f"{_API}.CONSUMER.DELETE.{stream}.{consumer}",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
        f"$JS.ACK.{stream}.{consumer}.>",
    )


def _feeding(stream: str) -> tuple[str, ...]:
    """The server chooses the consumer's name, so any is admitted."""
    return f"{_API}.STREAM.INFO.{stream}", f"{_API}.CONSUMER.CREATE.{stream}", f"{_API}.CONSUMER.MSG.NEXT.{stream}.*"


def _taking_over(stream: str, consumer: str) -> tuple[str, ...]:
    """To create a consumer that exists is to change it."""
    create = f"{_API}.CONSUMER.CREATE.{stream}.{consumer}"
    return create, f"{create}.>", f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def _records_of(service: str) -> str:
    return wildcard(EventsRecorded).replace("*", service, 1)


def _letters_of(consumer: str) -> str:
    return DEAD_SUBJECT.format(consumer=consumer)


def _asked(subject: str) -> str:
    return ASK + subject.removeprefix("tidegate.")


_CHANGES = (wildcard(RolloutRequested), wildcard(RolloutCommanded))
_ROLLOUTS = "tidegate.rollout.>"
_ASKED_OF_ROLLOUTS = ("tidegate.rollout.requested.>", "tidegate.rollout.command.>")

PLANNER: Final = Role(
    user="planner",
    sends=(
        wildcard(RolloutOutcome),  # its wildcard admits requests too: the door below stores them
        wildcard(RolloutCommanded),
        wildcard(TrafficRequested),
        wildcard(AnalysisRequested),
        wildcard(StepRequested),
        _records_of("planner"),
        _letters_of(PLANNER_REQUESTS.name),
        _letters_of(PLANNER_ANSWERS),
        "tidegate.members.planner.*",
        "_INBOX.>",
    ),
    hears=(*map(_asked, _CHANGES), "tidegate.members.planner.*"),
    declares=(REQUESTS, TRAFFIC, ANALYSIS, OUTCOMES, PLUGINS, DEAD),
    consumes=(PLANNER_REQUESTS,),
    feeds=(OUTCOMES, TRAFFIC, PLUGINS),
)
SHIFTER: Final = Role(
    user="traffic-shifter",
    sends=(
        wildcard(TrafficApplied),
        wildcard(RouterRequested),
        _records_of("traffic-shifter"),
        _letters_of(SHIFTER_REQUESTS.name),
        _letters_of(SHIFTER_ANSWERS),
    ),
    declares=(TRAFFIC, OUTCOMES, PLUGINS, DEAD),
    consumes=(SHIFTER_REQUESTS,),
    feeds=(PLUGINS,),
    reads=(TRAFFIC,),
)
ANALYZER: Final = Role(
    user="analyzer",
    sends=(
        wildcard(AnalysisMeasured),
        wildcard(AnalysisConcluded),
        wildcard(MetricRequested),
        _records_of("analyzer"),
        _letters_of(ANALYZER_REQUESTS.name),
        _letters_of(ANALYZER_ANSWERS),
        "tidegate.members.analyzer.*",
    ),
    hears=("tidegate.members.analyzer.*",),
    declares=(ANALYSIS, OUTCOMES, PLUGINS, DEAD),
    consumes=(ANALYZER_REQUESTS,),
    feeds=(ANALYSIS, PLUGINS),
)
NOTIFIER: Final = Role(
    user="notifier",
    sends=("tidegate.dead.*",),  # a consumer, and so a letter box, per channel
    declares=(OUTCOMES, DEAD),
    drives=(OUTCOMES,),
)
LISTENER: Final = Role(user="listener", hears=(_ROLLOUTS,), ignores=_ASKED_OF_ROLLOUTS, feeds=(OUTCOMES,), replays=(OUTCOMES,))
"""What happened, not what is asked for: a request may carry a whole manifest."""
SENDER: Final = Role(
    user="sender",
    sends=(*_CHANGES, *map(_asked, _CHANGES)),
    hears=LISTENER.hears,
    ignores=LISTENER.ignores,
    feeds=LISTENER.feeds,
    replays=LISTENER.replays,
)
"""Asks, is answered, and hears what came of it."""
PLUGIN: Final = Role(
    user="plugin",
    hears=("tidegate.step.requested.>", "tidegate.router.requested.>", "tidegate.metric.requested.>"),
    sends=(wildcard(StepAnswered), wildcard(RouterAnswered), wildcard(MetricAnswered)),
    asks=False,
)
"""Any plugin: it hears what plugins are asked and answers, nothing else. docs/plugins.md shows a user for a single one."""

ROLES: Final[Mapping[str, Role]] = {role.user: role for role in (PLANNER, SHIFTER, ANALYZER, NOTIFIER, SENDER, LISTENER, PLUGIN)}


def streams_of(service: str) -> tuple[Stream, ...]:
    """The streams a service makes sure of; all of them for one that has no user here."""
    return ROLES[service].streams if service in ROLES else STREAMS


def authorization(passwords: Mapping[str, str], roles: Mapping[str, Role] = ROLES) -> dict[str, Any]:
    """The part of a server's configuration that knows the users, as JSON; a user without a password is left out."""
    users = [
        {"user": user, "password": passwords[user], "permissions": role.permissions}
        for user, role in roles.items()
        if user in passwords
    ]
    return {"authorization": {"users": users}}


def users_conf() -> str:
    """The same for an installation, in the server's own syntax; passwords come from its environment."""
    lines = ["# Generated from shared/tidegate/bus/rights.py by `make docs`; do not edit.", "authorization {", "  users = ["]
    for user, role in ROLES.items():
        lines += ["    {", f"      user: {user}", f"      password: ${password_variable(user)}", "      permissions: {"]
        for verb, lists in role.permissions.items():
            lines += [f"        {verb}: {{"]
            for word, subjects in lists.items():
                if subjects:
                    lines += [f"          {word}: [", *(f'            "{subject}"' for subject in subjects), "          ]"]
            lines += ["        }"]
        lines += ["      }", "    }"]
    return "\n".join([*lines, "  ]", "}", ""])


def password_variable(user: str) -> str:
    return f"NATS_PASSWORD_{user.upper().replace('-', '_')}"
