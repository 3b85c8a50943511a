"""Bit error rates: against every image there is, where there are few enough to judge them all."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from support.fault_checks import judge_of
from support.graphs import Net, signed, unsigned
from support.networks import Mlp

from fault_injection.bit_error_rate import (
    PERCENTILES,
    Images,
    Memory,
    draw_images,
    error_rate,
    judge_images,
    memory_of,
    several_wrong,
    weighted_percentiles,
)
from fault_injection.fault_list import StoredBits
from fault_injection.golden import golden_run
from fault_injection.sites import all_sites
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.graph import WordChange


def tiny() -> Memory:
    """A memory of twelve bits: 4,096 images in all."""
    net = Net((2,), unsigned(3))
    net.matmul("q", 2, signed(3), words=np.array([[3, -2], [-1, 2]]))
    golden = golden_run(net.graph(), net.words(9))
    return memory_of(judge_of(golden), all_sites(golden.graph), detail="full", threads=1)


def small() -> Memory:
    recipe = Mlp(widths=(4, 3, 2), per_channel=True, seed=1)
    golden = golden_run(recipe.graph(), recipe.graph().quantize_inputs(recipe.inputs(12)))
    return memory_of(judge_of(golden), all_sites(golden.graph), detail="full", threads=1)


TINY, SMALL = tiny(), small()


def every_image(memory: Memory) -> tuple[Images, np.ndarray]:
    bits = len(memory.sites)
    images = [np.array(rows, int) for size in range(bits + 1) for rows in combinations(range(bits), size)]
    return judge_images(memory.judge, memory.sites, images), np.array([len(rows) for rows in images])


EVERY = every_image(TINY)


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.2, 0.5])
def test_the_mean_over_all_images_is_within_the_error(rate: float) -> None:
    images, wrong = EVERY
    weights = rate**wrong * (1 - rate) ** (len(TINY.sites) - wrong)
    found = error_rate(TINY, rate, draws=400, rng=np.random.default_rng(0))
    for values, estimate, plain in (
        (images.metric, found.metric, found.plain_metric),
        (images.decisions, found.decisions, found.plain_decisions),
    ):
        true = float((weights * values).sum())
        assert abs(estimate.mean - true) < 4 * estimate.error
        assert abs(plain.mean - true) < 4 * plain.error + 1e-12 or rate == 0.001  # plain draws see nothing there
        assert estimate.low <= estimate.mean <= estimate.high
        assert estimate.error < plain.error or rate > 0.02


def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    images, wrong = EVERY
    rate = 0.05
    weights = rate**wrong * (1 - rate) ** (len(TINY.sites) - wrong)
    true = float((weights * images.decisions).sum())
    held = 0
    for seed in range(25):
        estimate = error_rate(TINY, rate, draws=40, rng=np.random.default_rng(seed)).decisions
        held += estimate.low <= true <= estimate.high
    assert held >= stats.binom(25, 0.95).ppf(0.001)


def test_one_wrong_bit_is_the_exhaustive_campaign() -> None:
    images, wrong = EVERY
    assert np.array_equal(images.decisions[wrong == 1], TINY.single.decisions)
    assert np.array_equal(images.metric[wrong == 1], TINY.single.metric)
    assert images.decisions[wrong == 0].tolist() == [0.0]
    assert images.metric[wrong == 0].tolist() == [TINY.judge.metric()]


def test_images_are_what_runs_of_their_own_give() -> None:
    graph, judge = SMALL.judge.golden.graph, SMALL.judge
    images = draw_images(len(SMALL.sites), np.array([0, 1, 2, 5, 30, 90]), np.random.default_rng(2))
    found = judge_images(judge, SMALL.sites, images)
    for number, rows in enumerate(images):
        faulty = graph
        for row in rows:  # flipped one by one: a second bit of a word starts from the first one's
            site = SMALL.sites.site(int(row))
            tensor = faulty.tensors[site.tensor]
            word = tensor.format.flip(tensor.words.reshape(-1)[[site.index]], site.bit)
            faulty = faulty.with_words([WordChange(tensor=site.tensor, index=site.index, word=int(word[0]))])
        values = graph.output_values(ExactEngine(faulty).run(judge.golden.inputs).output)
        assert found.decisions[number] == (values.argmax(axis=1) != judge.golden_values.argmax(axis=1)).mean()
        right = float(judge.per_sample(values, judge.labels).mean())
        assert found.metric[number] == pytest.approx(right, abs=1e-12)  # the mean is added up in another order


def test_no_bit_is_wrong_twice_in_an_image() -> None:
    # PyLandscape draws with replacement: a bit drawn twice is right again.
    rng = np.random.default_rng(0)
    for rows in draw_images(30, rng.integers(0, 31, 200), rng):
        assert len(set(rows.tolist())) == len(rows)


def test_every_bit_is_wrong_by_itself() -> None:
    # MRFI flips one random bit of a word that it chose with probability bits x rate: never two bits of one word.
    words, width, rate, count = 5, 4, 0.3, 4_000
    rng = np.random.default_rng(5)
    table = np.zeros((count, words * width), bool)
    for row, wrong in zip(
        table, draw_images(words * width, rng.binomial(words * width, rate, count), rng), strict=True
    ):
        row[wrong] = True
    spread = 4 * np.sqrt(rate * (1 - rate) / count)
    assert np.all(np.abs(table.mean(axis=0) - rate) < spread)
    together = (table.astype(float).T @ table) / count
    pairs = together[~np.eye(len(together), dtype=bool)]
    assert np.all(np.abs(pairs - rate**2) < 5 * np.sqrt(rate**2 * (1 - rate**2) / count))
    in_word = table.reshape(count, words, width).sum(axis=2).reshape(-1)
    expected = stats.binom(width, rate).pmf(np.arange(width + 1)) * len(in_word)
    observed = np.bincount(in_word, minlength=width + 1)
    assert stats.chisquare(observed, expected).pvalue > 1e-4
    assert observed[2:].sum() > 0


def test_stratified_draws_make_the_binomial_too() -> None:
    bits, rate, draws = 40, 0.1, 5_000
    wrong = several_wrong(bits, rate, draws, np.random.default_rng(1))
    number = stats.binom(bits, rate)
    assert wrong.min() >= 2
    for count in range(2, 12):
        share = number.pmf(count) / number.sf(1)
        assert abs((wrong == count).sum() - draws * share) <= 2


def test_rare_errors_are_two_wrong_bits() -> None:
    wrong = several_wrong(40_000, 1e-9, 50, np.random.default_rng(1))
    assert wrong.tolist() == [2] * 50


def test_at_a_rate_of_nearly_nothing_the_sampled_part_has_no_weight() -> None:
    found = error_rate(SMALL, 1e-9, draws=10, rng=np.random.default_rng(0))
    bits = len(SMALL.sites)
    expected = bits * 1e-9 * SMALL.single.decisions.mean()
    assert found.decisions.mean == pytest.approx(expected, rel=1e-5)
    assert found.more < 1e-14
    assert found.none + found.one + found.more == pytest.approx(1.0, abs=1e-12)


def test_the_same_seed_gives_the_same() -> None:
    one, two = (error_rate(SMALL, 0.01, draws=20, rng=np.random.default_rng(7)) for _ in range(2))
    assert one == two
    assert one != error_rate(SMALL, 0.01, draws=20, rng=np.random.default_rng(8))


def test_where_all_images_agree_no_interval_is_claimed() -> None:
    net = Net((2,), unsigned(2))
    net.shift(net.matmul("q", 2, signed(2)), 30)
    golden = golden_run(net.graph(), net.words(4))
    memory = memory_of(judge_of(golden), all_sites(golden.graph), detail="full", threads=1)
    found = error_rate(memory, 0.1, draws=20, rng=np.random.default_rng(0))
    assert found.decisions.mean == 0
    assert (found.decisions.low, found.decisions.high) == (None, None)


def test_percentiles_are_those_of_weighted_images() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_percentiles(values, np.array([0.0, 0.2, 0.8])) == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert PERCENTILES == (5, 25, 50, 75, 95)
    many = np.arange(1000.0)
    assert weighted_percentiles(many, np.full(1000, 0.001)) == [49.0, 249.0, 499.0, 749.0, 949.0]


def test_a_memory_in_batches_is_that_of_one_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fault_injection.single_flips.BATCH_FAULTS", 7)
    found: list[int] = []
    judged = memory_of(
        SMALL.judge, SMALL.sites, detail="full", threads=1, progress=lambda done, total: found.append(done)
    )
    table = StoredBits(sites=SMALL.sites, model="flip").judge(SMALL.judge, detail="full", threads=1)
    assert np.array_equal(judged.single.decisions, table["decisions_changed"].to_numpy() / 12)
    assert np.array_equal(judged.single.metric, SMALL.judge.metric() + table["metric_change"].to_numpy())
    assert len(found) > 3
    assert found[-1] == len(SMALL.sites)


@pytest.mark.parametrize("images", [1, 40])
def test_images_in_batches_are_the_same(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_images(len(SMALL.sites), np.full(20, 3), np.random.default_rng(0))
    whole = judge_images(SMALL.judge, SMALL.sites, drawn)
    monkeypatch.setattr("fault_injection.bit_error_rate._BATCH_ROWS", images * 12)
    part = judge_images(SMALL.judge, SMALL.sites, drawn)
    assert np.array_equal(part.metric, whole.metric)
    assert np.array_equal(part.decisions, whole.decisions)


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.6, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="--rates"):
        error_rate(SMALL, rate, draws=10, rng=np.random.default_rng(0))


def test_one_draw_is_refused() -> None:
    with pytest.raises(UsageError, match="--draws"):
        error_rate(SMALL, 0.1, draws=1, rng=np.random.default_rng(0))
