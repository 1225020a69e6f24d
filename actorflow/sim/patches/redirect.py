"""Redirect: has a function that is written in C call one in Python, by whatever name a program knows it.

A patched module attribute misses `from time import time`, default arguments, and `field(default_factory=datetime.now)`.
So the function object itself is changed: CPython keeps in it a pointer to its definition and the object that it is
bound to, side by side. The definition that takes their place calls what it is bound to.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, ModuleType
from typing import Any, ClassVar, Final

NO_ARGUMENTS, ONE, TUPLE, KEYWORDS, FAST = 0x4, 0x8, 0x1, 0x3, 0x82  # METH_... of CPython
OF_CLASS: Final = 0x10

# Calls of CPython that take (bound object, arguments), as functions of such a kind do, and call the bound object.
CALLS: Final = {
    NO_ARGUMENTS: "PyObject_CallNoArgs",
    ONE: "PyObject_CallOneArg",
    TUPLE: "PyObject_CallObject",
    KEYWORDS: "PyObject_Call",
    FAST: "PyObject_Vectorcall",
}


class Definition(ctypes.Structure):
    """PyMethodDef."""

    _fields_: ClassVar[Any] = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    ]


Pointers: Final[Any] = ctypes.c_void_p * 2  # to the definition and to the bound object
AFTER_HEAD: Final = object.__basicsize__  # where they are in the object

_new_function: Final[Any] = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
_type_modified: Final[Any] = ctypes.pythonapi.PyType_Modified
_type_modified.argtypes = (ctypes.py_object,)
_keep: Final[list[Any]] = []  # what CPython points to, for ever


def definition_of(function: Any) -> Definition | None:
    """Return the definition of a function in C; None if this Python has it elsewhere, or calls it in another way."""
    if type(function) is not BuiltinFunctionType:
        return None
    address = ctypes.c_void_p.from_address(id(function) + AFTER_HEAD).value
    bound = ctypes.c_void_p.from_address(id(function) + AFTER_HEAD + ctypes.sizeof(ctypes.c_void_p)).value
    if address is None or bound != id(function.__self__):
        return None
    found = Definition.from_address(address)
    fits = found.name == function.__name__.encode() and found.flags & ~OF_CLASS in CALLS
    return found if fits else None


def original(function: Any) -> Any:
    """Return a copy of a function, which is itself also while the function is redirected."""
    found = definition_of(function)
    if found is None:
        return function
    copy = Definition(found.name, found.call, found.flags & ~OF_CLASS, found.doc)
    _keep.append(copy)
    return _new_function(ctypes.addressof(copy), function.__self__, getattr(function, "__module__", None))


class Redirect:
    """A function in C that calls one in Python while it is `on`."""

    def __init__(self, function: Any, fake: Callable[..., Any]) -> None:
        found = definition_of(function)
        if found is None:
            raise TypeError(function)
        flags = found.flags & ~OF_CLASS
        call = ctypes.cast(getattr(ctypes.pythonapi, CALLS[flags]), ctypes.c_void_p).value
        definition = Definition(found.name, call, found.flags, found.doc)
        _keep.extend((definition, function, fake))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(fake))  # the function refers to it, and counts no reference
        self._now = Pointers.from_address(id(function) + AFTER_HEAD)
        self._before = tuple(self._now)
        self._after = (ctypes.addressof(definition), id(fake))
        if hasattr(fake, "__dict__"):
            setattr(fake, function.__name__, function)  # so it is pickled: as the attribute of what it is bound to

    def on(self) -> None:
        """Have the function call the other one. Both pointers change in one bytecode: no other thread comes between."""
        self._now[:] = self._after

    def off(self) -> None:
        """Have the function be itself again."""
        self._now[:] = self._before


class Attribute:
    """An attribute of a module or class that is another one while it is `on`; in modules that import it by name, too.

    A module that imports it meanwhile keeps the other one, which does outside of a simulation what this one does.
    """

    def __init__(self, owner: Any, name: str, fake: Any) -> None:
        self._owner = owner
        self._name = name
        self._real = vars(owner)[name]
        self._fake = fake
        self._modules = 0
        self._owners: list[Any] = [owner]

    def on(self) -> None:
        """Set the attribute."""
        if isinstance(self._owner, ModuleType) and self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._owners = [module for module in list(sys.modules.values()) if self._is_in(module)]
        for owner in self._owners:
            setattr(owner, self._name, self._fake)

    def off(self) -> None:
        """Set the attribute back."""
        for owner in self._owners:
            setattr(owner, self._name, self._real)

    def _is_in(self, module: Any) -> bool:
        return isinstance(module, ModuleType) and vars(module).get(self._name) is self._real


class TypeAttribute:
    """An attribute of a type that is written in C: such a type refuses to be changed, and its dict does not."""

    def __init__(self, owner: type, name: str, fake: Any) -> None:
        found: Any = gc.get_referents(owner.__dict__)[0]
        self._owner = owner
        self._dict: dict[str, Any] = found
        self._name = name
        self._real = found[name]
        self._fake = fake

    def on(self) -> None:
        """Set the attribute."""
        self._set(self._fake)

    def off(self) -> None:
        """Set the attribute back."""
        self._set(self._real)

    def _set(self, value: Any) -> None:
        self._dict[self._name] = value
        _type_modified(self._owner)
