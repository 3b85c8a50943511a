"""Records: what is saved is read back, and nothing unknown, mistyped or of another version passes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgeval.architecture import perceptron
from edgeval.fingerprint import differences, identity, make_fingerprint
from edgeval.records import Fingerprint, RunRecord, load_record, save_record
from hls.errors import RunDirectoryError


@pytest.fixture
def record() -> RunRecord:
    return RunRecord(
        fingerprint=make_fingerprint("train", {"epochs": 3}, seeds={"train": 0}, digests={"data": "ab"}),
        source="digits",
        title="digits",
        task="classification",
        metric="accuracy",
        unit="fraction",
        direction="higher",
        samples=7,
    )


def test_a_record_comes_back_equal(record: RunRecord, tmp_path: Path) -> None:
    save_record(record, tmp_path / "run.json")
    assert load_record(RunRecord, tmp_path / "run.json") == record


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"samples": 7', b'"samples": "7"'),
        (b'"samples": 7', b'"samples": 7, "extra": 1'),
        (b"edgeval.run/2", b"edgeval.run/1"),
        (b'"higher"', b'"upwards"'),
    ],
)
def test_a_wrong_type_field_version_or_choice_is_refused(
    old: bytes, new: bytes, record: RunRecord, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    save_record(record, path)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        load_record(RunRecord, path)


def test_an_architecture_that_does_not_fit_is_refused_like_any_other_damage(record: RunRecord, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save_record(msgspec.structs.replace(record, architecture=perceptron((4, 3))), path)
    assert load_record(RunRecord, path).architecture == perceptron((4, 3))
    path.write_bytes(path.read_bytes().replace(b'"width": 3', b'"width": 0'))
    with pytest.raises(RunDirectoryError, match="width 0"):
        load_record(RunRecord, path)


def test_equal_fingerprints_have_one_identity_and_no_differences() -> None:
    first, second = (make_fingerprint("x", {"a": 1, "b": 2}, seeds={}, digests={}) for _ in range(2))
    assert identity(first) == identity(second)
    assert differences(first, second) == []


def test_the_order_of_options_does_not_matter() -> None:
    first = make_fingerprint("x", {"a": 1, "b": 2}, seeds={}, digests={})
    second = make_fingerprint("x", {"b": 2, "a": 1}, seeds={}, digests={})
    assert identity(first) == identity(second)


def test_every_difference_is_named_with_its_path() -> None:
    first = make_fingerprint("x", {"a": 1}, seeds={"s": 0}, digests={})
    second = msgspec.structs.replace(first, configuration={"a": 2}, seeds={"s": 0, "t": 1})
    assert differences(first, second) == ["configuration.a: 1 → 2", "seeds.t: None → 1"]
    assert identity(first) != identity(second)
    assert isinstance(second, Fingerprint)
