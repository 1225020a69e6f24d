"""Promises: the figures of a simulated run: histograms, series over time, intervals over seeds, events' latencies."""

import json
import math
import pickle
import random
from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.errors import DefinitionError
from actorflow.sim import Histogram, Link, Simulation, interval_of, warm_up_cut
from actorflow.sim.figures.pairs import latency_between
from actorflow.sim.figures.statistics import student_t
from actorflow.sim.figures.tables import PublishedEvent
from actorflow.sim.figures.time_series import SLICES, TimeSeries


def exact(values, percent):
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def test_a_percentile_is_at_most_a_fortieth_beside_the_exact_one():
    draw = random.Random(1)
    values = [draw.lognormvariate(-3, 2) for _ in range(5000)]
    histogram = Histogram.of(values)
    for percent in (1, 25, 50, 90, 95, 99, 99.9):
        assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.023)
    assert (histogram.count, histogram.min, histogram.max) == (5000, min(values), max(values))
    assert histogram.mean == pytest.approx(sum(values) / 5000)
    assert histogram.percentile(100) == max(values)


def test_durations_that_are_none_count_as_such():
    histogram = Histogram.of([0.0] * 99 + [1.0])
    assert (histogram.p50, histogram.p99, histogram.max, histogram.min) == (0.0, 0.0, 1.0, 0.0)
    assert math.isnan(Histogram().p50)
    assert Histogram().as_dict() == {"count": 0, "total": 0.0, "buckets": {}}


def test_two_histograms_add_up_to_that_of_all():
    one, other = [0.1, 0.5, 3.0], [0.01, 7.0]
    both = Histogram.of(one) + Histogram.of(other)
    assert both.as_dict() == Histogram.of(one + other).as_dict()
    assert Histogram() + Histogram.of(one) == Histogram.of(one)


def test_a_histogram_comes_back_from_json_and_pickles():
    histogram = Histogram.of([0.0, 0.25, 4.0])
    assert Histogram.from_dict(json.loads(json.dumps(histogram.as_dict()))) == histogram
    assert pickle.loads(pickle.dumps(histogram)) == histogram


@pytest.mark.parametrize(
    "given", [{}, {"count": 2, "total": 1, "min": 0, "max": 1, "buckets": {"0": 1}}, None, {"buckets": 1}]
)
def test_what_is_no_histogram_is_refused(given):
    with pytest.raises(DefinitionError, match="histogram"):
        Histogram.from_dict(given)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, "1", True])
def test_a_duration_that_is_none_is_refused(seconds):
    with pytest.raises(DefinitionError, match="give seconds"):
        Histogram.of([seconds])


def test_draws_from_a_histogram_have_its_percentiles():
    draw = random.Random(3)
    histogram = Histogram.of(draw.expovariate(5) for _ in range(20_000))
    again = Histogram.of(histogram(draw) for _ in range(20_000))
    for percent in (50, 95, 99):
        assert again.percentile(percent) == pytest.approx(histogram.percentile(percent), rel=0.1)
    with pytest.raises(DefinitionError, match="record some"):
        Histogram()(draw)


def test_the_integral_of_a_series_is_exact_and_its_slices_are_few():
    series = TimeSeries()
    draw, now, value, area = random.Random(2), 0.0, 0.0, 0.0
    for _ in range(3000):
        step = draw.expovariate(1)
        area += value * step
        now += step
        value = float(draw.randrange(5))
        series.set(now, value)
        series.count(now)
    assert series.integral == pytest.approx(area)
    assert len(series.means) <= SLICES
    assert series.total == 3000
    assert sum(mean * series.width for mean in series.means[:-1]) <= area
    assert sum(rate * series.width for rate in series.rates) == pytest.approx(3000)
    assert max(series.highs) == 4.0


def test_two_series_add_up_whatever_their_slices():
    one, other = TimeSeries(), TimeSeries()
    for time in range(100):
        one.set(time, time % 3)
    other.set(5.5, 4.0)
    other.set(6.5, 1.0)
    other.count(6.0)
    total = TimeSeries()
    total.add(one)
    total.add(other)
    total.advance(200.0)
    assert total.integral == pytest.approx(one.integral + (200 - 99) * (99 % 3) + 4.0 + 1.0 * (200 - 6.5))
    assert total.value == one.value + 1.0
    assert total.total == 1
    assert max(total.highs) <= 6.0
    assert sum(mean * total.width for mean in total.means[:-1]) <= total.integral


def test_a_series_says_what_was_when():
    series = TimeSeries()
    series.set(0.0, 2.0)
    series.advance(100.0)
    series.set(100.0, 0.0)
    series.advance(200.0)
    half = round(100 / series.width)
    assert series.means[0] == 2.0
    assert series.means[half + 2] == 0.0
    assert series.integral == 200.0


def test_a_series_counts_over_any_time():
    series = TimeSeries()
    for second in range(10_000):
        series.count(second * 1.0)
    assert (series.total, len(series.rates) <= SLICES) == (10_000, True)
    assert series.rates[1] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(
    ("freedom", "bound"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (10, 2.2281), (30, 2.0423), (999, 1.9623)]
)
def test_students_t_is_that_of_the_tables(freedom, bound):
    assert student_t(0.95, freedom) == pytest.approx(bound, abs=1e-4)


def test_an_interval_over_seeds_has_the_true_mean_nineteen_times_in_twenty():
    draw = random.Random(4)
    found = sum(
        interval.low <= 1.0 <= interval.high
        for interval in (interval_of([draw.gauss(1.0, 3.0) for _ in range(5)]) for _ in range(2000))
    )
    assert 0.93 < found / 2000 < 0.97
    assert interval_of([4.0]).half == math.inf


@pytest.mark.parametrize("given", [[], [1.0, math.nan], ["1"]])
def test_an_interval_of_what_is_no_number_is_refused(given):
    with pytest.raises(DefinitionError, match="interval_of"):
        interval_of(given)


def test_the_warm_up_of_a_run_is_cut():
    draw = random.Random(5)
    values = [10.0 * 0.9**i + draw.gauss(1, 0.1) for i in range(500)]
    assert 20 <= warm_up_cut(values) <= 100
    assert warm_up_cut([draw.gauss(1, 0.1) for _ in range(500)]) < 200
    assert warm_up_cut([]) == 0


@af.event(key="order")
@dataclass(frozen=True)
class Ordered:
    order: str


@dataclass(frozen=True)
class Charged:
    order: str


@af.event(key="order")
@dataclass(frozen=True)
class Delivered:
    order: str


class Till(af.Service):
    @af.on(Ordered)
    def charge(self, event: Ordered) -> Charged:
        return Charged(event.order)


class Van(af.Service):
    @af.on(Charged)
    def send(self, event: Charged) -> None:
        self.ctx.after(5.0, self.arrive, event.order)

    def arrive(self, order: str) -> None:
        self.publish(Delivered(order))


def shop(sim):
    system = sim.start(af.App("figures").add(Till, Van))
    sim.network(Link(latency=0.5))
    for i in range(4):
        sim.at(i).call(lambda i=i: system.publish(Ordered(f"o{i}")))
    return sim.run(until=60)


def test_the_latency_from_event_to_event_is_that_of_their_conversation():
    with Simulation(seed=3) as sim:
        report = shop(sim)
    latency = report.latency(Ordered, Charged)
    assert (latency.count, latency.max) == (4, 0.0)
    assert report.latency(Ordered, Charged, after=2.0).count == 2


def test_a_conversation_that_a_timer_interrupts_goes_on_by_its_key():
    with Simulation(seed=3) as sim:
        report = shop(sim)
    latency = report.latency(Ordered, Delivered)
    assert (latency.count, latency.min, latency.max) == (4, 5.5, 5.5)
    pairs = {(pair.first.rpartition(".")[2], pair.last.rpartition(".")[2]) for pair in report.pairs()}
    assert ("Ordered", "Charged") in pairs


def test_the_next_event_counts_whatever_the_order_in_which_they_were_published():
    first = [PublishedEvent(1.0, "k", "c")]
    last = [PublishedEvent(12.0, "k", "c"), PublishedEvent(3.0, "k", "c"), PublishedEvent(0.5, "k", "c")]
    assert latency_between(first, last).max == 2.0


def test_an_event_that_was_not_published_is_refused_with_the_nearest_one():
    with Simulation(seed=3) as sim:
        report = shop(sim)
    with pytest.raises(DefinitionError, match="did you mean .*Ordered"):
        report.latency(f"{__name__}.Orderred", Charged)
    with pytest.raises(DefinitionError, match="give two classes of events"):
        report.latency(3, Charged)


def test_a_report_pickles_and_its_plain_values_are_json():
    with Simulation(seed=3) as sim:
        system = sim.start(af.App("figures").add(Till, Van))
        sim.at(1).crash(Van, down=1).call(lambda: system.publish(Ordered("o")))
        report = sim.run(until=10)
    assert pickle.loads(pickle.dumps(report)) == report
    plain = json.loads(json.dumps(report.as_dict()))
    assert [(fault["kind"], fault["begin"], fault["end"], fault["touched"]) for fault in plain["faults"]] == [
        ("crash", 1.0, 2.0, True)
    ]
    assert plain["figures"] is None
    with pytest.raises(DefinitionError, match="sim.record"):
        report.sequence()
