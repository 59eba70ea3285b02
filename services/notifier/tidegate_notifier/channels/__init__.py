"""The registry of channels: a name for each, and nothing else."""

from collections.abc import Mapping
from typing import Final

from tidegate_notifier.channel import Channel
from tidegate_notifier.channels.kube_event import KubeEvents
from tidegate_notifier.channels.memory import MemoryChannel
from tidegate_notifier.channels.webhook import Webhook

CHANNELS: Final[Mapping[str, type[Channel]]] = {"kube-event": KubeEvents, "memory": MemoryChannel, "webhook": Webhook}
