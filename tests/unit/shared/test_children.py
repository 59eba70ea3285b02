"""A port for a program that cannot choose one itself."""

import socket

import pytest

from tidegate.children import free_port


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_port_that_was_given_away_is_given_to_nobody_else(port: int) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", port))


def test_who_it_was_given_to_listens_on_it_again_and_again_and_in_between_nobody_does(port: int) -> None:
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)) as server:
            socket.create_connection(("127.0.0.1", port)).close()
            server.accept()[0].close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
