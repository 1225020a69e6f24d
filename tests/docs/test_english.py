"""Docstrings and pages: a first sentence that is one, and no sentence whose subject is "what" or "who"."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import actorflow

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "actorflow").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGE = {"pykka"}  # names that are written small, also where a sentence begins

# "What waits is kept." and "Who asks gets it." hang on a clause where a noun would do; a question may begin so.
HANGING = re.compile(r"(?:^|(?<=[.:;!?] ))(?:What|Who)(?:ever)? [^.?!]*[.!]", re.MULTILINE)
WHATEVER = re.compile(r"Whatever[^,.]*,|Whoever[^,.]*,")  # a clause of its own: "Whatever happens, ..."


def prose(text: str) -> str:
    """The text as one line a paragraph or item, without code, headings and rows of tables."""
    text = re.sub(r"^\s*```.*?^\s*```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\s*(?:>>>|\.\.\. |#).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\|.*\|$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*(?:[-*:]|\d+\.) ", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*(?:\w+(?:, \w+)*: )", "\n", text, flags=re.MULTILINE)
    return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def hanging(text: str) -> list[str]:
    return [found for found in HANGING.findall(prose(text)) if not WHATEVER.match(found)]


def docstrings(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring of a module that may have such a sentence at all."""
    source = module.read_text(encoding="utf-8")
    if re.search(r"\b(?:What|Who)", source) is None:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def public_objects() -> dict[str, object]:
    """The classes and functions of `actorflow`, and of its packages that have an `__all__`, with public methods."""
    packages = [actorflow]
    for found in pkgutil.walk_packages(actorflow.__path__, "actorflow."):
        if found.ispkg and "stateful" not in found.name:
            package = importlib.import_module(found.name)
            if hasattr(package, "__all__"):
                packages.append(package)
    objects: dict[str, object] = {}
    for package in packages:
        for name in package.__all__:
            value = getattr(package, name)
            if not callable(value) or not getattr(value, "__module__", "").startswith("actorflow"):
                continue
            objects[f"{package.__name__}.{name}"] = value
            if inspect.isclass(value):
                objects |= {f"{package.__name__}.{name}.{part}": of for part, of in methods_of(value)}
    return objects


def methods_of(cls: type) -> Iterator[tuple[str, object]]:
    for base in cls.__mro__:
        if base.__module__.startswith("actorflow"):
            for name, value in vars(base).items():
                inner = getattr(value, "fget", getattr(value, "__func__", value))
                if not name.startswith("_") and inspect.isfunction(inner):
                    yield name, inner


def test_every_public_class_and_function_has_a_docstring_that_begins_with_a_sentence() -> None:
    wrong = []
    for name, value in public_objects().items():
        text = inspect.cleandoc(getattr(value, "__doc__", None) or "")
        first = " ".join(text.split("\n\n")[0].split())
        begins = first[:1].isupper() or first.startswith("`") or first.split("'")[0].split(" ")[0] in LANGUAGE
        if not begins or not first.endswith((".", ":", ":``")):
            wrong.append(f"{name}: {first!r}")
    assert wrong == []


def test_no_docstring_has_a_sentence_about_what_or_who() -> None:
    wrong = [
        f"{module.relative_to(ROOT)}:{line}: {sentence}"
        for module in MODULES
        for line, text in docstrings(module)
        for sentence in hanging(text)
    ]
    assert wrong == []


def first_sentences() -> Iterator[tuple[str, ast.AST, str]]:
    """Yield the place, the node and the first sentence, up to a colon or semicolon, of each docstring."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text is not None:
                    first = re.split(r"(?<=[.:;]) ", " ".join(text.split("\n\n")[0].split()))[0]
                    yield f"{module.relative_to(ROOT)}:{node.body[0].lineno}", node, first


# Words that may stand between the verb of a sentence and its first noun.
BEFORE_A_NOUN = re.compile(
    r"(?:a|all|an|and|as|at|be|by|end|for|forget|from|give|had|has|have|how|if|in|into|is|keep|let|make|no|not|note|of|off|"
    r"on|or|out|over|put|say|see|so|take|tell|than|that|the|then|there|these|this|those|to|up|was|were|when|whether|which|"
    r"why|with|yet)"
)


def hangs(sentence: str) -> bool:
    """Say whether a sentence about a function speaks of "it" or "them" before it has named a thing."""
    for word in re.findall(r"[\w`']+", sentence.lower())[1:]:
        if word in {"it", "its", "them", "they"}:
            return True
        if not BEFORE_A_NOUN.fullmatch(word):
            return False
    return False


def test_a_first_sentence_names_its_thing_by_a_noun() -> None:
    assert [f"{place}: {first}" for place, _, first in first_sentences() if re.search(r"\b(what|who)\b", first)] == []


def test_a_first_sentence_about_a_function_names_a_thing_before_it_speaks_of_it() -> None:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert [
        f"{at}: {first}" for at, node, first in first_sentences() if isinstance(node, functions) and hangs(first)
    ] == []


def test_no_docstring_has_the_number_of_a_layer() -> None:
    """The order of layers is in pyproject.toml, and checked there."""
    assert [str(module) for module in MODULES if re.search(r"\b[Ll]ayer \d", module.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "sentence", ["Take it off the heap.", "Return why it does not pickle.", "Say whether they are."]
)
def test_a_pronoun_without_a_noun_is_found(sentence: str) -> None:
    assert hangs(sentence)
    assert not hangs("Take the timer off the heap, unless it has fired.")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_no_page_has_a_sentence_about_what_or_who(page: Path) -> None:
    assert hanging(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("sentence", ["What waits is kept.", "It ends. Who asks gets an error.", "- Who waits\nreads."])
def test_a_sentence_about_what_or_who_is_found(sentence: str) -> None:
    assert hanging(sentence)


@pytest.mark.parametrize(
    "sentence", ["What is kept?", "## What runs\n", "Whatever happens, it ends.", "It says what ran."]
)
def test_a_question_a_heading_and_a_clause_are_let_pass(sentence: str) -> None:
    assert not hanging(sentence)
