"""Reader: a chart from a dict, with the path of each mistake."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, Transition, is_wait
from actorflow.machine.definition.checks import check
from actorflow.machine.definition.draft import Draft, complete_history, freeze
from actorflow.machine.definition.hooks import not_plain

ORDERS: Final = ("action first", "scxml")
TYPES: Final = ("atomic", "compound", "parallel", "final")  # and "history"
CHART_KEYS: Final = ("name", "version", "order", "initial", "states")
STATE_KEYS: Final = (
    *("type", "initial", "enter", "exit", "on", "after", "always", "transitions"),
    *("defer", "invoke", "donedata", "states"),
)
HISTORY_KEYS: Final = ("type", "history", "target", "actions")
TRANSITION_KEYS: Final = ("target", "guard", "actions", "internal", "choose")
INVOKE_KEYS: Final = ("id", "src", "autoforward", "finalize")
PEERS: Final = {  # words of XState and transitions
    "entry": "'enter'",
    "on_enter": "'enter'",
    "on_exit": "'exit'",
    "cond": "'guard'",
    "conditions": "'guard'",
    "dest": "'target'",
    "trigger": "'event'",
    "onDone": "'on' with the event 'done.state.<name>' or 'done.invoke.<id>'",
    "onError": "'on' with the event 'error.*'",
    "id": "the key of the state, which is its name",
}


def chart_from_dict(data: Mapping[str, Any], functions: Mapping[str, Any] | None = None) -> Chart:
    """Make a chart from a dict, as `chart_to_dict` writes it or as written by hand.

    A doubtful part, such as a state that nothing leads to, is a `ChartWarning`.

    Args:
        data: the form that the module describes; from JSON or not.
        functions: the objects that names in it stand for: guards, actions, hooks, and children to invoke. Other names
            are methods of the model.

    Raises:
        DefinitionError: an unknown key, a value of the wrong type, a name that stands for nothing; with its path.
    """
    try:
        chart = _MappingReader(data, functions or {}).chart()
    except RecursionError:
        raise DefinitionError("the dict of the chart is nested too deep") from None
    check(chart, loud="warning")
    return chart


class _MappingReader:
    """Reads one dict; `path` is the place in it."""

    def __init__(self, data: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.data = data
        self.functions = functions
        self.drafts: dict[str, Draft] = {}
        self.name = "chart"

    def chart(self) -> Chart:
        """Read the whole dict."""
        data = self._mapping(self.data, "", CHART_KEYS)
        self.name = self._text(data.get("name", "chart"), "name")
        version, order = data.get("version", 1), data.get("order", "action first")
        if isinstance(version, bool) or not isinstance(version, int):
            self._fail("version", f"give an int, not {version!r}")
        if order not in ORDERS:
            self._fail("order", f"give one of {', '.join(map(repr, ORDERS))}, not {order!r}")
        root = Draft(ROOT)
        self._states(root, data, "")
        return freeze(self.name, root, self.drafts.values(), order=order, version=version)

    # --- states ------------------------------------------------------------------------------------------------------

    def _states(self, around: Draft, data: Mapping[str, Any], path: str) -> None:
        """Read the states within a state, and its initial transition."""
        if data.get("initial") is not None:
            around.initial = self._default(around.name, data["initial"], _join(path, "initial"))
        histories: list[Draft] = []
        path = _join(path, "states")
        for name, inner in self._mapping(data.get("states", {}), path).items():
            self._text(name, path)
            if name in self.drafts:
                self._fail(_join(path, name), f"there is a state {name!r} already; names are unique in the whole chart")
            draft = self.drafts[name] = Draft(name, around.name)
            if self._state(draft, inner, _join(path, name)):
                histories.append(draft)
        for draft in histories:
            complete_history(draft, self.drafts)

    def _state(self, draft: Draft, data: Any, path: str) -> bool:
        """Read one state; return whether it is a history without a default, which enters the default of its parent."""
        data = self._mapping(data, path)
        kind = data.get("type", "history" if "history" in data else None)
        if kind == "history":
            return self._history(draft, self._mapping(data, path, HISTORY_KEYS), path)
        self._mapping(data, path, STATE_KEYS)
        if kind is not None and kind not in TYPES:
            self._fail(_join(path, "type"), f"give one of {', '.join(map(repr, (*TYPES, 'history')))}, not {kind!r}")
        if kind == "atomic" and data.get("states"):
            self._fail(_join(path, "type"), "it has states, so it is 'compound' or 'parallel'; leave the type out")
        draft.kind = kind
        draft.enter = self._hooks(data.get("enter", ()), _join(path, "enter"))
        draft.exit = self._hooks(data.get("exit", ()), _join(path, "exit"))
        draft.transitions = list(self._transitions(draft.name, data, path))
        draft.defer = [self._text(event, _join(path, "defer")) for event in _listed(data.get("defer", ()))]
        draft.invoke = [
            self._invoke(invoke, f"{_join(path, 'invoke')}[{number}]")
            for number, invoke in enumerate(_listed(data.get("invoke", ())))
        ]
        if data.get("donedata") is not None:
            draft.donedata = self._hook(data["donedata"], _join(path, "donedata"))
        self._states(draft, data, path)
        return False

    def _history(self, draft: Draft, data: Mapping[str, Any], path: str) -> bool:
        kind = data.get("history", "shallow")
        if kind not in HISTORY:
            self._fail(_join(path, "history"), f"give one of {', '.join(map(repr, HISTORY))}, not {kind!r}")
        draft.kind = kind
        if data.get("target") is not None:
            spec = {key: data[key] for key in ("target", "actions") if key in data}
            draft.initial = self._default(draft.name, spec, path)
        return "target" not in data

    def _default(self, source: str, data: Any, path: str) -> Transition:
        """Read an initial transition: a target, several, or with actions."""
        if not isinstance(data, Mapping):
            data = {"target": data}
        return self._transition(source, self._mapping(data, path, ("target", "actions")), path)

    # --- transitions -------------------------------------------------------------------------------------------------

    def _transitions(self, source: str, data: Mapping[str, Any], path: str) -> Iterator[Transition]:
        on, after, always = (_join(path, key) for key in ("on", "after", "always"))
        for event, found in self._mapping(data.get("on", {}), on).items():
            events = tuple(self._text(event, on).split())
            for each, where in self._each(found, _join(on, event)):
                yield self._transition(source, each, where, events)
        for key, found in self._mapping(data.get("after", {}), after).items():
            for each, where in self._each(found, _join(after, key)):
                yield self._transition(source, each, where, after=self._number(key, after))
        for each, where in self._each(data.get("always", ()), always):
            yield self._transition(source, each, where)
        for each, where in self._each(data.get("transitions", ()), _join(path, "transitions")):
            spec = dict(self._mapping(each, where, (*TRANSITION_KEYS, "event", "after")))
            events = tuple(self._text(event, _join(where, "event")) for event in _listed(spec.pop("event", ())))
            seconds = spec.pop("after", None)
            if events and seconds is not None:
                self._fail(where, "it has an event and a time; give one of them")
            time = None if seconds is None else self._number(seconds, _join(where, "after"))
            yield self._transition(source, spec, where, events, time)

    def _each(self, found: Any, path: str) -> Iterator[tuple[Any, str]]:
        """Go through one transition, or a list of them."""
        if isinstance(found, list | tuple):
            yield from ((each, f"{path}[{number}]") for number, each in enumerate(found))
        else:
            yield found, path

    def _transition(
        self, source: str, data: Any, path: str, events: tuple[str, ...] = (), after: float | None = None
    ) -> Transition:
        if isinstance(data, str):
            data = {"target": data}
        data = self._mapping(data, path, TRANSITION_KEYS)
        return Transition(
            source,
            events,
            tuple(self._text(target, _join(path, "target")) for target in _listed(data.get("target", ()))),
            self._optional_hook(data, "guard", path),
            tuple(self._hooks(data.get("actions", ()), _join(path, "actions"))),
            self._flag(data, "internal", path),
            after,
            self._optional_hook(data, "choose", path),
        )

    # --- functions and children --------------------------------------------------------------------------------------

    def _hook(self, name: Any, path: str) -> Hook:
        self._text(name, path)
        if name in self.functions:
            if not callable(self.functions[name]):
                self._fail(path, f"functions[{name!r}] is {self.functions[name]!r}; give a function")
            if wrong := not_plain(self.functions[name]):
                self._fail(path, f"functions[{name!r}]: {wrong}")
            return Hook(name, self.functions[name])
        if not name.isidentifier():
            self._fail(path, f"{name!r} is no name of a method, and is not evaluated; give functions={{{name!r}: ...}}")
        return Hook(name)

    def _hooks(self, names: Any, path: str) -> list[Hook]:
        return [self._hook(name, path) for name in _listed(names)]

    def _optional_hook(self, data: Mapping[str, Any], key: str, path: str) -> Hook | None:
        return None if data.get(key) is None else self._hook(data[key], _join(path, key))

    def _invoke(self, data: Any, path: str) -> Invoke:
        if isinstance(data, str):
            data = {"src": data}
        data = self._mapping(data, path, INVOKE_KEYS)
        src = data.get("src")
        if isinstance(src, Mapping):
            child: Any = chart_from_dict(src, self.functions)
        elif self._text(src, _join(path, "src")) in self.functions:
            child = self.functions[str(src)]
        else:
            self._fail(_join(path, "src"), f"nothing is imported by name; give functions={{{src!r}: ...}}")
        id_ = self._text(data.get("id", child.name if isinstance(child, Chart) else src), _join(path, "id"))
        return Invoke(id_, child, self._flag(data, "autoforward", path), self._optional_hook(data, "finalize", path))

    # --- values ------------------------------------------------------------------------------------------------------

    def _mapping(self, data: Any, path: str, known: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Return a mapping; if there are known keys, it is to have no others."""
        if not isinstance(data, Mapping):
            self._fail(path, f"give a dict, not {data!r:.60}")
        for key in data if known else ():
            if key not in known:
                self._fail(_join(path, key), f"unknown key {key!r}; {_nearest(key, known)}")
        return data

    def _text(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not value.strip():
            self._fail(path, f"give a name, not {value!r:.60}")
        return value

    def _flag(self, data: Mapping[str, Any], key: str, path: str) -> bool:
        value = data.get(key, False)
        if not isinstance(value, bool):
            self._fail(_join(path, key), f"give true or false, not {value!r:.60}")
        return value

    def _number(self, value: Any, path: str) -> float:
        try:
            seconds = float(value) if not isinstance(value, bool) else math.nan
        except (OverflowError, TypeError, ValueError):
            seconds = math.nan
        if not is_wait(seconds):
            self._fail(path, f"give a number of seconds, 0 or more, not {value!r:.60}")
        return int(seconds) if seconds.is_integer() else seconds

    def _fail(self, path: str, text: str) -> NoReturn:
        raise DefinitionError(f"{self.name}: {path}: {text}" if path else f"{self.name}: {text}")


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _listed(value: Any) -> list[Any]:
    """Return a list of values, one of which may be given alone."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _nearest(key: Any, known: tuple[str, ...]) -> str:
    if key in PEERS:
        return f"here it is {PEERS[key]}"
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
