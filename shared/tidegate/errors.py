"""Every error that crosses a module boundary.

    TidegateError
    |-- Retry          try the same work again after `after` seconds; nothing is lost
    |-- GiveUp         this message can never succeed: dead letter, with the reason
    |-- SettingError   a setting from the environment is unusable; the service does not start
    |-- UnknownName    a registry was asked for a name it does not hold
    `-- KubeError      the API server refused; see `tidegate.kube` for its children

Handlers know two verbs only, `Retry` and `GiveUp`; edge errors are turned into one of them once, with `raise ... from`.
"""

from collections.abc import Iterable


class TidegateError(Exception):
    """Base of all errors raised on purpose."""


class Retry(TidegateError):  # noqa: N818 - a verb for handlers, read as `raise Retry(...)`
    """The work failed for a reason that may pass. `after` is in seconds; None leaves the delay to the consumer's back-off."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class GiveUp(TidegateError):  # noqa: N818 - a verb for handlers, read as `raise GiveUp(...)`
    """The work can never succeed as asked; the message goes to the dead letters with `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SettingError(TidegateError):
    """An environment variable holds an unusable value. The text names the variable, the value and what would be right."""

    def __init__(self, variable: str, value: str | None, right: str) -> None:
        got = "is not set" if value is None else f"is {value!r}"
        super().__init__(f"{variable} {got}; it must be {right}")
        self.variable = variable


class UnknownName(TidegateError):  # noqa: N818 - reads as the fact it states
    """A name that no registry entry answers to; the text lists the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")
        self.name = name


class KubeError(TidegateError):
    """The API server answered with an error. `status` is the HTTP code, `reason` the machine-readable word of the Status object."""

    def __init__(self, message: str, *, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
