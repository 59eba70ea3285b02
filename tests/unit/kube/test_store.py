"""The store never goes backwards, whatever order the watch, lists and the answers to our own writes arrive in."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.store import Store


def an_object(name: str, version: int, *, owner: str = "web") -> dict:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}, "owner": owner}


def versions(store: Store) -> dict[str, int]:
    return {obj["metadata"]["name"]: int(obj["metadata"]["resourceVersion"]) for obj in store}


def test_an_older_event_than_the_held_object_is_ignored():
    store = Store()
    store.told(an_object("a", 5))
    assert store.told(an_object("a", 4)) is None
    assert versions(store) == {"a": 5}


def test_versions_are_compared_as_numbers():
    store = Store()
    store.told(an_object("a", 9))
    assert store.told(an_object("a", 10)).type == "MODIFIED"


def test_our_own_write_is_seen_at_once_and_its_echo_is_no_change():
    store = Store()
    store.told(an_object("a", 1))
    assert store.written(an_object("a", 2)).type == "MODIFIED"
    assert store.told(an_object("a", 2)) is None


def test_a_late_answer_does_not_bring_back_a_deleted_object():
    store = Store()
    store.told(an_object("a", 1))
    store.told_deleted(an_object("a", 3))
    assert store.written(an_object("a", 2)) is None
    assert len(store) == 0


def test_a_late_answer_does_not_bring_back_what_a_bookmark_has_passed():
    store = Store()
    store.told_progress(7)
    assert store.written(an_object("a", 6)) is None
    assert store.written(an_object("a", 8)).type == "ADDED"


def test_the_deletion_of_a_predecessor_leaves_its_namesake_alone():
    store = Store()
    store.told(an_object("a", 1))
    store.written(an_object("a", 5))
    assert store.told_deleted(an_object("a", 4)) is None
    assert versions(store) == {"a": 5}


def test_a_list_tells_what_vanished_what_is_new_and_what_changed():
    store = Store()
    for name, version in (("gone", 1), ("same", 2), ("changed", 3)):
        store.told(an_object(name, version))
    changes = store.listed([an_object("same", 2), an_object("changed", 8), an_object("new", 9)], 10)
    told = {(change.type, (change.new or change.old)["metadata"]["name"]) for change in changes}
    assert told == {("DELETED", "gone"), ("MODIFIED", "changed"), ("ADDED", "new")}


def test_a_list_read_before_our_write_does_not_undo_it():
    store = Store()
    store.written(an_object("ours", 12))
    assert store.listed([], 10) == []
    assert versions(store) == {"ours": 12}


def test_a_list_of_a_restored_etcd_is_believed_although_its_versions_are_lower():
    store = Store()
    store.listed([an_object("a", 90), an_object("b", 95)], 100)
    changes = store.listed([an_object("a", 40)], 50)
    assert {change.type for change in changes} == {"MODIFIED", "DELETED"}
    assert versions(store) == {"a": 40}
    assert store.told(an_object("a", 51)).type == "MODIFIED"


def test_an_index_follows_an_object_from_key_to_key():
    store = Store()
    store.told(an_object("a", 1, owner="web"))
    store.add_index("owner", lambda obj: [obj["owner"]])
    store.told(an_object("b", 2, owner="web"))
    assert [obj["metadata"]["name"] for obj in store.by_index("owner", "web")] == ["a", "b"]
    store.told(an_object("a", 3, owner="api"))
    store.told_deleted(an_object("b", 4))
    assert store.by_index("owner", "web") == []
    assert [obj["metadata"]["name"] for obj in store.by_index("owner", "api")] == ["a"]


def test_an_emptied_index_key_leaves_nothing_behind():
    store = Store()
    store.add_index("owner", lambda obj: [obj["owner"]])
    for version in range(1, 2001, 2):
        store.told(an_object("run", version, owner=f"rollout-{version}"))
        store.told_deleted(an_object("run", version + 1))
    assert store._indexes["owner"] == {}


names = st.sampled_from(["a", "b"])
moves = st.lists(st.sampled_from(["happen", "tell", "list"]) | st.integers(0, 30), max_size=60)


@given(st.lists(st.tuples(names, st.booleans()), max_size=30), moves)
def test_whatever_the_order_of_answers_events_and_lists_the_end_is_the_truth(wishes, moves):
    # Given a history of writes and deletions, each with the next version
    happenings = history(wishes)
    store, told, happened = Store(), 0, 0
    store.add_index("name", lambda obj: [obj["metadata"]["name"]])

    # When the watch, our own answers and lists arrive in any order that causality allows
    for move in moves:
        if move == "happen":
            happened = min(happened + 1, len(happenings))
        elif move == "tell" and told < happened:
            tell(store, happenings[told])
            told += 1
        elif move == "list":
            store.listed(list(truth(happenings[:happened]).values()), happened)
            told = max(told, happened)
        elif isinstance(move, int) and move < happened and not happenings[move][1]:
            store.written(happenings[move][0])
    for happening in happenings[told:]:
        tell(store, happening)

    # Then the store and its index hold exactly what is true
    expected = {name: int(obj["metadata"]["resourceVersion"]) for name, obj in truth(happenings).items()}
    assert versions(store) == expected
    assert {name for name in "ab" if store.by_index("name", name)} == expected.keys()


def history(wishes: list[tuple[str, bool]]) -> list[tuple[dict, bool]]:
    alive, happenings = set(), []
    for name, delete in wishes:
        deleted = delete and name in alive
        (alive.discard if deleted else alive.add)(name)
        happenings.append((an_object(name, len(happenings) + 1), deleted))
    return happenings


def tell(store: Store, happening: tuple[dict, bool]) -> None:
    obj, deleted = happening
    (store.told_deleted if deleted else store.told)(obj)


def truth(happenings: list[tuple[dict, bool]]) -> dict[str, dict]:
    alive: dict[str, dict] = {}
    for obj, deleted in happenings:
        if deleted:
            alive.pop(obj["metadata"]["name"])
        else:
            alive[obj["metadata"]["name"]] = obj
    return alive
