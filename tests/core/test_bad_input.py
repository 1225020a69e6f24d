"""Bad input: each mistake is a clear error of the tree, where it was made, and nothing else stops."""

import asyncio
import math

import pytest

import actorflow as af
from tests.core.actors import Echo, Log


class Counter(af.Actor):
    def __init__(self, start: int, *, step: int = 1):
        super().__init__()
        self.n = start
        self.step = step

    def add(self, k: int = 1):
        self.n += k
        return self.n


class Spawning(af.Actor):
    def spawn(self, *args, **kwargs):
        return self.ctx.spawn(*args, **kwargs)


@pytest.fixture(params=["system", "ctx"])
def spawn(any_system, request):
    """Spawn under the system, or under an actor."""
    if request.param == "system":
        yield any_system.spawn
    else:
        parent = any_system.spawn(Spawning)
        yield lambda *args, **kwargs: parent.call(Spawning.spawn, *args, **kwargs).get(timeout=20)
    assert any_system.spawn(Echo).ask("nothing else stopped", timeout=20)


@pytest.mark.parametrize(
    ("args", "kwargs", "match"),
    [
        ((), {}, "missing a required argument: 'start'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"stop": 2}, "unexpected keyword argument 'stop'"),
    ],
)
def test_wrong_constructor_arguments(spawn, args, kwargs, match):
    with pytest.raises(af.DefinitionError, match=rf"Counter\(\.\.\.\): .*{match}"):
        spawn(Counter, *args, **kwargs)
    with pytest.raises(af.DefinitionError, match=match):
        spawn(af.child(Counter, *args, **kwargs))


def test_an_error_inside_a_constructor_is_itself(spawn):
    class Broken(af.Actor):
        def __init__(self):
            super().__init__()
            len(None)

    with pytest.raises(TypeError, match="NoneType"):
        spawn(Broken)


def test_arguments_beside_a_child_recipe(spawn):
    with pytest.raises(af.DefinitionError, match="arguments already"):
        spawn(af.child(Counter, 1), 2)


def test_a_duplicate_name(spawn):
    first = spawn(af.child(Log).options(name="x"))
    with pytest.raises(af.DefinitionError, match=f"{first.path.rpartition('/')[0]} has a child named 'x' already"):
        spawn(af.child(Log).options(name="x"))
    assert first.is_alive()


class Foreign:
    pass


@pytest.mark.parametrize("cls", [Foreign, "Counter", None, print, Counter(1)])
def test_a_child_class_that_is_no_actor(spawn, cls):
    with pytest.raises(af.DefinitionError, match="is no actor class"):
        spawn(cls)
    with pytest.raises(af.DefinitionError, match="is no actor class"):
        af.child(cls)


def test_an_object_in_place_of_its_class_is_refused_with_the_cure(spawn):
    with pytest.raises(af.DefinitionError, match="is no actor class, but an actor: give its class"):
        spawn(Counter(1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"restrat": "permanent"}, "unknown option 'restrat': did you mean 'restart'"),
        ({"capacty": 3}, "did you mean 'capacity'"),
        ({"quite_another": 3}, "known are name, restart"),
        ({"capacity": -1}, "capacity=-1"),
        ({"capacity": 0}, "capacity=0"),
        ({"capacity": 1.5}, "capacity=1.5"),
        ({"capacity": "ten"}, "capacity='ten'"),
        ({"overflow": "dorp_oldest"}, "overflow='dorp_oldest': choose one of 'block', 'fail', 'drop_oldest'"),
        ({"restart": "always"}, "restart='always': choose one of 'permanent', 'transient', 'temporary'"),
        ({"shutdown": -1}, "shutdown=-1"),
        ({"shutdown": "soon"}, "shutdown='soon'"),
        ({"shutdown": math.nan}, "shutdown=nan"),
        ({"name": ""}, "name=''"),
        ({"name": "a/b"}, "name='a/b'"),
        ({"name": 7}, "name=7"),
        ({"backoff": 3}, "backoff=3"),
    ],
)
def test_wrong_options(options, match):
    with pytest.raises(af.DefinitionError, match=match):
        af.child(Counter, 1).options(**options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"blokcing": True}, "did you mean 'blocking'"),
        ({"capacity": -1}, "capacity=-1"),
        ({"overflow": "drop"}, "overflow='drop'"),
        ({"name": "x"}, "name"),
    ],
)
def test_wrong_class_keywords(options, match):
    with pytest.raises(af.DefinitionError, match=match):
        type("Wrong", (af.Actor,), {}, **options)


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": -1},
        {"first": 1, "factor": 0.5},
        {"first": 1, "limit": -1},
        {"first": 1, "jitter": 2},
        {"first": 1, "jitter": -1},
        {"first": math.nan},
        {"first": 1, "factor": math.nan},
        {"first": 1, "limit": math.nan},
    ],
)
def test_a_wrong_backoff(arguments):
    with pytest.raises(af.DefinitionError, match="Backoff"):
        af.Backoff(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"grace": -1},
        {"threads": 1},
        {"threads": 0},
        {"ask_timeout": 0},
        {"ask_timeout": -1},
        {"ask_timeout": math.nan},
        {"store_patience": math.nan},
        {"intensity": -1},
        {"period": 0},
    ],
)
def test_wrong_settings(arguments):
    with pytest.raises(af.DefinitionError):
        af.Settings(**arguments)


@pytest.mark.parametrize("name", ["", "a/b", "/"])
def test_a_wrong_name_of_a_system(system_class, name):
    with pytest.raises(af.DefinitionError, match="system's name"):
        system_class(name)


def test_a_message_to_a_dead_ref_names_it(any_system):
    ref = any_system.spawn(af.child(Log).options(name="gone"))
    ref.stop(timeout=20)
    with pytest.raises(af.ActorDeadError, match="/test/gone"):
        ref.tell(1)


@pytest.mark.parametrize("method", [len, Log.note, "nothing", lambda self: None])
def test_a_call_of_something_that_is_no_method_of_the_actor(any_system, method):
    ref = any_system.spawn(Counter, 1)
    for send in (ref.call, ref.cast):
        with pytest.raises(af.DefinitionError, match="no method of Counter"):
            send(method)
    assert ref.call(Counter.add).get(timeout=20) == 2


def test_a_call_with_wrong_arguments_is_the_callers_error(any_system):
    ref = any_system.spawn(Counter, 1)
    with pytest.raises(TypeError, match="add"):
        ref.call(Counter.add, 1, 2, 3).get(timeout=20)
    assert ref.is_alive()


def test_asyncio_without_loop_true_names_the_option(any_system):
    class Net(af.Actor):
        async def fetch(self):
            await asyncio.sleep(0.01)

    with pytest.raises(RuntimeError) as caught:
        any_system.spawn(Net).call(Net.fetch).get(timeout=20)
    assert "loop=True" in "".join(caught.value.__notes__)


def test_a_supervisor_whose_child_cannot_start(any_system):
    class Stillborn(af.Actor):
        def on_start(self):
            raise KeyError("no start")

    with pytest.raises(KeyError, match="no start"):
        any_system.spawn(af.child(af.Supervisor, af.child(Stillborn)))
    assert any_system.tree().children == []


def test_an_actor_made_by_hand_has_a_dead_ref():
    actor = Counter(1)
    assert not actor.actor_ref.is_alive()
    with pytest.raises(af.ActorDeadError):
        actor.actor_ref.tell(1)


def test_an_actor_that_forgets_super_init_works(any_system):
    class Forgetful(af.Actor):
        def __init__(self):
            self.n = 1

        def get(self):
            return self.n

    assert any_system.spawn(Forgetful).call(Forgetful.get).get(timeout=20) == 1


@pytest.mark.parametrize("grace", [-1, math.nan, "soon"])
def test_a_wrong_grace_time_ends_nothing(any_system, grace):
    with pytest.raises((af.DefinitionError, TypeError)):
        any_system.stop(grace=grace)
    assert any_system.spawn(Counter, 1).is_alive()


def test_a_name_that_an_unnamed_sibling_has_is_taken_and_the_other_way_round(any_system):
    unnamed = any_system.spawn(Counter, 1)
    with pytest.raises(af.DefinitionError, match="names are unique"):
        any_system.spawn(af.child(Counter, 1).options(name=unnamed.name))
    number = int(unnamed.name.rpartition("-")[2])
    named = [any_system.spawn(af.child(Counter, 1).options(name=f"counter-{number + n}")) for n in (5, 6, 7)]
    refs = [unnamed, *named, *(any_system.spawn(Counter, 1) for _ in range(9))]
    assert len({ref.path for ref in refs}) == len(refs)
    assert [any_system.find(ref.path) for ref in refs] == refs


def test_a_path_with_a_number_too_long_to_read_is_nobodys(any_system):
    assert any_system.find("/test/counter-" + "9" * 5000) is None


@pytest.mark.parametrize(("base", "name"), [(af.Actor, "_perform_named"), (af.StateMachine, "_read")])
def test_a_private_method_that_would_replace_one_of_the_runtime_is_refused(base, name):
    with pytest.raises(af.DefinitionError, match=f"Wrong.{name} would replace a method of .*: give it another name"):
        type("Wrong", (base,), {name: lambda self: None, "__module__": __name__})


def test_an_actor_that_comes_from_pykka_may_have_private_names_of_its_own(any_system):
    class Poller(af.Actor):
        _period = 0.5
        _options = ("verbose",)
        _intensity = "high"

        def _perform(self):
            return self._period, self._options, self._intensity

        def poll(self):
            child = self.ctx.spawn(Echo)
            return self._perform(), child.ask(1)

    poller = any_system.spawn(Poller)
    assert poller.call(Poller.poll).get(timeout=20) == ((0.5, ("verbose",), "high"), 1)
    assert poller.proxy().poll().get(timeout=20)[1] == 1
