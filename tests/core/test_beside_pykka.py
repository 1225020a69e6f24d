"""Beside pykka: both kinds of actors in one registry, and the internals of pykka that this rests on."""

import ast
from pathlib import Path

import pykka
import pykka._actor
import pykka._introspection
import pykka._types
import pykka.messages
import pytest

import actorflow as af
from actorflow.core.messages.ref_table import RefTable
from tests.core.actors import Echo, Log


class Foreign(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self):
        super().__init__()
        self.attribute = "of a thread"

    def on_receive(self, message):
        return message

    def ask(self, ref, message):
        return ref.ask(message)


class Ours(af.Actor):
    def ask(self, ref, message):
        return ref.ask(message)

    def use(self, ref):
        return ref.proxy().attribute.get()


@pytest.fixture
def foreign():
    ref = Foreign.start()
    yield ref
    ref.stop(timeout=20)


def test_both_kinds_are_in_one_registry_in_start_order(any_system, foreign):
    before = pykka.ActorRegistry.get_all()
    ours = any_system.spawn(Echo)
    second = Foreign.start()
    assert pykka.ActorRegistry.get_all() == [*before, ours, second]
    assert second.stop(timeout=20)
    assert ours.stop(timeout=20)
    assert pykka.ActorRegistry.get_all() == before


def test_the_registry_finds_ours_by_class_name_and_urn(any_system, foreign):
    class Registered(Echo):  # a class that no other test has an actor of
        pass

    ours = any_system.spawn(Registered)
    assert pykka.ActorRegistry.get_by_urn(ours.actor_urn) is ours
    assert pykka.ActorRegistry.get_by_class(Registered) == [ours]
    assert pykka.ActorRegistry.get_by_class_name("Registered") == [ours]
    assert pykka.ActorRegistry.get_by_urn(foreign.actor_urn) is foreign


def test_broadcast_reaches_both(any_system, foreign):
    ours = any_system.spawn(Log)
    pykka.ActorRegistry.broadcast("to all", target_class=Log)
    assert ours.call(Log.read).get(timeout=20) == ["to all"]


def test_an_actor_may_ask_a_threading_actor_and_the_other_way_round(system, foreign):
    ours, echo = system.spawn(Ours), system.spawn(Echo)
    assert ours.call(Ours.ask, foreign, "over there").get(timeout=20) == "over there"
    assert ours.call(Ours.use, foreign).get(timeout=20) == "of a thread"
    assert foreign.proxy().ask(echo, "and back").get(timeout=20) == "and back"


def test_pykkas_futures_and_ours_combine(system, foreign):
    futures = [system.spawn(Echo).ask(1, block=False), foreign.ask(2, block=False)]
    assert pykka.get_all(futures, timeout=20) == [1, 2]
    assert futures[0].join(futures[1]).get(timeout=20) == [1, 2]


def test_a_threading_actor_is_started_and_stopped_as_before():
    ref = Foreign.start()
    assert ref in pykka.ActorRegistry._actor_refs
    assert ref.ask("hello", timeout=20) == "hello"
    assert ref.stop(timeout=20) is True
    assert ref.stop(timeout=20) is False
    assert ref not in pykka.ActorRegistry._actor_refs


def test_the_registrys_list_is_a_table_that_acts_like_it():
    table = RefTable()
    refs = [Foreign.start() for _ in range(3)]
    try:
        for ref in refs:
            table.append(ref)
        assert list(table) == table[:] == refs
        assert len(table) == 3
        table.remove(refs[1])
        assert list(table) == [refs[0], refs[2]]
        assert refs[1] not in table
        assert refs[2] in table
        with pytest.raises(ValueError, match="not in the registry"):
            table.remove(refs[1])
    finally:
        for ref in refs:
            ref.stop(timeout=20)


# Every internal of pykka that actorflow uses. A new one belongs here, and pykka's next version must have it.
INTERNALS = {
    "pykka.ActorRegistry._actor_refs": lambda: type(pykka.ActorRegistry._actor_refs) in (list, RefTable),
    "pykka.ActorRegistry._actor_refs_lock": lambda: hasattr(pykka.ActorRegistry._actor_refs_lock, "acquire"),
    "pykka._actor.ActorInbox": lambda: pykka._actor.ActorInbox.put,
    "pykka._introspection.AttrInfo": lambda: pykka._introspection.AttrInfo(callable=True, traversable=False),
    "pykka._introspection.introspect_attrs": lambda: pykka._introspection.introspect_attrs(root=pykka, proxy=object()),
    "pykka._introspection.get_attr_directly": lambda: pykka._introspection.get_attr_directly(pykka, ["messages"]),
    "pykka._types.OptExcInfo": lambda: pykka._types.OptExcInfo,
    "pykka.messages._ActorStop": lambda: isinstance(pykka.messages._ActorStop, type),
}
# Methods that pykka's own code calls on our classes by these names.
OVERRIDDEN = {
    pykka.Actor: ["_create_actor_inbox", "_create_future", "_start_actor_loop"],
    pykka.ActorProxy: ["_actor", "_attr_path", "_known_attrs"],
}


@pytest.mark.parametrize("name", INTERNALS)
def test_pykka_has_the_internals_that_actorflow_uses(name):
    assert INTERNALS[name]()


def test_pykka_calls_what_actorflow_overrides(system):
    for name in OVERRIDDEN[pykka.Actor]:
        assert hasattr(pykka.Actor, name)
    proxy = system.spawn(Echo).proxy()
    for name in OVERRIDDEN[pykka.ActorProxy]:
        assert name in dir(proxy) or name in vars(proxy) or hasattr(type(proxy), name)


@pytest.mark.slow
def test_no_other_internal_of_pykka_is_used():
    used = set()
    for path in Path(af.__file__).parent.rglob("*.py"):
        used |= internals_in(ast.parse(path.read_text()))
    assert used == set(INTERNALS)


def internals_in(tree):
    """Return the dotted names with an underscore that are imported from pykka, or reached through it."""
    names, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name.startswith("pykka")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pykka"):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    found |= set(names.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node).split(".")
            if dotted[0] in names:
                found.add(".".join([names[dotted[0]], *dotted[1:]]))
    return {name for name in found if any(part.startswith("_") for part in name.split("."))}


@pytest.mark.parametrize("base", [pykka.ThreadingActor, af.Actor])
def test_an_actor_that_was_made_by_its_class_can_be_told_to_stop(base):
    class Server(base):
        def end(self):
            self.stop()

    server = Server()
    server.end()
    assert server.actor_ref.stop(block=False) is not None
    assert isinstance(server.actor_ref.is_alive(), bool)


def test_the_ctx_of_an_actor_that_was_never_started_says_how_to_start_it():
    log = Log()
    for use in (
        lambda: log.ctx.after(1, log.note, 1),
        lambda: log.ctx.spawn(Echo),
        lambda: log.ctx.now(),
        lambda: log.ctx.random,
        lambda: log.ctx.watch(log.actor_ref),
    ):
        with pytest.raises(af.DefinitionError, match=r"system.spawn\(Log"):
            use()
