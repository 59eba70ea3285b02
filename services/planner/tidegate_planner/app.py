"""The planner as a process: `python -m tidegate_planner.app`."""

from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.service import Reactions, Service, run
from tidegate_planner.composition import Planner


async def compose(service: Service) -> Reactions:
    kube = await service.enter(Kube(load(service.settings.kubeconfig), user_agent="tidegate-planner"))
    planner = await service.enter(Planner(service, kube))
    return await planner.start()


def main() -> None:
    run("planner", compose)


if __name__ == "__main__":
    main()
