"""What the functions of the Python API return: a record and its run, which show themselves.

No result has a truth value. ``if edgeval.compare(run)`` could mean that it ran or that it matched, and a campaign whose
faults change every decision is a success; so ``bool(result)`` raises, and what is asked has a name: ``matched``,
``agreed``, ``exit_code``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, final

from edgeval.api.run import Run
from edgeval.plan_record import FaultPlan
from edgeval.records import (
    CompareRecord,
    ExportRecord,
    FaultRow,
    FirstDifference,
    InjectRecord,
    LayerRow,
    LayerVerdict,
    MatrixRecord,
    MatrixRow,
    RunRecord,
)  # fmt: skip
from edgeval.regression.baseline import Baseline
from edgeval.regression_record import Gate, GateStatus, RegressRecord
from edgeval.report import notebook
from edgeval.report.headlines import (
    cross_check_texts,
    export_headline,
    inject_headline,
    lock_headline,
    plan_headline,
    train_headline,
)
from hls.errors import RunDirectoryError

if TYPE_CHECKING:
    import pyarrow as pa

Verdict = Literal["match", "differ", "no_verdict"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrainResult:
    """A trained run."""

    run: Run
    record: RunRecord

    @property
    def exit_code(self) -> int:
        """What ``edgeval train`` would exit with."""
        return 0

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".record")

    def __repr__(self) -> str:
        return f"{train_headline(self.record)}\nrun {self.run.path}"

    def _repr_html_(self) -> str:
        return notebook.train_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExportResult:
    """An exported run: QONNX file, integer network and, unless it was refused, an hls4ml project."""

    run: Run
    record: ExportRecord

    @property
    def layers(self) -> tuple[LayerRow, ...]:
        """Nodes of the integer network, in data order."""
        return self.record.layers

    @property
    def refused(self) -> str | None:
        """Why there is no hls4ml project; ``None`` where there is one."""
        return self.record.refused

    @property
    def exit_code(self) -> int:
        """What ``edgeval export`` would exit with."""
        return 0

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".refused is None")

    def __repr__(self) -> str:
        record = self.record
        project = f"{record.backend} {record.io_type}" if record.refused is None else f"refused: {record.refused}"
        return f"{export_headline(record)}\n{len(record.layers)} layers; hls4ml project {project}\nrun {self.run.path}"

    def _repr_html_(self) -> str:
        return notebook.export_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CompareResult:
    """The verdict on one hls4ml project, with its evidence."""

    run: Run
    record: CompareRecord

    @property
    def verdict(self) -> Verdict:
        """``match``, ``differ`` or ``no_verdict``."""
        return self.record.verdict

    @property
    def matched(self) -> bool:
        """Whether the verdict is ``match``; no verdict is no match."""
        return self.record.verdict == "match"

    @property
    def headline(self) -> str:
        """First line for people."""
        return self.record.headline

    @property
    def words(self) -> int:
        """Words that were compared, over all layers and samples."""
        return self.record.words

    @property
    def differing(self) -> int:
        """Words of these that differ."""
        return self.record.differing

    @property
    def first(self) -> FirstDifference | None:
        """The first word that differs, with its cause; ``None`` where none does, or nothing ran."""
        return self.record.first

    @property
    def layers(self) -> tuple[LayerVerdict, ...]:
        """Evidence, layer by layer."""
        return self.record.layers

    @property
    def exit_code(self) -> int:
        """What ``edgeval csim-compare`` would exit with."""
        return 0 if self.matched else 1

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".matched")

    def __repr__(self) -> str:
        record = self.record
        cause = "" if record.first is None else f"cause: {record.first.cause}\n"
        where = f"on {record.inputs}; {record.backend} {record.io_type}, {record.compiler}"
        return f"{record.headline}\n{cause}{where}\nrun {self.run.path}"

    def _repr_html_(self) -> str:
        return notebook.compare_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MatrixResult:
    """The verdict on every C-simulation that hls4ml has of a network."""

    run: Run
    record: MatrixRecord

    @property
    def verdict(self) -> Verdict:
        """``match`` where every combination that is not refused matches, and at least one does."""
        return self.record.verdict

    @property
    def matched(self) -> bool:
        """Whether the verdict is ``match``."""
        return self.record.verdict == "match"

    @property
    def headline(self) -> str:
        """First line for people."""
        return self.record.headline

    @property
    def rows(self) -> tuple[MatrixRow, ...]:
        """One a combination of back end, interface and strategy."""
        return self.record.rows

    @property
    def exit_code(self) -> int:
        """What ``edgeval csim-compare --matrix`` would exit with."""
        return 0 if self.matched else 1

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".matched")

    def __repr__(self) -> str:
        rows = "\n".join(f"{r.backend} {r.io_type} {r.strategy}: {r.status}" for r in self.record.rows)
        return f"{self.record.headline}\n{rows}\nrun {self.run.path}"

    def _repr_html_(self) -> str:
        return notebook.matrix_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InjectResult:
    """A fault campaign: what became of every fault that was judged."""

    run: Run
    record: InjectRecord

    @property
    def classes(self) -> dict[str, int]:
        """Judged faults by class."""
        return self.record.classes

    @property
    def worst(self) -> tuple[FaultRow, ...]:
        """The most harmful faults, worst first."""
        return self.record.worst

    @property
    def agreed(self) -> bool:
        """Whether every fault that was repeated by brute force or in the C-simulation did what the table says."""
        return self.record.agreed

    def table(self) -> pa.Table:
        """One row a fault; ``docs/interfaces.md`` has the columns.

        Raises:
            RunDirectoryError: the table was not kept, or is damaged.
        """
        from edgeval.outcome_tables import outcome_columns, outcome_table

        directory = self.run.directory
        path = directory.record_file(f"inject-faults-{self.record.outcomes.rpartition('/')[2]}")
        table = outcome_table(directory, path, self.record, outcome_columns(directory, path, self.record))
        if table is None:
            raise RunDirectoryError(
                found="no table of outcomes",
                allowed="the table of this campaign",
                where=str(self.run.path / self.record.outcomes),
                remedy="run the campaign again",
            )
        return table

    @property
    def exit_code(self) -> int:
        """What ``edgeval inject-faults`` would exit with."""
        return 0 if self.agreed else 1

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".agreed")

    def __repr__(self) -> str:
        return "\n".join(
            (inject_headline(self.record), *cross_check_texts(self.record), f"run {self.run.path}"),
        )

    def _repr_html_(self) -> str:
        return notebook.inject_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanResult:
    """What a campaign would cost; nothing was judged but the faults that were timed."""

    run: Run
    record: FaultPlan

    @property
    def chosen(self) -> Literal["exhaustive", "sample"]:
        """What to run within the time budget."""
        return self.record.chosen

    @property
    def seconds(self) -> float:
        """Predicted for all faults."""
        return self.record.seconds

    @property
    def exit_code(self) -> int:
        """What ``edgeval inject-faults --plan`` would exit with."""
        return 0

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".chosen")

    def __repr__(self) -> str:
        return f"{plan_headline(self.record)}\n{self.record.chosen}: {self.record.why}\nrun {self.run.path}"

    def _repr_html_(self) -> str:
        return notebook.plan_html(self.record, str(self.run.path))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LockResult:
    """What was locked, and the file it is in."""

    baseline: Path
    runs: tuple[Run, ...]
    record: Baseline

    @property
    def exit_code(self) -> int:
        """What ``edgeval regress lock`` would exit with."""
        return 0

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".record")

    def __repr__(self) -> str:
        return lock_headline(self.baseline, len(self.runs), len(self.record.runs))

    def _repr_html_(self) -> str:
        return notebook.lock_html(self.baseline, len(self.runs), self.record)


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CheckResult:
    """Runs as they are now against a baseline, gate by gate."""

    baseline: Path
    record: RegressRecord

    @property
    def verdict(self) -> GateStatus:
        """``passed``, ``failed``, or ``skipped`` where nothing was compared at all."""
        return self.record.verdict

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``passed``; what was skipped has not passed."""
        return self.record.verdict == "passed"

    @property
    def headline(self) -> str:
        """First line for people."""
        return self.record.headline

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Everything that was compared, or skipped with its reason."""
        return self.record.gates

    @property
    def failed(self) -> tuple[Gate, ...]:
        """Gates that failed, each with its cause and what to do."""
        return tuple(gate for gate in self.record.gates if gate.status == "failed")

    @property
    def exit_code(self) -> int:
        """What ``edgeval regress check`` would exit with."""
        return 1 if self.record.verdict == "failed" else 0

    def __bool__(self) -> NoReturn:
        raise _no_truth(self, ".passed")

    def __repr__(self) -> str:
        causes = [f"{gate.run} {gate.name}: {gate.summary}" for gate in self.failed]
        return "\n".join((self.record.headline, *causes, f"baseline {self.baseline}"))

    def _repr_html_(self) -> str:
        return notebook.check_html(self.record, str(self.baseline))


def _no_truth(result: object, instead: str) -> TypeError:
    return TypeError(f"{type(result).__name__} is neither true nor false: ask result{instead}")
