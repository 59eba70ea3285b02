"""What the shell remembers of one object between passes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """The last request on a topic: what it asked for, and when."""

    content: str
    at: float


@dataclass(slots=True)
class Memory:
    """What one rollout's shell remembers between passes. Losing it costs a repeated message, nothing else.

    `resend_at`: when something that the last pass asked for in vain is due again. `refused`: template hash -> when the API server
    last refused its ReplicaSet. `version`: the Rollout's as the pass saw it, or as its own last write left it; `views`: for each
    ReplicaSet the version of the Rollout that it was written from, likewise.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    resend_at: float | None = None
    refused: dict[str, float] = field(default_factory=dict)
    lazy_since: float | None = None
    looked_at: float = 0.0
    version: str = ""
    views: dict[str, int] = field(default_factory=dict)
