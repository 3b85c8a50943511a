"""Rankings in closed form: scores, bit planes as in FKeras, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import BIPOLAR, Net, signed, unsigned
from support.networks import Mlp

from fault_injection.flips import Flips, flips_of
from fault_injection.ranking import (
    Ranking,
    at_random,
    by_damage,
    by_delta,
    by_fisher,
    by_gradient,
    by_gradient_delta,
    by_hessian,
    by_taylor,
    hessian_scores,
    msb_first,
)
from fault_injection.sites import all_sites, select_sites
from hls.graph import IntegerGraph


def two_words() -> tuple[IntegerGraph, Flips]:
    """A 3-bit and a 2-bit signed weight: words 3 = 011 and -2 = 10."""
    net = Net(shape=(1,))
    net.matmul("q", 1, weights=signed(3), words=np.array([[3]]))
    net.matmul("fc1", 1, weights=signed(2), words=np.array([[-2]]))
    graph = net.graph()
    return graph, flips_of(graph, all_sites(graph))


def sites_of(flips: Flips, ranking: Ranking) -> list[str]:
    return [str(flips.sites.site(int(row))) for row in ranking.order]


def at(flips: Flips, first: float, second: float) -> np.ndarray:
    return flips.at({"fc1.weight": np.array([[first]]), "fc2.weight": np.array([[second]])})


def test_the_delta_of_a_flip_is_that_of_twos_complement() -> None:
    _, flips = two_words()
    assert flips.delta.tolist() == [-1, -2, -4, 1, 2]
    assert flips.words.tolist() == [3, 3, 3, -2, -2]
    assert flips.plane.tolist() == [2, 1, 0, 1, 0]


def test_an_unsigned_top_bit_counts_up_and_a_bipolar_flip_counts_two() -> None:
    net = Net(shape=(2,))
    net.matmul("q", 1, weights=unsigned(3), words=np.array([[0], [7]]))
    net.matmul("fc1", 1, weights=BIPOLAR, words=np.array([[-1]]))
    graph = net.graph()
    assert flips_of(graph, all_sites(graph)).delta.tolist() == [1, 2, 4, -1, -2, -4, 2]


def test_fisher_is_half_the_curvature_times_delta_squared() -> None:
    _, flips = two_words()
    ranking = by_fisher(flips, at(flips, 1.0, 10.0))
    assert ranking.score.tolist() == [0.5, 2.0, 8.0, 5.0, 20.0]
    assert sites_of(flips, ranking) == ["fc2.weight:0:1", "fc1.weight:0:2", "fc2.weight:0:0", "fc1.weight:0:1",
                                        "fc1.weight:0:0"]  # fmt: skip


def test_gradient_delta_keeps_the_sign_of_the_flip() -> None:
    _, flips = two_words()
    ranking = by_gradient_delta(flips, at(flips, 1.0, -1.0))
    assert ranking.score.tolist() == [-1.0, -2.0, -4.0, -1.0, -2.0]
    assert sites_of(flips, ranking)[0] == "fc1.weight:0:0"


def test_bit_planes_come_top_down_and_narrow_words_run_out_first() -> None:
    # FKeras' mixed-precision rule: list j holds bit j from the top of every parameter, in parameter order.
    _, flips = two_words()
    expected = ["fc2.weight:0:1", "fc1.weight:0:2", "fc2.weight:0:0", "fc1.weight:0:1", "fc1.weight:0:0"]
    for ranking in (
        by_gradient(flips, at(flips, 1.0, -5.0)),
        by_taylor(flips, at(flips, 1.0, -5.0)),
        by_hessian(flips, at(flips, 1.0, -5.0)),
    ):
        assert sites_of(flips, ranking) == expected


def test_no_score_lifts_a_bit_over_a_higher_plane() -> None:
    graph = Mlp().graph()
    flips = flips_of(graph, all_sites(graph))
    rng = np.random.default_rng(0)
    ranking = by_hessian(flips, rng.random(len(flips)) * 10.0 ** rng.integers(-9, 9, len(flips)))
    assert (np.diff(flips.plane[ranking.order]) >= 0).all()


def test_taylor_squares_gradient_times_word() -> None:
    _, flips = two_words()
    assert by_taylor(flips, at(flips, 2.0, 3.0)).score.tolist() == [36.0, 36.0, 36.0, 36.0, 36.0]


def test_delta_is_measured_in_values_so_that_tensors_compare() -> None:
    graph = Mlp(seed=1).graph()
    flips = flips_of(graph, all_sites(graph))
    ranking = by_delta(flips)
    for row in range(0, len(flips), 17):
        site = flips.sites.site(row)
        tensor = graph.tensors[site.tensor]
        word = tensor.words.reshape(-1)[site.index : site.index + 1]
        moved = (tensor.format.flip(word, site.bit) - word)[0] * float(tensor.scale)
        assert ranking.score[row] == abs(moved)


def test_delta_has_a_unit_a_channel_where_scales_have() -> None:
    graph = Mlp(per_channel=True, seed=2).graph()
    flips = flips_of(graph, select_sites(graph, tensors=("fc1.weight",)))
    channel = flips.sites.index % graph.tensors["fc1.weight"].words.shape[1]
    assert np.array_equal(flips.step, graph.tensors["fc1.weight"].scale[channel])


def test_convolution_channels_lie_on_the_first_axis() -> None:
    net = Net(shape=(3, 3, 1))
    net.conv("q", 2, (2, 2), widen=np.array([0, 1]))
    graph = net.graph()
    flips = flips_of(graph, all_sites(graph))
    assert flips.at({"conv1.weight": np.arange(8.0).reshape(2, 1, 2, 2)})[::4].tolist() == list(range(8))


def test_equal_scores_keep_site_order() -> None:
    _, flips = two_words()
    assert by_damage(np.zeros(5)).order.tolist() == [0, 1, 2, 3, 4]
    assert msb_first(flips).order.tolist() == [2, 4, 1, 3, 0]


def test_the_random_order_is_its_seeds_and_a_permutation() -> None:
    _, flips = two_words()
    first, again, other = (at_random(flips, np.random.default_rng(seed)).order for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    assert sorted(first) == [0, 1, 2, 3, 4]


def test_the_rank_is_the_inverse_of_the_order() -> None:
    ranking = by_damage(np.array([1.0, 5.0, 3.0]))
    assert (ranking.order.tolist(), ranking.rank.tolist()) == ([1, 2, 0], [2, 0, 1])


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_of_the_loss_does_not_change_an_order(factor: float) -> None:
    graph = Mlp().graph()
    flips = flips_of(graph, all_sites(graph))
    numbers = np.random.default_rng(3).standard_normal(len(flips))
    for make in (by_fisher, by_gradient, by_taylor, by_gradient_delta, by_hessian):
        assert np.array_equal(make(flips, numbers).order, make(flips, factor * numbers).order)


def test_the_score_of_fkeras_worked_by_hand() -> None:
    values, vectors = np.array([2.0, 1.0]), np.array([[0.6, 0.8], [0.8, -0.6]])
    weights = np.array([1.0, 2.0])
    # e1·w = 2.2, e2·w = -0.4: λ² |e·w| |e| summed.
    assert hessian_scores(values, vectors, weights) == pytest.approx(
        [4 * 2.2 * 0.6 + 0.4 * 0.8, 4 * 2.2 * 0.8 + 0.4 * 0.6]
    )
    assert hessian_scores(values, vectors, weights, power=1) == pytest.approx(
        [2 * 2.2 * 0.6 + 0.4 * 0.8, 2 * 2.2 * 0.8 + 0.4 * 0.6]
    )
    assert hessian_scores(values, vectors, np.array([1.0, -2.0]), strategy="max") == pytest.approx(
        [2 * 0.6 + 0.8, -2 * (2 * 0.8 + 0.6)]
    )


def test_the_sign_of_an_eigenvector_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    vectors, weights = np.linalg.qr(rng.standard_normal((6, 3)))[0].T, rng.standard_normal(6)
    for options in ({}, {"power": 1}, {"strategy": "max"}):
        plain = hessian_scores(np.array([3.0, 2.0, 1.0]), vectors, weights, **options)  # type: ignore[arg-type]
        turned = hessian_scores(np.array([3.0, 2.0, 1.0]), -vectors, weights, **options)  # type: ignore[arg-type]
        assert np.allclose(plain, turned)
