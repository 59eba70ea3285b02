"""Credentials of providers, from Secrets, read for each measurement: a rotated one counts at once.

They come from the service's own namespace unless a metric may name another. Whoever writes a template can thus have a
credential used, but never sees it: a server's answer that repeats one is redacted before it becomes a message.
"""

from collections.abc import Mapping

from tidegate.arguments import ArgumentError
from tidegate.errors import KubeError
from tidegate.outbound import Answer
from tidegate_analyzer.api import Api
from tidegate_analyzer.arguments import redacted
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.secret_values import Secrets

LONGEST_QUOTE = 2000
"""Characters of an answer that a message repeats; some proxies answer with whole web pages."""


class NoLogin(NotMeasured):
    """There is no such Secret."""


class Logins:
    def __init__(self, kube: Api, namespace: str) -> None:
        self._secrets = Secrets(kube)
        self._namespace = namespace

    async def read(self, name: str, *, namespace: str | None = None) -> Mapping[str, str]:
        """A Secret's texts, without white space around them: a line break at the end is easily stored and no header takes it."""
        try:
            data = await self._secrets.data(namespace or self._namespace, name)
        except ArgumentError as error:
            raise NoLogin(str(error)) from error
        except KubeError as error:
            raise NotMeasured(str(error)) from error
        return {key: value.decode(errors="replace").strip() for key, value in data.items()}


def quoted(answer: Answer, *credentials: str) -> str:
    """An answer's text, fit for a message."""
    text = redacted(answer.body.decode(errors="replace"), credentials)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}... ({len(text)} characters)"
