"""The registry of outcome channels: a name, and how the settings make one, or None if they do not ask for it.

Beside them: `kube_event` is always on and hears records, not outcomes; `memory` is for tests.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from tidegate.config import Settings
from tidegate_notifier.channel import Channel
from tidegate_notifier.channels.webhook import Webhook

Configure = Callable[[Settings], AbstractAsyncContextManager[Channel] | None]

CHANNELS: Final[Mapping[str, Configure]] = {"webhook": Webhook.configured}
