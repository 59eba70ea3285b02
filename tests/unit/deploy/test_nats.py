"""The server's configuration: what is generated is up to date, the rest is the same in every overlay, the real server takes it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.bus.rights import (
    DURABLES,
    LISTENER,
    ROLES,
    SENDER,
    Role,
    covers,
    inbox_prefix,
    password_variable,
    streams_of,
    users_conf,
)
from tidegate.bus.subjects import wildcard
from tidegate.bus.topology import NOTIFIER_EVENTS, STREAMS
from tidegate.messages import OUTCOMES, REQUESTS, RolloutOutcome
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.composition import outcomes_of

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_users_are_those_of_the_table() -> None:
    assert (DEPLOY / "nats" / "users.conf").read_text() == users_conf(), "`make docs` writes it"


def test_no_user_is_without_restriction() -> None:
    """An empty list of permissions would be none at all to the server."""
    for role in ROLES.values():
        assert role.publish
        assert role.subscribe
        assert ">" not in (*role.publish, *role.subscribe)


def test_a_cluster_of_three_differs_from_one_server_in_its_cluster_only() -> None:
    one, three = ((DEPLOY / folder / "nats.conf").read_text().splitlines()[1:] for folder in ("nats", "overlays/ha"))
    assert three[: len(one)] == one
    assert "cluster {" in three[len(one) :]


@pytest.mark.parametrize("folder", ["nats", "overlays/ha"])
def test_the_real_server_takes_the_configuration(folder: str, tmp_path: Path) -> None:
    for file in (DEPLOY / "nats" / "users.conf", DEPLOY / folder / "nats.conf"):
        shutil.copy(file, tmp_path)
    environment = {**os.environ, "SERVER_NAME": "tidegate-nats-0", **{password_variable(user): "secret" for user in ROLES}}
    server = Path(sys.executable).parent / "nats-server"
    command = [str(server), "-t", "-c", str(tmp_path / "nats.conf")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("permission", "subject", "admitted"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.*", "a.>", False),
        ("a.*", "a.b.c", False),
        ("a.b", "a.*", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.*", True),
        ("a.>", "a", False),
        ("a.b.c", "a.b", False),
    ],
)
def test_a_permission_admits_what_the_server_would(permission: str, subject: str, admitted: bool) -> None:
    assert covers(permission, subject) is admitted


@pytest.mark.parametrize("role", [LISTENER, SENDER], ids=lambda role: role.user)
def test_who_only_hears_outcomes_hears_nothing_that_is_asked_of_rollouts(role: Role) -> None:
    asked = next(stream.subjects for stream in STREAMS if stream.name == REQUESTS)
    assert all(any(covers(each, subject) for each in role.ignores) for subject in asked)
    assert covers(role.hears[0], wildcard(RolloutOutcome))
    assert covers(role.hears[0], "tidegate.rollout.*.shop.>")


def test_no_consumer_of_the_notifier_is_open_to_those_who_replay_its_stream() -> None:
    assert set(DURABLES[OUTCOMES]) == {NOTIFIER_EVENTS.name, *(outcomes_of(channel).name for channel in CHANNELS)}
    for name in DURABLES[OUTCOMES]:
        for subject in (f"CREATE.{OUTCOMES}.{name}", f"CREATE.{OUTCOMES}.{name}.tidegate.>", f"MSG.NEXT.{OUTCOMES}.{name}"):
            assert any(covers(each, f"$JS.API.CONSUMER.{subject}") for each in LISTENER.publish_never)


def test_answers_arrive_where_only_their_user_listens() -> None:
    assert [inbox_prefix(user) for user in ("sender", "a.b *>", None)] == ["_INBOX.sender", "_INBOX.a_b___", "_INBOX"]


def test_a_service_makes_sure_of_its_own_streams_and_a_stranger_of_all() -> None:
    assert [stream.name for stream in streams_of("notifier")] == ["TIDEGATE_OUTCOMES", "TIDEGATE_DEAD"]
    assert streams_of("test") == STREAMS
