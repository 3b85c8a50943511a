"""What ``edgeval inject-faults --plan`` prints."""

from __future__ import annotations

from typing import Literal

from edgeval.run_record import RecordPart


class FaultPlan(RecordPart, frozen=True, tag="edgeval.fault-plan/1"):
    """A campaign that was not run: its size, its predicted time and what to do.

    Attributes:
        fault: Fault model.
        faults: Faults that the filters leave.
        samples: Size of the evaluation set.
        probed: Faults that were judged to measure.
        workers, kernel_threads: That the prediction is for.
        seconds: Predicted for all faults: an estimate, from a measurement on this machine at this moment.
        time_budget: Seconds an exhaustive campaign may take.
        margin, confidence: Of the sample.
        sample: Faults of a stratified sample, at most.
        sample_seconds: Predicted for these.
        chosen: What to run.
        why: The reason, for people.
        options: Options of ``edgeval inject-faults`` that run it.
    """

    fault: str
    faults: int
    samples: int
    detail: str
    probed: int
    workers: int
    kernel_threads: int
    seconds: float
    time_budget: float
    margin: float
    confidence: float
    sample: int
    sample_seconds: float
    chosen: Literal["exhaustive", "sample"]
    why: str
    options: str
