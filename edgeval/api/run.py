"""A run directory as the Python API hands it out."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from edgeval.records import CompareRecord, ExportRecord, RunRecord, load_record
from edgeval.report.headlines import train_headline
from edgeval.report.notebook import run_html
from edgeval.run_directory import RunDirectory, Samples
from hls.errors import RunDirectoryError

if TYPE_CHECKING:
    from edgeval.api.results import CompareResult, ExportResult, InjectResult
    from hls.graph import IntegerGraph


@final
@dataclass(frozen=True, slots=True, weakref_slot=True, repr=False)
class Run:
    """One model and the records about it, in a folder; ``docs/interfaces.md`` says what lies where.

    Attributes:
        path: The folder. A temporary one, made where a model came without ``output``, is removed when the last ``Run``
            or result that holds it is gone.
    """

    path: Path

    @property
    def directory(self) -> RunDirectory:
        """Paths of its files, as the functions below the API take them."""
        return RunDirectory(self.path)

    @property
    def record(self) -> RunRecord:
        """What this run is of.

        Raises:
            RunDirectoryError: not a run directory, or damaged.
        """
        return self.directory.run_record()

    def network(self) -> IntegerGraph:
        """The integer network, with its stored words.

        Raises:
            RunDirectoryError: not exported yet, or damaged.
        """
        return self.directory.network()

    def samples(self) -> Samples:
        """The evaluation set.

        Raises:
            RunDirectoryError: missing or damaged.
        """
        return self.directory.samples()

    @property
    def record_names(self) -> tuple[str, ...]:
        """Names of the records that commands have left, sorted."""
        return tuple(sorted(path.stem for path in (self.path / "records").glob("*.json")))

    def exported(self) -> ExportResult | None:
        """The last export; ``None`` before there was one.

        Raises:
            RunDirectoryError: the record is damaged.
        """
        from edgeval.api.results import ExportResult

        path = self.directory.record_file("export")
        return ExportResult(run=self, record=load_record(ExportRecord, path)) if path.exists() else None

    def compared(self) -> CompareResult | None:
        """The last comparison of the run's own project, without a poke; ``None`` before there was one.

        Raises:
            RunDirectoryError: the record is damaged.
        """
        from edgeval.api.results import CompareResult

        path = self.directory.record_file("csim-compare")
        return CompareResult(run=self, record=load_record(CompareRecord, path)) if path.exists() else None

    def campaigns(self) -> tuple[InjectResult, ...]:
        """Every fault campaign of this run, by the names of their records.

        Raises:
            RunDirectoryError: a record is damaged.
        """
        from edgeval.api.results import InjectResult
        from edgeval.outcome_tables import campaign_records

        return tuple(InjectResult(run=self, record=record) for _, record in campaign_records(self.directory))

    def __repr__(self) -> str:
        try:
            headline = train_headline(self.record)
        except RunDirectoryError as error:  # a debugger has to be able to show it
            return f"no run: {error.found}\nrun {self.path}"
        return f"{headline}\nrun {self.path}; records: {', '.join(self.record_names) or 'none yet'}"

    def _repr_html_(self) -> str | None:
        try:
            return run_html(self.record, str(self.path), self.record_names)
        except RunDirectoryError:
            return None  # a notebook then shows the text


def temporary_run() -> Run:
    """A free folder that goes when nothing holds the ``Run`` any longer, or with the interpreter."""
    folder = Path(tempfile.mkdtemp(prefix="edgeval-run-"))
    run = Run(folder / "run")
    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run
