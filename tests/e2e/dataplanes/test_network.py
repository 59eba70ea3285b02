"""The network that the data planes run in: every pod's address is local, and nothing leaves."""

import sys
from pathlib import Path

import pytest

from tidegate.testing import Endpoint
from tidegate.testing.dataplane import Background, Network, NetworkUnavailable

pytestmark = pytest.mark.e2e

POD = "10.244.7.9"


def test_a_pods_address_is_local_and_answers(network: Network) -> None:
    with network.listen(8080, POD) as pod, network.connect(8080, POD) as user:
        served, _ = pod.accept()
        with served:
            served.sendall(b"hello")
            assert user.recv(5) == b"hello"
            assert served.getsockname() == (POD, 8080)


def test_what_listens_outside_is_reached_from_inside_once_it_is_let_in(network: Network) -> None:
    with Endpoint() as outside:
        port = int(outside.url.rpartition(":")[2])
        with pytest.raises(OSError, match="Connection refused"):
            network.connect(port)
        network.reach(port)
        with network.connect(port) as inside:
            inside.sendall(b"GET /through HTTP/1.0\r\n\r\n")
            assert inside.recv(64).startswith(b"HTTP/1.0 200")
        assert [each.path for each in outside.requests] == ["/through"]


def test_a_program_inside_has_no_way_out(network: Network, tmp_path: Path) -> None:
    code = "import socket, time; print([name for _, name in socket.if_nameindex()], flush=True); time.sleep(600)"
    log = tmp_path / "inside.log"
    command = [sys.executable, "-c", code]
    with Background(network, command, log=log, answers=lambda: bool(log.read_text())):
        assert log.read_text().strip() == "['lo']"


def test_a_kernel_that_refuses_is_quoted_with_what_would_help() -> None:
    with pytest.raises(NetworkUnavailable, match=r"no network namespace on this machine \(.+\): it takes Linux, and either root"):
        Network(addresses=["no address"]).__enter__()
