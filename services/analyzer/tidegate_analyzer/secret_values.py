"""Reads what arguments take from Secrets, in the namespace of the run, before each round: a rotated Secret counts at once."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.arguments import ArgumentError
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import SECRET
from tidegate_analyzer.api import Api
from tidegate_analyzer.arguments import needed_secrets, secret_value


class Secrets:
    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def values(self, namespace: str, args: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Argument name -> value. ArgumentError if a Secret or its key is missing; another KubeError may pass."""
        needed = needed_secrets(args)
        found = {name: await self.data(namespace, name) for name in {wanted.name for wanted in needed.values()}}
        return {argument: secret_value(found[wanted.name], wanted) for argument, wanted in needed.items()}

    async def data(self, namespace: str, name: str) -> dict[str, bytes]:
        """A Secret's decoded data."""
        try:
            secret = await self._kube.get(SECRET, namespace, name)
        except NotFound as error:
            raise ArgumentError(f'secrets "{name}" not found') from error
        try:
            return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        except binascii.Error as error:
            raise ArgumentError(f'secrets "{name}" cannot be decoded') from error
