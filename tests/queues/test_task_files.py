"""The folder of cpu tasks goes with its process, also with one that was killed."""

import os
import tempfile
from pathlib import Path

from actorflow.tasks import task_files


def test_folders_of_killed_processes_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = "old", "young", "foreign"
    old, young, foreign = (tmp_path / f"{'' if name == 'foreign' else task_files.PREFIX}{name}" for name in names)
    for folder in (old, young, foreign):
        folder.mkdir()
        (folder / "1.progress").touch()
    in_use = task_files.TaskFiles()
    for folder in (old, foreign, in_use.folder):
        os.utime(folder, (0, 0))
    other = task_files.TaskFiles()
    assert other.folder
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert Path(in_use.folder).exists()
    in_use.close()
    other.close()
    assert {path.name for path in tmp_path.iterdir()} == {young.name, foreign.name}
