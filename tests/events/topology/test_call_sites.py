"""The events that code publishes and hears by calls, and the services that it starts, read from source."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from types import ModuleType

import pytest

import actorflow as af
from actorflow.app.topology import topology_of
from actorflow.events.topology.call_sites import CallSites, sites_of
from actorflow.events.topology.findings import findings_in

NUMBERS = itertools.count()
FACTS = """
    from __future__ import annotations
    from dataclasses import dataclass
    import actorflow as af

    @dataclass
    class Placed:
        order: str
        @classmethod
        def of(cls, order):
            return cls(order)

    @dataclass
    class Paid:
        order: str

    @dataclass
    class Sent:
        order: str

    class Payments(af.Service):
        @af.on(Placed)
        def charge(self, event: Placed) -> Paid: ...
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes and imports a module, also one of a package; each test has a package of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    package = f"called_shop_{next(NUMBERS)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()

    def module(name: str, text: str) -> ModuleType:
        text = textwrap.dedent(text).replace("PACKAGE", package)
        (tmp_path / package / f"{name}.py").write_text(text)
        return importlib.import_module(f"{package}.{name}")

    return module


def names(places: dict) -> dict:
    return {getattr(key, "__name__", key): [*map(str, where)] for key, where in places.items()}


def test_a_function_that_makes_an_event_and_publishes_is_a_place(write):
    facts = write("facts", FACTS)
    code = write(
        "code",
        """
        import PACKAGE.facts as facts
        from PACKAGE.facts import Paid, Placed

        def direct(system):
            system.publish(Placed("a"))

        async def by_name(system):
            events = [facts.Placed.of("b"), facts.Paid("c")]
            for event in events:
                await system.publish(event)

        class Api:
            def post(self):
                self.publish(Paid("d"), key="x")

        def makes_only():
            return Placed("e")

        if True:
            def guarded(system):
                system.publish(Paid("f"))

        system = facts
        try:
            system.publish(Placed("g"))
        except AttributeError:
            pass
        """,
    )
    sites = sites_of([facts, code])
    assert names(sites.published) == {
        "Placed": ["direct", "by_name", "code"],
        "Paid": ["by_name", "guarded", "Api.post"],
    }


def test_subscribers_are_places_by_class_and_by_pattern(write):
    code = write(
        "code",
        FACTS
        + """
    def main(system):
        system.subscribe(Paid, print)
        system.subscribe("orders.*", print)
        system.subscribe(af.Stopped, print)
        system.subscribe(lambda event: True, print)
        system.subscribe()
    """,
    )
    heard = sites_of([code]).heard
    assert [*names(heard)][:2] == ["Paid", "orders.*"]
    assert names(heard)["orders.*"] == ["main"]


def test_services_that_code_starts_are_found(write):
    code = write(
        "code",
        FACTS
        + """
    def main(system):
        system.spawn(af.child(Payments).options(name="payments"))
        system.spawn(Payments)
        system.spawn(af.Service)
    """,
    )
    assert sites_of([code]).started == [code.Payments]


def test_a_module_without_source_has_no_places():
    sites = CallSites()
    sites.add(sys)
    sites.add(ModuleType("made"))
    assert (sites.published, sites.heard, sites.started) == ({}, {}, [])


def test_a_name_that_cannot_be_looked_up_is_no_event(write):
    code = write(
        "code",
        """
        class Grim:
            def __getattr__(self, name):
                raise RuntimeError

        class Meta(type):
            def __getattr__(cls, name):
                raise RuntimeError

        class Grimmer(metaclass=Meta):
            pass

        grim = Grim()

        def main(system, event):
            system.publish(grim.Placed("a"))
            system.publish(Grimmer.Placed("a"))
            system.publish(event.copy())
            system.publish(nowhere.Placed())
            system.subscribe(Grimmer.Placed, print)
            system.subscribe(3, print)
        """,
    )
    assert sites_of([code]).published == {}
    assert sites_of([code]).heard == {}


# --- of an app -------------------------------------------------------------------------------------------------------


def test_an_apps_services_are_its_parts_those_below_its_supervisors_and_those_that_its_code_starts(write):
    facts = write("facts", FACTS)
    write(
        "other",
        """
        import actorflow as af
        from PACKAGE.facts import Paid, Sent

        class Mail(af.Service):
            @af.on(Sent)
            def note(self, event: Sent) -> None: ...

        class Shipping(af.Service):
            @af.on(Paid)
            def ship(self, event: Paid) -> Sent: ...

            def on_start(self):
                self.ctx.spawn(Mail)
        """,
    )
    code = write(
        "code",
        """
        import actorflow as af
        from PACKAGE.facts import Payments, Placed
        from PACKAGE.other import Shipping

        def main(system, settings):
            system.spawn(Shipping)
            system.publish(Placed("a"))

        tree = af.child(af.Supervisor, af.child(Payments))
        app = af.App("shop").add(tree)
        app.main(main)
        """,
    )
    topology = topology_of(code.app, code.__name__)
    assert sorted(service.__name__ for service in topology.services) == ["Mail", "Payments", "Shipping"]
    assert findings_in(topology) == []
    assert topology.publishers_of(facts.Placed) == ["main"]


def test_the_modules_of_the_apps_package_are_read(write):
    write("facts", FACTS)
    write("api", "from PACKAGE.facts import Placed\ndef post(system): system.publish(Placed('a'))\n")
    write("mail", "from PACKAGE.facts import Paid\ndef listen(system): system.subscribe(Paid, print)\n")
    code = write(
        "code", "import actorflow as af\nfrom PACKAGE.facts import Payments\napp = af.App('shop').add(Payments)\n"
    )
    assert findings_in(topology_of(code.app, code.__name__)) == []
    assert [one.kind for one in findings_in(topology_of(code.app))] == ["unhandled", "unfed"]


def test_an_app_without_services_has_none():
    assert topology_of(af.App("empty")).services == ()
