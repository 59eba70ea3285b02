"""`tidegate services`: the four services as children of this command, in the foreground."""

import time
from collections.abc import Mapping

from tidegate_cli import terminal
from tidegate_cli.connection import Connection
from tidegate_cli.local.identities import environments
from tidegate_cli.local.services import ServiceDied, Services
from tidegate_cli.local.signals import ending_on_signals
from tidegate_cli.local.stack import running_bus

POLL_SECONDS = 0.2


def run_services(connection: Connection, environment: Mapping[str, str]) -> int:
    """Until a signal (0) or the death of one (1). Their logs go to our stderr."""
    try:
        with ending_on_signals(), running_bus(environment, terminal.say) as bus:
            settings = {**environment, **service_settings(connection), "NATS_URL": bus.url}
            with Services(settings, logs=None, own=environments({}, bus.users)) as services:
                for name, pid in services.pids.items():
                    terminal.say(f"{name:<15} pid {pid}")
                if bus.users:
                    terminal.say(f"to ask them     export NATS_URL={bus.url_for_people}")
                while True:
                    time.sleep(POLL_SECONDS)
                    services.check()
    except ServiceDied as death:
        terminal.complain(f"{death}; ended the others")
        return 1
    except KeyboardInterrupt:
        return 0


def service_settings(connection: Connection) -> dict[str, str]:
    """The shared options as the variables that the services read; what was not given is left to the environment."""
    given = {
        "KUBECONFIG": str(connection.kubeconfig) if connection.kubeconfig else "",
        "TIDEGATE_NAMESPACE": connection.namespace or "",
        "TIDEGATE_INSTANCE_ID": connection.instance_id,
    }
    return {name: value for name, value in given.items() if value}
