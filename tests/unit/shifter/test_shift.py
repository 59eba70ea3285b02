"""One request, carried out: Services first, then every router, each with its own report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import Retry
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.errors import Forbidden, ServerUnavailable
from tidegate.kube.kinds import ENDPOINT_SLICE, HTTP_ROUTE, SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Record, Router, RouterReport, ServiceTarget, Split, TrafficRequested
from tidegate_shifter.easing import SECONDS, between, least
from tidegate_shifter.router import Feature, Refused, Stale, needed_features, split_within
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.shift import Shifter, worst_of


class Scripted:
    """A router that does what the test says: answers with a report, or raises. It keeps the last split, as its objects would."""

    def __init__(self, outcome=None, supports=frozenset(Feature), tells=()):
        self.supports = supports
        self.tells = tells
        self.outcome = outcome
        self.asked = []

    async def apply(self, ask):
        self.asked.append(ask)
        for each in self.tells:
            ask.tell(each)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or RouterReport(router="x", state="applied", weight=ask.split.canary.weight)

    async def observed(self, _ask):
        return RouterReport(router="x", state="applied", weight=40)

    async def additional(self, _ask):
        return {each.service: each.weight for each in self.asked[-1].split.additional} if self.asked else {}


def request(*routers, canary=20, services=(), headers=(), additional=()):
    rest = 100 - canary - sum(each.weight for each in additional)
    return TrafficRequested(
        namespace="shop",
        name="app",
        uid="u",
        fence=10,
        digest="d",
        services=tuple(ServiceTarget(service=name, hash="abc") for name in services),
        routers=tuple(Router(router=name, config={"route": name}) for name in routers),
        split=Split(
            canary=Destination(weight=canary, service="canary"),
            stable=Destination(weight=rest, service="stable"),
            header_routes=tuple(HeaderRoute(name=name, match=()) for name in headers),
            additional=additional,
        ),
    )


async def shift(asked, kube=None, **routers):
    return await Shifter(
        kube=kube or MemoryKube(), routers={name: lambda _kube, each=each: each for name, each in routers.items()}
    ).shift(asked)


async def test_every_router_gets_the_same_split_and_its_own_configuration():
    a, b = Scripted(), Scripted()
    done = await shift(request("a", "b"), a=a, b=b)
    assert [ask.config for ask in (*a.asked, *b.asked)] == [{"route": "a"}, {"route": "b"}]
    assert a.asked[0].split == b.asked[0].split == request().split
    assert (done.answer.state, done.again) == ("applied", "")


async def test_a_router_with_a_split_of_its_own_gets_that_one():
    """ALB prefers ping and pong where the others go by the stable and the canary Service."""
    a, b = Scripted(), Scripted()
    asked = request("a", "b")
    own = Split(canary=Destination(weight=20, service="ping"), stable=Destination(weight=80, service="pong"))
    first, second = asked.routers
    await shift(asked.model_copy(update={"routers": (first.model_copy(update={"split": own}), second)}), a=a, b=b)
    assert (a.asked[0].split, b.asked[0].split) == (own, asked.split)


async def test_pods_that_are_no_endpoints_yet_are_given_nothing_and_an_abort_does_not_ask():
    kube, a = MemoryKube(), Scripted()
    labels = {"kubernetes.io/service-name": "stable"}
    endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "app-old-1"}}
    await kube.create(ENDPOINT_SLICE, {"metadata": {"name": "s", "namespace": "shop", "labels": labels}, "endpoints": [endpoint]})

    def to_canary(weight):
        asked = request("a", canary=weight)
        sides = {"stable": "old", "canary": "new"}
        hashes = {side: getattr(asked.split, side).model_copy(update={"hash": of}) for side, of in sides.items()}
        return asked.model_copy(update={"split": asked.split.model_copy(update=hashes)})

    done = await shift(to_canary(20), kube, a=a)
    assert (done.answer.state, a.asked) == ("pending", [])
    assert "endpoints: no pod of new is a ready endpoint of Service canary yet" in done.answer.message
    assert done.again
    assert (await shift(to_canary(0), kube, a=a)).answer.state == "applied"


async def test_one_failing_router_is_named_and_does_not_stop_the_others():
    b = Scripted()
    done = await shift(request("a", "b"), a=Scripted(Refused("Ingress shop/web does not exist")), b=b)
    assert [(each.router, each.state) for each in done.answer.reports] == [("a", "failed"), ("x", "applied")]
    assert done.answer.state == "failed"
    assert done.answer.message == done.again == "a: Ingress shop/web does not exist"
    assert len(b.asked) == 1


async def test_an_unknown_router_is_answered_with_the_known_ones_and_not_tried_again():
    done = await shift(request("nginxx"), nginx=Scripted(), istio=Scripted())
    assert done.answer.state == "failed"
    assert done.answer.message == "nginxx: unknown traffic router 'nginxx'; known: istio, nginx"
    assert done.again == ""


@pytest.mark.parametrize(
    ("problem", "state", "again"),
    [
        (Refused("no such route"), "failed", True),
        (Refused("unreadable config", lasting=True), "failed", False),
        (Forbidden("no rights", status=403), "failed", True),
        (ServerUnavailable("away", status=503), "pending", True),
        (Retry("changed by others"), "pending", True),
        (Stale("dropped: decision 30 was here"), "failed", False),
    ],
)
async def test_what_stands_in_the_way_decides_the_state_and_whether_to_try_again(problem, state, again):
    done = await shift(request("a"), a=Scripted(problem))
    assert (done.answer.state, bool(done.again)) == (state, again)
    assert done.answer.reports[0].message == str(problem)


async def test_what_a_router_did_is_told_also_where_it_failed_afterwards():
    did = Record(reason="PatchingALBIngress", message="Updating Ingress `web`")
    gone = Record(type="Warning", reason="VirtualServiceNotFound", message="VirtualService `vs` not found")
    done = await shift(request("a", "b"), a=Scripted(Refused("no vs", records=(gone,)), tells=[did]), b=Scripted(tells=[did]))
    failed = Record(type="Warning", reason="TrafficRoutingError", message="no vs")
    assert done.records == (did, gone, failed, did)


async def test_an_outage_is_no_event():
    assert (await shift(request("a"), a=Scripted(ServerUnavailable("away", status=503)))).records == ()
    assert (await shift(request("a"), a=Scripted(Stale("dropped")))).records == ()


async def test_a_dropped_request_says_what_is_there():
    done = await shift(request("a"), a=Scripted(Stale("dropped: decision 30 was here")))
    assert done.answer.reports[0].weight == 40


async def test_a_router_that_lags_behind_is_worth_another_look():
    done = await shift(request("a"), a=Scripted(RouterReport(router="a", state="pending", verified=False)))
    assert (done.answer.state, bool(done.again)) == ("pending", True)


async def test_no_traffic_goes_to_a_canary_whose_service_is_not_switched():
    a = Scripted()
    done = await shift(request("a", services=["canary"]), a=a)
    assert a.asked == []
    assert done.answer.state == "failed"
    assert done.answer.message == "Service shop/canary does not exist; rollout shop/app needs it; a: left as it is"
    assert done.answer.reports[0].weight == 40
    assert done.again


async def test_an_abort_does_not_wait_for_a_service_that_somebody_deleted():
    a = Scripted()
    done = await shift(request("a", canary=0, services=["canary"]), a=a)
    assert [ask.split.canary.weight for ask in a.asked] == [0]
    assert done.answer.state == "failed"


async def test_services_alone_are_enough():
    kube = MemoryKube()
    await kube.create(SERVICE, {"metadata": {"name": "active", "namespace": "shop"}, "spec": {"selector": {"app": "app"}}})
    done = await shift(request(services=["active"]).model_copy(update={"split": None}), kube)
    assert (done.answer.state, done.answer.reports) == ("applied", ())
    assert (await kube.get(SERVICE, "shop", "active"))["spec"]["selector"][POD_TEMPLATE_HASH] == "abc"


async def test_what_a_router_cannot_do_is_left_out_and_said():
    a = Scripted(supports=frozenset({Feature.ADDITIONAL_DESTINATIONS}))
    done = await shift(request("a", headers=["h"]), a=a)
    assert a.asked[0].split.header_routes == ()
    assert done.answer.state == "applied"
    assert done.answer.reports[0].message == "left out, since it cannot do them: header-routes"


def test_the_share_of_an_experiment_that_a_router_cannot_route_goes_to_stable():
    asked = request(additional=(Destination(weight=5, service="a"), Destination(weight=10, service="b"))).split
    assert needed_features(asked) == {Feature.ADDITIONAL_DESTINATIONS}
    within = split_within(asked, frozenset())
    assert (within.canary.weight, within.stable.weight, within.additional) == (20, 80, ())


def test_the_state_of_several_is_the_worst():
    assert worst_of() == "applied"
    assert worst_of("applied", "pending") == "pending"
    assert worst_of("failed", "applied", "pending") == "failed"


# --- what comes and what goes -------------------------------------------------------------------------------------------


def experiment(weight, *names):
    return tuple(Destination(weight=weight, service=name) for name in names)


def weights(split):
    return {each.service: each.weight for each in (split.canary, split.stable, *split.additional)}


async def test_an_experiments_services_are_known_before_they_weigh_anything_and_weigh_nothing_before_they_go():
    router, slept = Scripted(tells=[Record(reason="Told", message="once")]), []

    async def sleep(seconds):
        slept.append((seconds, len(router.asked)))

    shifter = Shifter(kube=MemoryKube(), routers={"a": lambda _kube: router}, sleep=sleep)
    for additional in ((), experiment(20, "x", "y"), experiment(20, "x", "y"), ()):
        done = await shifter.shift(request("a", additional=additional))
        assert (done.answer.state, [each.message for each in done.records]) == ("applied", ["once"])
    assert [weights(each.split) for each in router.asked] == [
        {"canary": 20, "stable": 80},
        {"canary": 20, "stable": 80, "x": 0, "y": 0},
        {"canary": 20, "stable": 40, "x": 20, "y": 20},
        {"canary": 20, "stable": 40, "x": 20, "y": 20},
        {"canary": 20, "stable": 80, "x": 0, "y": 0},
        {"canary": 20, "stable": 80},
    ]
    assert slept == [(SECONDS, 2), (SECONDS, 5)]


async def test_an_abort_takes_all_weight_away_at_once_also_from_an_experiment():
    router, seen = Scripted(), []

    async def sleep(_seconds):
        seen.append(weights(router.asked[-1].split))

    shifter = Shifter(kube=MemoryKube(), routers={"a": lambda _kube: router}, sleep=sleep)
    await shifter.shift(request("a", additional=experiment(20, "x")))
    await shifter.shift(request("a", canary=0))
    assert seen[1:] == [{"canary": 0, "stable": 100, "x": 0}]


class KilledError(Exception):
    """The process ends here."""


async def killed(_seconds):
    raise KilledError


def restarted(router, sleep):
    """Another process, which knows nothing but what the router's objects say."""
    return Shifter(kube=MemoryKube(), routers={"a": lambda _kube: router}, sleep=sleep)


@pytest.mark.parametrize(("before", "after"), [((), experiment(20, "x")), (experiment(20, "x"), ())])
async def test_a_shifter_killed_while_something_comes_or_goes_is_followed_by_one_that_gives_it_its_time(before, after):
    router, slept = Scripted(), []

    async def sleep(seconds):
        slept.append(seconds)

    await restarted(router, sleep).shift(request("a", additional=before))
    with pytest.raises(KilledError):
        await restarted(router, killed).shift(request("a", additional=after))
    slept.clear()
    await restarted(router, sleep).shift(request("a", additional=after))
    *_, eased, last = [weights(each.split) for each in router.asked]
    assert (eased, slept) == ({"canary": 20, "stable": 80, "x": 0}, [SECONDS])
    assert last == weights(request("a", additional=after).split)


async def test_what_a_killed_shifter_left_in_an_http_route_is_gone_on_with_by_the_next():
    """Coming: named without weight, and only then with it. Going: without weight, and only then out of the route."""
    kube = MemoryKube()
    refs = [{"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]
    await kube.create(HTTP_ROUTE, {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"rules": [{"backendRefs": refs}]}})

    def there():
        (rule,) = kube.snapshot(HTTP_ROUTE)[0]["spec"]["rules"]
        return {each["name"]: each["weight"] for each in rule["backendRefs"]}

    seen = []

    async def sleep(_seconds):
        seen.append(there())

    router = Router(router="argoproj-labs/gatewayAPI", config={"httpRoute": "web"})
    for additional in (experiment(20, "x"), ()):
        asked = request("a", additional=additional).model_copy(update={"routers": (router,)})
        with pytest.raises(KilledError):
            await Shifter(kube=kube, routers=ROUTERS, sleep=killed).shift(asked)
        done = await Shifter(kube=kube, routers=ROUTERS, sleep=sleep).shift(asked)
        assert done.answer.state == "applied"
        seen.append(there())
    assert seen == [
        {"stable": 80, "canary": 20, "x": 0},
        {"stable": 60, "canary": 20, "x": 20},
        {"stable": 80, "canary": 20, "x": 0},
        {"stable": 80, "canary": 20},
    ]


async def test_after_a_restart_nothing_that_has_weight_loses_it():
    router = Scripted()

    async def sleep(_seconds):
        """At once."""

    await restarted(router, sleep).shift(request("a", additional=experiment(20, "x")))
    before = len(router.asked)
    await restarted(router, killed).shift(request("a", additional=experiment(20, "x")))
    assert [weights(each.split) for each in router.asked[before:]] == [{"canary": 20, "stable": 60, "x": 20}]


async def test_a_router_that_cannot_say_what_is_there_is_asked_for_the_split_all_the_same():
    """Its refusal is then told like any other."""
    router = Scripted()

    async def lost(_ask):
        raise Refused("HTTPRoute shop/web does not exist")

    router.additional = lost
    assert (await shift(request("a"), a=router)).answer.state == "applied"


@st.composite
def splits(draw):
    names = draw(st.lists(st.sampled_from("xyz"), unique=True))
    additional = tuple(Destination(weight=draw(st.integers(0, 20)), service=name) for name in names)
    canary = draw(st.integers(0, 40))
    stable = 100 - canary - sum(each.weight for each in additional)
    sides = {"canary": Destination(weight=canary, service="c"), "stable": Destination(weight=stable, service="s")}
    return Split(**sides, additional=additional)


@given(before=splits(), after=splits())
def test_between_two_splits_only_what_weighs_in_both_has_weight_and_all_of_both_is_named(before, after):
    there = {each.service: each.weight for each in before.additional}
    eased = between(there, after)
    weighing = {each.service for each in after.additional if each.weight and there.get(each.service)}
    named = {each.service for each in after.additional} | there.keys()
    if eased is None:
        assert weighing == {each.service for each in after.additional if each.weight}
        assert named == {each.service for each in after.additional}
        return
    assert Split.model_validate(eased.model_dump()) == eased  # the sum is right
    assert {each.service for each in eased.additional} == named
    assert {each.service for each in eased.additional if each.weight} == weighing
    assert eased.canary == after.canary
    assert between({each.service: each.weight for each in after.additional}, after) is None


def test_of_several_routes_the_least_counts():
    assert least([{"x": 20, "y": 5}, {"x": 10}]) == {"x": 10, "y": 0}
    assert least([]) == {}
