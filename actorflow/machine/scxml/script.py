"""`<script>`: Python of a document that the user trusts; the one place where loaded text runs as code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.limits import EvaluationError
from actorflow.machine.scxml.source import DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.scxml.session import Session


def compile_script(source: DocumentSource, element: Element) -> Callable[[Session], None]:
    """Compile a script.

    Raises:
        DefinitionError: the document is not trusted, the language is not Python, or the script is none.
    """
    if source.language != "python":
        raise source.error(element, f"scripts are Python; the data model here is {source.language!r}")
    if not source.trust:
        raise source.error(
            element,
            "scripts are code, and run in documents that you trust: load with trust=True (actorflow scxml --trust)",
        )
    reference = element.get("src")
    try:
        text = element.content if reference is None else source.read(reference)
        code = compile(_dedent(text), f"{source.file}:{element.line}", "exec")
    except (SyntaxError, ValueError, EvaluationError) as error:
        raise source.error(element, str(error)) from None

    def run(session: Session) -> None:
        names: dict[str, Any] = dict(session.data)
        exec(code, names)  # noqa: S102 - the user trusts the document
        session.data.update((name, value) for name, value in names.items() if not name.startswith("__"))

    return run


def _dedent(text: str) -> str:
    import inspect  # noqa: PLC0415 - few documents have scripts

    return inspect.cleandoc(text)
