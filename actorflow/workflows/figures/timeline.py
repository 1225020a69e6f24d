"""Timeline: a Gantt chart of a run, as text and SVG: each step's wait for a worker, its failed tries, and its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

from actorflow.machine.pictures.labels import clip
from actorflow.tasks.options import check_count
from actorflow.workflows.figures.times import WorkflowTime, begin_of, critical_path, workflow_time

if TYPE_CHECKING:
    from actorflow.workflows.run import StepInfo

ROW: Final = 18  # pixels
CHART: Final = 900
NAMES: Final = 180
FONT: Final = 'font-family="sans-serif" font-size="11"'
ROWS: Final = 400  # steps that have a row each in a picture; of more, those that ran one after the other share one
FILLS: Final = {
    "wait": "#cfd8dc",
    "failed try": "#ef9a9a",
    "completed": "#66bb6a",
    "failed": "#c62828",
    "cancelled": "#757575",
    "running": "#ffb300",
}
LETTERS: Final = {"wait": ".", "failed try": "x", "completed": "#", "failed": "X", "cancelled": "-", "running": ">"}


class Bar(NamedTuple):
    """A piece of the time of a step.

    Attributes:
        kind: "wait", "failed try", or the status of the step.
        begin, end: seconds since the epoch.
    """

    kind: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The times of a run's steps: `print(run.timeline())` draws them, `.svg()` is a picture, `.times` has the sums.

    Attributes:
        run: id of the run.
        steps: of the run, as they stood.
        now: until when running steps are drawn; seconds since the epoch.
    """

    run: str
    steps: Sequence[StepInfo]
    now: float

    @property
    def times(self) -> WorkflowTime:
        """Where the time went."""
        return workflow_time(self.steps)

    @property
    def critical_path(self) -> list[StepInfo]:
        """The longest chain of steps that waited for each other."""
        return critical_path(self.steps)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 60, rows: int = 50) -> str:
        """Draw the run in characters: `.` a step waits for a worker, `#` it runs, `x` a failed try, `X` a failure.

        Args:
            width: characters of the chart.
            rows: steps, at most; the first ones that began.

        Raises:
            DefinitionError: one of them is no number of these.
        """
        check_count("width", width)
        check_count("rows", rows)
        begun = self._begun()
        if not begun:
            return f"{label(self.run)}: no step has begun\n"
        first, last = self._span(begun)
        scale = width / (last - first) if last > first else 0.0
        longest = max(len(label(step.name)) for step in begun[:rows])
        lines = [f"{label(self.run)}: {last - first:.3f} s"]
        for step in begun[:rows]:
            line = [" "] * width
            for bar in self.bars(step):
                begin = min(width - 1, int((bar.begin - first) * scale))
                end = max(begin + (bar.kind != "wait"), int((bar.end - first) * scale))
                line[begin:end] = LETTERS[bar.kind] * (min(end, width) - begin)
            lines.append(f"{label(step.name):<{longest}} |{''.join(line[:width])}| {step.run_time:.3f} s")
        if len(begun) > rows:
            lines.append(f"... and {len(begun) - rows} more steps")
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """Draw the run as an SVG picture; of many steps, those that ran one after the other are on one line."""
        begun = self._begun()
        first, last = self._span(begun) if begun else (0.0, 0.0)
        scale = CHART / (last - first) if last > first else 0.0
        rows = list(self._rows(begun))
        height = ROW * (len(rows) + 2)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{NAMES + CHART + 20}" height="{height}" {FONT}>',
            f'<text x="4" y="{ROW - 5}">{escape(label(self.run))}: {last - first:.3f} s</text>',
        ]
        for number, (name, steps) in enumerate(rows, 1):
            y = ROW * number
            lines.append(f'<text x="4" y="{y + ROW - 5}">{escape(label(name)[:28])}</text>')
            for step in steps:
                lines += self._drawn(step, y, first, scale, waits=len(begun) <= ROWS)
        lines += legend(ROW * (len(rows) + 1))
        return "\n".join([*lines, "</svg>"]) + "\n"

    def _drawn(self, step: StepInfo, y: int, first: float, scale: float, *, waits: bool) -> Iterator[str]:
        for bar in self.bars(step):
            if bar.kind == "wait" and not waits:
                continue
            x, width = NAMES + (bar.begin - first) * scale, max(0.5, (bar.end - bar.begin) * scale)
            title = escape(f"{label(step.name)}: {bar.kind}, {bar.end - bar.begin:.3f} s")
            yield (
                f'<rect x="{x:.2f}" y="{y + 2}" width="{width:.2f}" height="{ROW - 4}" fill="{FILLS[bar.kind]}">'
                f"<title>{title}</title></rect>"
            )

    def _rows(self, begun: list[StepInfo]) -> Iterator[tuple[str, list[StepInfo]]]:
        """Yield the lines of a picture: a step each, or lanes of steps that do not overlap."""
        if len(begun) <= ROWS:
            yield from ((step.name, [step]) for step in begun)
            return
        lanes: list[list[StepInfo]] = []
        free: list[tuple[float, int]] = []  # the end of the last step of each lane
        for step in sorted(begun, key=lambda one: one.started or 0.0):
            lane = len(lanes)
            if free and free[0][0] <= (step.started or 0.0):
                lane = heappop(free)[1]
            else:
                lanes.append([])
            lanes[lane].append(step)
            heappush(free, (step.ended if step.ended is not None else self.now, lane))
        yield from ((f"lane {number}", lane) for number, lane in enumerate(lanes, 1))

    def bars(self, step: StepInfo) -> Iterator[Bar]:
        """Yield the pieces of a step's time, in order."""
        at = step.ready if step.ready is not None and not step.tries else begin_of(step)
        for one in step.tries:
            yield Bar("wait", at, one.started)
            yield Bar("failed try", one.started, one.ended)
            at = one.ended
        if step.started is not None:
            yield Bar("wait", at, step.started)
            status = step.status if step.ended is not None else "running"
            yield Bar(status, step.started, self.now if step.ended is None else step.ended)

    def _begun(self) -> list[StepInfo]:
        return sorted(
            (step for step in self.steps if step.started is not None or step.tries),
            key=lambda step: (begin_of(step), step.started or 0.0),
        )

    def _span(self, begun: list[StepInfo]) -> tuple[float, float]:
        ends = [step.ended if step.ended is not None else self.now for step in begun]
        return min(begin_of(step) for step in begun), max(ends)


def label(name: str) -> str:
    """Return a name as one line of text that terminals and XML take."""
    return clip("".join(letter if letter.isprintable() or letter.isspace() else "\ufffd" for letter in name))


def legend(y: int) -> Iterator[str]:
    """Yield the names of the colours, in a line."""
    for number, (kind, fill) in enumerate(FILLS.items()):
        x = NAMES + 120 * number
        yield f'<rect x="{x}" y="{y + 4}" width="10" height="10" fill="{fill}"/>'
        yield f'<text x="{x + 14}" y="{y + 13}">{kind}</text>'
