"""The pages point at what exists: links, code, tests; and README's commands are those that .ci/run takes from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

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
    """A Python block without a prompt is passed over by doctest, so it could say anything."""
    unrun = [
        f"{page.name}: {block.strip().splitlines()[0]}"
        for page in PAGES
        for block in re.findall(
            r"^```(?:python|pycon|py)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        if not block.startswith(">>> ")
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
