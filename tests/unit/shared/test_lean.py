"""What is kept out of a service's memory, seen in processes of their own: imports and asyncio's classes are global."""

import subprocess
import sys

import pytest

UNSHOWN = {"rich", "pygments", "click", "httpx._main"}


def said_by(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("service", ["planner", "shifter", "analyzer", "notifier"])
def test_no_service_loads_a_command_line_or_colours(service):
    loaded = said_by(f"import sys, tidegate_{service}.app; print(*sys.modules)")
    assert UNSHOWN & set(loaded.split()) == set()


def test_a_connection_takes_an_eighth_of_the_buffer_that_asyncio_gives_it():
    connection = "len(SSLProtocol(loop, None, ssl.create_default_context(), None)._ssl_buffer)"
    program = f"""
import asyncio, ssl
from asyncio.sslproto import SSLProtocol
from tidegate.lean import narrow_tls_buffers
loop = asyncio.new_event_loop()
print({connection})
narrow_tls_buffers()
print({connection})
"""
    assert said_by(program).split() == ["262144", "32768"]
