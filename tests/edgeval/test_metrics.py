from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeval.metrics import ACCURACY, CROSS_ENTROPY, METRICS, mae, rmse
from hls.errors import InputError

OUTPUTS = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 1.0], [0.0, 1.0, 2.0]])


def test_accuracy_is_the_share_of_hits() -> None:
    assert ACCURACY.value(OUTPUTS, np.array([1, 0, 0])) == 2 / 3


def test_the_lowest_index_wins_a_tie() -> None:
    assert ACCURACY.per_sample(OUTPUTS, np.array([1, 0, 2])).tolist() == [1.0, 1.0, 1.0]
    assert ACCURACY.per_sample(OUTPUTS, np.array([1, 1, 2])).tolist() == [1.0, 0.0, 1.0]


def test_rmse_is_in_the_unit_of_the_labels() -> None:
    metric = rmse("kcal/mol")
    assert (metric.value(np.array([[3.0], [4.0]]), np.zeros(2)), metric.unit) == (np.sqrt(12.5), "kcal/mol")


def test_mae_averages_absolute_errors() -> None:
    assert mae("m").value(np.array([[3.0], [-4.0]]), np.zeros(2)) == 3.5


def test_several_target_values_a_row_are_averaged_within_the_row() -> None:
    assert rmse("m").per_sample(np.array([[3.0, 1.0]]), np.zeros((1, 2))).tolist() == [5.0]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_value_is_the_finished_mean_of_the_contributions(pairs: list[tuple[float, float]]) -> None:
    outputs, labels = np.array([[p[0]] for p in pairs]), np.array([p[1] for p in pairs])
    for metric in (rmse("m"), mae("m")):
        mean = np.asarray(np.mean(metric.per_sample(outputs, labels)))
        assert metric.value(outputs, labels) == metric.finish(mean)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        ACCURACY.value(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))


def test_an_output_that_is_not_finite_is_named() -> None:
    with pytest.raises(InputError, match=r"outputs\[1, 0\]: found nan"):
        rmse("m").value(np.array([[1.0], [np.nan]]), np.zeros(2))


@pytest.mark.parametrize("labels", [np.array([0, 1, 3]), np.array([-1, 0, 1]), np.array([0.0, 1.0, 2.0]), np.zeros(2)])
def test_labels_that_no_output_stands_for_are_refused(labels: np.ndarray) -> None:
    # Under --jaxtyping-packages the shape checker is first to refuse a wrong number of rows.
    with pytest.raises((InputError, TypeError), match=r"3 integers from 0 to 2|labels"):
        ACCURACY.value(OUTPUTS, labels)


def test_target_values_that_do_not_fit_the_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="3 rows of 3"):
        rmse("m").value(OUTPUTS, np.zeros(3))


def test_every_named_metric_goes_by_its_name() -> None:
    assert {name: metric.name for name, metric in METRICS.items()} == {name: name for name in METRICS}


@pytest.mark.parametrize("name", ["rmse", "mae"])
@pytest.mark.parametrize("shape", [(0,), (0, 1), (0, 2)])
def test_no_rows_have_no_contributions(name: str, shape: tuple[int, ...]) -> None:
    outputs = np.zeros((0, shape[-1] if len(shape) == 2 else 1))
    assert METRICS[name].per_sample(outputs, np.zeros(shape)).shape == (0,)


def test_cross_entropy_is_minus_the_logarithm_of_the_labels_share() -> None:
    outputs, labels = np.log(np.array([[1.0, 2.0, 1.0], [6.0, 1.0, 1.0]])), np.array([1, 2])
    assert CROSS_ENTROPY.per_sample(outputs, labels) == pytest.approx([np.log(2), np.log(8)])
    assert CROSS_ENTROPY.value(outputs, labels) == pytest.approx((np.log(2) + np.log(8)) / 2)
    assert (CROSS_ENTROPY.unit, CROSS_ENTROPY.direction, CROSS_ENTROPY.classes) == ("nat", "lower", True)


def test_cross_entropy_of_huge_outputs_is_finite() -> None:
    outputs = np.array([[1e300, -1e300], [1e300, -1e300], [-1e308, -1e308]])
    with np.errstate(over="ignore"):  # the distance itself is beyond float64
        found = CROSS_ENTROPY.per_sample(outputs[[0, 2]], np.array([0, 1]))
    assert found == pytest.approx([0.0, np.log(2)])
    assert CROSS_ENTROPY.per_sample(np.array([[0.0, 1e6]]), np.array([0])) == pytest.approx([1e6])


def test_cross_entropy_does_not_depend_on_a_common_offset() -> None:
    labels = np.array([2, 0, 1])
    plain, moved = (CROSS_ENTROPY.per_sample(OUTPUTS + offset, labels) for offset in (0.0, 1024.0))
    assert np.array_equal(plain, moved)


def test_cross_entropy_refuses_labels_that_are_no_classes() -> None:
    with pytest.raises(InputError, match="integers from 0 to 2"):
        CROSS_ENTROPY.value(OUTPUTS, np.array([0, 1, 3]))
