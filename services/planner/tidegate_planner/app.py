"""The planner as a process: `python -m tidegate_planner.app`."""

from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.service import Reactions, Service, run
from tidegate_planner.composition import Planner

CONNECTIONS = 48
"""Seven or more are taken by watches. With nine left for writes, 200 rollouts at once took a fifth longer: a trickle of writes
costs the API server and etcd more for each than a stream does, and its controllers 9.5 status updates in place of 8."""


async def compose(service: Service) -> Reactions:
    cluster = load(service.settings.kubeconfig)
    kube = await service.enter(Kube(cluster, user_agent="tidegate-planner", connections=CONNECTIONS))
    planner = await service.enter(Planner(service, kube))
    return await planner.start()


def main() -> None:
    run("planner", compose)


if __name__ == "__main__":
    main()
