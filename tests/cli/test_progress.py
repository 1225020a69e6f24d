"""The progress bar: a callback that draws on a terminal and is silent elsewhere."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from actorflow.cli import progress_bar
from actorflow.cli.progress import ProgressBar


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_bar_is_silent_when_stderr_is_no_terminal(capsys):
    with progress_bar("photos") as progress:
        progress(1, 2)
        progress(2, 2)
    assert capsys.readouterr() == ("", "")


def test_bar_shows_label_and_counts_on_a_terminal(screen):
    with ProgressBar("photos", console=screen) as progress:
        progress(3, 3)
    assert "photos" in screen.file.getvalue()
    assert "3/3" in screen.file.getvalue()


def test_bar_ends_by_itself_when_all_is_done(screen):
    progress = ProgressBar("photos", console=screen)
    progress(3, 3)
    shown = screen.file.getvalue()
    assert shown.endswith("\x1b[?25h") or "\x1b[?25h" in shown  # the cursor is back
    progress(3, 3)
    assert screen.file.getvalue() == shown


def test_bar_gives_the_cursor_back_when_its_block_is_left_early(screen):
    with pytest.raises(KeyboardInterrupt), ProgressBar("photos", console=screen) as progress:
        progress(1, 3)
        raise KeyboardInterrupt
    assert "\x1b[?25h" in screen.file.getvalue()


def test_bar_starts_no_thread(screen):
    before = threading.active_count()
    with ProgressBar("photos", console=screen) as progress:
        progress(1, 3)
        assert threading.active_count() == before


def test_bar_may_be_called_from_many_threads(screen):
    with ProgressBar("photos", console=screen) as progress:
        threads = [threading.Thread(target=lambda: [progress(n, 100) for n in range(101)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "100/100" in screen.file.getvalue()


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_closed_ends_no_work():
    with ProgressBar("photos", console=Console(file=Gone(), force_terminal=True)) as progress:
        progress(1, 3)
        progress(3, 3)
