"""The pages point at what exists: links, code, tests; and README's commands are those that .ci/run takes from it."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import actorflow as af
from actorflow.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names of the page's headings, as links spell them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_paths_and_tests_that_a_page_names_exist(page: Path) -> None:
    missing = []
    for path, test in re.findall(r"`((?:actorflow|tests|examples|docs)/[\w./-]*)(?:::(\w+))?`", prose(page)):
        file = ROOT / path
        if not file.exists() or (test and f"def {test}(" not in file.read_text(encoding="utf-8")):
            missing.append(f"{path}::{test}" if test else path)
    assert missing == []


@pytest.mark.parametrize("name", ["brief.md", "guarantees.md"])
def test_a_row_names_a_file_by_its_whole_path(name: str) -> None:
    """A file's name alone is looked for by nobody once the file has another."""
    named = re.findall(r"`([\w./-]+\.py)\b", prose(ROOT / "docs" / name))
    assert len(named) > 50
    assert [file for file in named if not (ROOT / file).is_file()] == []


def test_tests_that_pages_name_exist() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    there = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}
    named = {name for page in PAGES for name in re.findall(r"\b(test_\w+)\b(?![./])", prose(page))}
    assert len(named & there) > 100
    assert named - there == set()


def test_names_of_the_package_that_pages_mention_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"\baf\.([A-Za-z]\w*)", page.read_text(encoding="utf-8"))}
    assert len(named) > 30
    assert [name for name in sorted(named) if not hasattr(af, name)] == []


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the words behind each `actorflow` that the page shows as a command."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\S*)[^\n]*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    shells = [block for language, block in blocks if language in {"", "sh", "console", "ini"}]
    for code in [*shells, *re.findall(r"`([^`\n]+)`", prose(page))]:
        for words in re.findall(r"(?:^|(?<!import)[ /])actorflow ([a-z][^#\n]*)", code, flags=re.MULTILINE):
            yield words.split()


def mistake_in(words: list[str], group: click.Group) -> str:
    """Say which word is no command and which is no option; nothing if all are. `a|b` are two commands."""
    while True:
        ctx = click.Context(group)
        found = [group.get_command(ctx, name) for name in words[0].split("|")]
        if None in found:
            return f"{words[0]} is not in {group.list_commands(ctx)}"
        command, words = found[0], words[1:]
        if not isinstance(command, click.Group) or not words:
            break
        group = command
    options = {name for param in command.params for name in [*param.opts, *param.secondary_opts]}
    own = words if command.name != "run" else words[: next((n for n, word in enumerate(words) if ":" in word), None)]
    unknown = [word for word in own if re.match(r"--\w", word) and word.partition("=")[0] not in {*options, "--help"}]
    return f"{command.name} has no {unknown}" if unknown else ""


def test_commands_and_options_that_pages_show_exist() -> None:
    shown = [(page.name, words) for page in PAGES for words in commands_in(page)]
    assert len(shown) > 30
    assert [(page, words, text) for page, words in shown if (text := mistake_in(words, main))] == []


@pytest.mark.parametrize("words", [["store", "list", "x"], ["queue", "show", "--statuses", "dead"], ["actors"]])
def test_a_command_that_does_not_exist_is_found(words: list[str]) -> None:
    assert mistake_in(words, main)


def test_environments_of_tox_that_pages_name_exist() -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    there = {name.removeprefix("testenv:") for name in tox.sections()}
    named = {
        name for page in PAGES for names in re.findall(r"tox\s+-e\s+([\w,]+)", prose(page)) for name in names.split(",")
    }
    assert len(named) > 5
    assert named - there == set()


def test_the_walks_name_functions_that_exist() -> None:
    walks = prose(ROOT / "docs" / "architecture.md")
    named = re.findall(r"`([\w/]+\.py): (\w+)(?:\.(\w+))?`", walks)
    missing = [
        (file, name)
        for file, *names in named
        for name in filter(None, names)
        if not re.search(rf"(def|class) {name}\b", (ROOT / "actorflow" / file).read_text(encoding="utf-8"))
    ]
    assert len(named) > 20
    assert missing == []


def test_readme_has_two_commands_of_which_the_second_runs_the_tests() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGES[0].read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    assert "actorflow run examples.orders:app" in blocks[0]
    assert "pytest" in blocks[1]


def test_pages_state_no_example_that_is_not_run() -> None:
    """A Python block without a prompt is passed over by doctest, so it could say anything.

    Those of the patterns are run by `tests/workflows/patterns`.
    """
    unrun = [
        f"{page.name}: {block.strip().splitlines()[0]}"
        for page in PAGES
        for block in re.findall(
            r"^```(?:python|pycon|py)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        if not block.startswith(">>> ") and page.name != "patterns.md"
    ]
    assert unrun == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_code_of_a_page_fits_beside_the_sidebar(page: Path) -> None:
    """Lines of code scroll out of sight from 88 columns on."""
    code = r"^```(?:python|pycon|py|sh|console|toml|ini|json)\n(.*?)^```$"
    blocks = re.findall(code, page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 88] == []


DRAWN = [
    (str(page.relative_to(ROOT)), file, measures.split("\n"))
    for page in PAGES
    for file, measures in re.findall(
        r"^```{bars} (\S+)\n---\nmeasures: \|\n((?:  .+\n)+?)---$", page.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
]


def test_each_comparison_that_a_page_draws_is_in_its_file() -> None:
    assert {file for _, file, _ in DRAWN} == {f"figures/{path.name}" for path in (ROOT / "docs/figures").glob("*.json")}
    for page, file, measures in DRAWN:
        report = json.loads((ROOT / "docs" / file).read_text(encoding="utf-8"))
        assert report["repeats"] >= 5
        found = {result["measure"]: result for result in report["results"]}
        for measure in filter(None, map(str.strip, measures)):
            assert len(found[measure]["medians"]) > 1, f"{page}: {measure}"
            assert found[measure]["medians"].keys() == found[measure]["texts"].keys()
