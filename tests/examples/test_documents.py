"""The example of a document pipeline: a document that is no text holds up no other; killed in its midst, it goes on."""

from __future__ import annotations

import json

import pytest

import actorflow as af
from examples.documents import classify, find_sum, main, sample
from tests.examples.programs import PATIENCE, killed, output, program, until


@pytest.fixture
def folder(tmp_path):
    return sample(tmp_path / "documents")


def index_of(folder):
    return json.loads((folder / "filed" / "index.json").read_text())


def test_each_document_is_in_the_folder_of_its_kind_and_in_the_index(folder, capsys):
    assert main([str(folder)]) == 0
    index = index_of(folder)
    assert [entry["file"] for entry in index["documents"]] == sorted(path.name for path in folder.glob("*.txt"))
    assert all((folder / "filed" / entry["kind"] / entry["file"]).is_file() for entry in index["documents"])
    assert {entry["kind"] for entry in index["documents"]} == {"invoice", "contract", "letter", "other"}
    assert "20 documents are filed, 0 could not be" in capsys.readouterr().out


def test_a_document_that_is_no_text_is_put_aside_with_the_reason(folder, capsys):
    (folder / "07.txt").write_bytes(b"ink \xff")
    assert main([str(folder)]) == 1
    index = index_of(folder)
    assert index["failed"] == {"07.txt": "Unreadable: no text from byte 4 on"}
    assert len(index["documents"]) == 19
    assert "19 documents are filed, 1 could not be" in capsys.readouterr().out


def test_it_is_killed_in_its_midst_and_each_document_is_filed_by_one_run(folder):
    with killed(program(folder.parent, "examples.documents", "documents", PACE="0.05")) as lines:
        until(lines, "is in")
    assert output(program(folder.parent, "examples.documents", "documents"))[-1].startswith("20 documents are filed, 0")
    assert len(index_of(folder)["documents"]) == 20
    with af.ActorSystem("look", store=f"sqlite:///{folder / 'filed' / 'runs.db'}") as system:
        assert tuple(system.get_run("all").result(timeout=PATIENCE)) == (20, 0)
        assert system.runs().count() == {"completed": 21}


def test_tasks_are_plain_functions():
    assert classify("Dear ann, the lamp is broken. Regards") == "letter"
    assert classify("a lamp") == "other"
    assert find_sum("Total: 12.50, and EUR 7") == 12.5
    assert find_sum("a lamp") is None
