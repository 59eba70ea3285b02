"""What all messages are made of: streams, kinds of names, a message and a part of one."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

REQUESTS = "TIDEGATE_REQUESTS"
TRAFFIC = "TIDEGATE_TRAFFIC"
ANALYSIS = "TIDEGATE_ANALYSIS"
PLUGINS = "TIDEGATE_PLUGINS"
OUTCOMES = "TIDEGATE_OUTCOMES"

DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253, description="a Kubernetes object name")]
Fence = Annotated[
    int,
    Field(
        ge=0,
        description="highest resourceVersion among the objects the decision was made from; a request with a lower one than"
        " the target already carries is stale and dropped",
    ),
]
PLUGIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9][A-Za-z0-9.-]*$"
PluginName = Annotated[
    str, Field(pattern=PLUGIN_NAME, max_length=128, description="<owner>/<name>, as Rollouts write it; no '_', it stands for '.'")
]
MOST_STATUS = 16 * 1024
CallId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="names this very call: a repeat has the same")]


def subject_token(name: str) -> str:
    """A Kubernetes or plugin name as one NATS subject token."""
    return name.replace(".", "_")


def name_from_token(token: str) -> str:
    """The inverse of `subject_token`."""
    return token.replace("_", ".")


class Part(BaseModel):
    """A value inside messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Part):
    """What travels. `subject` is a template over the message's own fields; `type` is the CloudEvents type.

    Without a `stream` it is not stored: whoever listens at the moment hears it. `reply` is where its answer goes, if one is due.
    """

    stream: ClassVar[str]
    subject: ClassVar[str]
    type: ClassVar[str]
    reply: ClassVar[str] = ""

    namespace: DnsName
    name: DnsName

    def subject_of(self) -> str:
        return self.subject.format_map(_Tokens(self))

    def reply_of(self) -> str:
        return self.reply.format_map(_Tokens(self))

    def type_of(self) -> str:
        return self.type.format_map(_Tokens(self)) if "{" in self.type else self.type


class _Tokens(dict[str, str]):
    """A message's fields as subject tokens, each made when it is asked for: a whole manifest is never turned into text for it."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def __missing__(self, field: str) -> str:
        return subject_token(str(getattr(self._message, field)))
