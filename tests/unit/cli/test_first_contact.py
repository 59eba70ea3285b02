"""What a command says of an API server that is not there, does not answer, or is not one of ours."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from tidegate.children import free_port
from tidegate.errors import TidegateError
from tidegate.kube.errors import Unreachable
from tidegate.testing.http import Endpoint, Reply, Request
from tidegate_cli.app import main
from tidegate_cli.cluster import connected
from tidegate_cli.connection import Connection
from tidegate_cli.watching import readings


def kubeconfig(folder: Path, server: str) -> Path:
    """JSON is YAML."""
    file = folder / "kubeconfig"
    clusters, contexts = {"name": "here", "cluster": {"server": server}}, {"name": "here", "context": {"cluster": "here"}}
    file.write_text(json.dumps({"clusters": [clusters], "contexts": [contexts], "current-context": "here"}))
    return file


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    return (end.value.code, *capsys.readouterr())


@pytest.mark.parametrize("words", [["status", "web"], ["get", "rollout", "web", "--watch"], ["abort", "web"]], ids=" ".join)
def test_a_server_that_is_not_there_ends_a_command_also_one_that_watches(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: Sequence[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, out, err = ended(capsys, "--kubeconfig", str(kubeconfig(tmp_path, f"http://{address}")), *words)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("tidegate: the API server could not be reached: ")
    assert address in err


async def test_a_server_that_takes_the_connection_and_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TidegateError) as refused:
            async with connected(Connection(kubeconfig=kubeconfig(tmp_path, server)), patience=0.2):
                pass
    assert str(refused.value) == f"the API server could not be reached: {server} did not answer within 0.2 s"


async def test_watching_goes_on_when_a_server_that_was_there_is_away_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    left: list[str | Unreachable] = ["before", *[Unreachable("nobody there", status=0)] * 3, "after"]

    async def read() -> str:
        match left.pop(0):
            case Unreachable() as error:
                raise error
            case found:
                return found

    seen = []
    async for found in readings(read, every=0):
        seen.append(found)
        if not left:
            break
    assert seen == ["before", "after"]
    assert capsys.readouterr().err == "tidegate: nobody there; still trying\n"


@pytest.mark.parametrize("status", [404, 200])
def test_a_cluster_without_the_crds_is_told_how_to_get_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, status: int
) -> None:
    with Endpoint(lambda _: Reply(status=status)) as endpoint:
        code, _, err = ended(capsys, "--kubeconfig", str(kubeconfig(tmp_path, endpoint.url)), "list")
    remedy = "install the CRDs with `tidegate crds | kubectl apply --server-side -f -`"
    assert (code, err) == (1, f"tidegate: this cluster knows no Rollouts; {remedy}\n")


def test_a_user_who_is_not_accepted_is_told_where_and_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Endpoint(lambda _: Reply(status=401, body=b'{"message": "Unauthorized"}')) as endpoint:
        said = ended(capsys, "--kubeconfig", str(kubeconfig(tmp_path, endpoint.url)), "list")
    text = f"{endpoint.url} does not accept the user of the kubeconfig's context (Unauthorized); log in again, or choose another"
    assert said == (1, "", f"tidegate: {text}\n")


def test_who_may_not_ask_which_kinds_there_are_is_served_all_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.path.endswith("/v1alpha1"):
            return Reply(status=403)
        return Reply(body=orjson.dumps({"metadata": {"resourceVersion": "1"}, "items": []}))

    with Endpoint(answer) as endpoint:
        said = ended(capsys, "--kubeconfig", str(kubeconfig(tmp_path, endpoint.url)), "list", "--name", "web")
    assert said == (0, "", 'tidegate: no rollouts named "web" found in namespace "default"\n')
