"""What a judge is made from, small enough to send: each worker runs the fault-free network itself, once a campaign."""

from __future__ import annotations

import copyreg
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Finish, Judge, PerSample
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.serialize import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSource:
    """Everything of a judge but the fault-free values of the inner layers.

    Attributes:
        fingerprint: Tells sources apart; of all that follows.
        graph: The fault-free network.
        inputs: Input words, shape (samples, ...).
        decision, labels, per_sample, finish, critical_share: As in ``Judge``; the functions are those of a module, so
            that they can be sent by name.
    """

    fingerprint: str
    graph: IntegerGraph
    inputs: Words
    decision: Decision
    labels: Int[np.ndarray, "samples ..."] | Float[np.ndarray, "samples ..."] | None
    per_sample: PerSample
    finish: Finish
    critical_share: float

    @classmethod
    def of(cls, judge: Judge) -> CampaignSource:
        """The source of a judge."""
        golden = judge.golden
        parts = [digest(golden.graph).encode(), np.ascontiguousarray(golden.inputs).tobytes()]
        parts += [b"none" if judge.labels is None else np.ascontiguousarray(judge.labels).tobytes()]
        parts += [repr((judge.decision, judge.critical_share)).encode()]
        parts += [f"{call.__module__}.{call.__qualname__}".encode() for call in (judge.per_sample, judge.finish)]
        fingerprint = hashlib.sha256()
        for part in parts:
            fingerprint.update(hashlib.sha256(part).digest())
        return cls(
            fingerprint=fingerprint.hexdigest(),
            graph=golden.graph,
            inputs=golden.inputs,
            decision=judge.decision,
            labels=judge.labels,
            per_sample=judge.per_sample,
            finish=judge.finish,
            critical_share=judge.critical_share,
        )

    def judge(self) -> Judge:
        """The judge, with a fault-free run of its own."""
        return Judge(
            golden=golden_run(self.graph, self.inputs),
            decision=self.decision,
            labels=self.labels,
            per_sample=self.per_sample,
            finish=self.finish,
            critical_share=self.critical_share,
        )


def _reduced(view: MappingProxyType[Any, Any]) -> tuple[Callable[..., MappingProxyType[Any, Any]], tuple[Any, ...]]:
    return _view, (dict(view),)


def _view(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)


# The graph's tensors and values are read-only views of dicts, which pickle knows nothing about.
copyreg.pickle(MappingProxyType, _reduced)

_JUDGES: dict[str, Judge] = {}
_LOCK = threading.Lock()


def judge_of(source: CampaignSource) -> Judge:
    """The judge of a source, kept in this process until one of another source is asked for."""
    with _LOCK:  # a Dask worker may run several threads; the fault-free run is made once
        if source.fingerprint not in _JUDGES:
            _JUDGES.clear()
            _JUDGES[source.fingerprint] = source.judge()
        return _JUDGES[source.fingerprint]
