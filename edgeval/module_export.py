"""A Brevitas module → a QONNX file that was executed against it, by whichever of torch's two exporters gets it right.

Both exporters have modules they cannot write and modules they write wrongly. So neither is trusted: a graph counts only
when qonnx, executing it, gives what the module gives, and when it lowers to integers.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnx
from jaxtyping import Float64

from edgeval.exported_graph import Quantizer, tidy
from edgeval.witness import execute_qonnx
from hls.errors import EdgevalError, InputError, LoweringError
from hls.lowering import lower

Exporter = Literal["dynamo", "torchscript"]
"""torch's exporters, the one to try first in front: ``dynamo`` is the default of torch 2.9 and later."""
EXPORTERS: tuple[Exporter, ...] = get_args(Exporter)

RANGE_TOLERANCE = 1e-5
"""Of the range of the outputs: above what float32 sums of a hundred terms lose, below one step of a 16-bit output."""
_ULPS = 2.0**-22
"""Of the largest output: four units in the last place of float32, for outputs that hardly vary."""
BOUNDARY_SHARE = 0.01
"""Samples that may differ because float32 sums in another order and a quantizer then rounds the other way."""

_TORCHSCRIPT_OPSET = 13
_LONGEST_REASON = 300
_NOT_THE_USERS = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")} | {Path(__file__).parent}
"""Folders whose files do not help to find a mistake in a module."""
ALONE_SAMPLES = 32
"""Samples that the module is also given one by one: hardware has no batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A graph, executed, against its module.

    Attributes:
        samples: Compared.
        differing: Samples with an output beyond the tolerance.
        max_error: Largest absolute difference, in units of the output; infinite where one side is not finite.
        tolerance: Absolute, from the range of the module's outputs.
    """

    samples: int
    differing: int
    max_error: float
    tolerance: float

    @property
    def exact(self) -> bool:
        """Whether no sample differs."""
        return self.differing == 0

    @property
    def at_boundaries(self) -> bool:
        """Whether so few differ that rounding boundaries can be the reason."""
        return self.differing <= BOUNDARY_SHARE * self.samples

    def __str__(self) -> str:
        return (
            f"{self.differing:,} of {self.samples:,} samples differ from the module, by up to {self.max_error:.3g} "
            f"(tolerance {self.tolerance:.3g})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModule:
    """A QONNX model that does what its module does.

    Attributes:
        exporter: Which one wrote it.
        passed_over: Why the exporter that comes first was not taken; empty where it was.
        notes: What people have to know about the agreement; empty when it is plain.
    """

    model: onnx.ModelProto
    exporter: Exporter
    passed_over: str
    agreement: Agreement
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One exporter's graph; ``error`` says what is wrong with it, ``None`` if nothing is."""

    exporter: Exporter
    model: onnx.ModelProto | None = None
    mended: tuple[str, ...] = ()
    agreement: Agreement | None = None
    error: EdgevalError | str | None = None

    @property
    def lowers(self) -> bool:
        return not isinstance(self.error, LoweringError)


def module_outputs(module: Any, inputs: np.ndarray) -> Float64[np.ndarray, "samples outputs"]:
    """What a module in evaluation mode gives, computed in float32.

    Raises:
        InputError: it fails, gives something else than one tensor with the samples first, or no finite numbers.
    """
    import torch

    shape = list(inputs.shape)
    try:
        with torch.no_grad(), quiet():
            output = module(torch.from_numpy(np.asarray(inputs, np.float32)))
    except Exception as error:  # a module of somebody else raises what it likes
        raise _bad_output(f"{raised_at(error)}, given inputs of shape {shape}") from error
    output = getattr(output, "value", output)  # of a quant tensor
    if not isinstance(output, torch.Tensor):
        raise _bad_output(f"an output of type {type(output).__name__}")
    if output.ndim < 2 or len(output) != len(inputs):
        raise _bad_output(f"an output of shape {list(output.shape)} for inputs of shape {shape}")
    values = np.asarray(output.numpy(), np.float64).reshape(len(inputs), -1)
    if not np.isfinite(values).all():
        raise _bad_output(f"outputs that are not finite ({int((~np.isfinite(values)).any(axis=1).sum())} samples)")
    return values


def export_module(module: Any, inputs: np.ndarray, name: str, exporter: Exporter | None = None) -> ExportedModule:
    """Export a Brevitas module as QONNX, and prove the file by executing it.

    Args:
        module: In evaluation mode, from inputs to one output; stays as it is.
        inputs: Real values, samples first; the first sample is what the exporters trace.
        name: Of the graph.
        exporter: ``None`` to take the first that is right.

    Raises:
        InputError: no exporter writes a graph that does what the module does. LoweringError: the graph that does has
            no exact integer meaning.
    """
    expected = module_outputs(module, inputs)
    _require_no_batch(module, inputs, expected)
    attempts: list[_Attempt] = []
    for choice in EXPORTERS if exporter is None else (exporter,):
        attempts.append(_attempt(module, inputs, expected, choice, name))
        if attempts[-1].error is None:
            break
    best = _best(attempts)
    assert best.model is not None
    assert best.agreement is not None
    notes = list(dict.fromkeys(best.mended))  # one of a module that is called twice is enough
    if not best.agreement.exact:
        notes.append(f"{best.agreement}: taken for float32 rounding the other way at a quantizer's boundary")
    if len(inputs) > 1 and np.ptp(expected, axis=0).max() == 0.0:
        notes.append("the module gives the same outputs for every sample: its execution proves little")
    return ExportedModule(
        model=best.model,
        exporter=best.exporter,
        passed_over="" if best is attempts[0] else f"{attempts[0].exporter}: {attempts[0].error}",
        agreement=best.agreement,
        notes=tuple(notes),
    )


def _require_no_batch(module: Any, inputs: np.ndarray, expected: Float64[np.ndarray, "samples outputs"]) -> None:
    """Refuse a module that does something else with a sample alone than in a batch."""
    chosen = np.unique(np.linspace(0, len(inputs) - 1, ALONE_SAMPLES).astype(int))
    alone = np.concatenate([module_outputs(module, inputs[index : index + 1]) for index in chosen])
    agreement = compare_outputs(expected[chosen], alone)
    if agreement.differing > 1:  # one may sit at a rounding boundary
        raise _bad_output(
            f"outputs that depend on the batch (alone, {agreement.differing} of {len(chosen)} samples differ by up to "
            f"{agreement.max_error:.3g})",
            remedy="write forward without statistics of, or branches on, the whole batch",
        )


def _attempt(
    module: Any, inputs: np.ndarray, expected: Float64[np.ndarray, "samples outputs"], exporter: Exporter, name: str
) -> _Attempt:
    try:
        # A copy, because an exporter that fails leaves the module in brevitas' export mode.
        model = _export(copy.deepcopy(module), inputs[:1], exporter)
        with quiet():  # brevitas' scales warn of their own future while they are copied out
            stored = set(module.state_dict())
        mended = tidy(model, name, parts(module), stored)
        onnx.checker.check_model(model)  # also that nodes come in data order
    except Exception as error:  # noqa: BLE001  # exporters raise anything, from AssertionError to their own trees
        return _Attempt(exporter=exporter, error=f"the export failed: {raised_at(_root(error))}")
    try:
        executed = execute_qonnx(model, inputs)
    except EdgevalError as error:
        reason = error.found.strip().splitlines()[0][:_LONGEST_REASON]
        return _Attempt(exporter=exporter, error=f"qonnx cannot execute the graph ({reason})")
    if executed.shape != expected.shape:
        found = f"{executed.shape[1]} outputs a sample instead of {expected.shape[1]}"
        return _Attempt(exporter=exporter, error=f"the graph gives {found}")
    agreement = compare_outputs(expected, executed)
    fault: LoweringError | str | None = None if agreement.exact else str(agreement)
    if agreement.at_boundaries:
        try:
            lower(model)
        except LoweringError as refused:
            fault = refused
    return _Attempt(exporter=exporter, model=model, mended=mended, agreement=agreement, error=fault)


def compare_outputs(
    expected: Float64[np.ndarray, "samples outputs"], executed: Float64[np.ndarray, "samples outputs"]
) -> Agreement:
    """How far an executed graph is from its module, sample by sample.

    The tolerance is for float32 rounding: ``RANGE_TOLERANCE`` of the range of the module's outputs, and no less than
    four units in the last place of the largest.

    Example:
        >>> print(compare_outputs(np.array([[0.0], [2.0]]), np.array([[0.0], [2.5]])))
        1 of 2 samples differ from the module, by up to 0.5 (tolerance 2e-05)
    """
    tolerance = max(RANGE_TOLERANCE * float(np.ptp(expected)), _ULPS * float(np.abs(expected).max()))
    errors = np.abs(np.where(np.isfinite(executed), executed - expected, np.inf)).max(axis=1)
    return Agreement(
        samples=len(expected),
        differing=int((errors > tolerance).sum()),
        max_error=float(errors.max()),
        tolerance=tolerance,
    )


def _best(attempts: list[_Attempt]) -> _Attempt:
    """The attempt without fault, or the one whose few differences rounding boundaries can explain."""
    right = [item for item in attempts if item.agreement is not None and item.agreement.at_boundaries]
    lowered = [item for item in right if item.lowers]
    if lowered:
        return min(lowered, key=lambda item: item.agreement.differing if item.agreement else 0)
    for item in right:
        assert isinstance(item.error, LoweringError)
        raise item.error
    raise InputError(
        found="; ".join(f"{item.exporter}: {item.error}" for item in attempts),
        allowed="an export that, executed by qonnx, does what the module does (no more than "
        f"{BOUNDARY_SHARE:.0%} of the samples beyond float32 rounding)",
        where="export of the module",
        remedy="write forward without branches on data and with one path of quant tensors from layer to layer; "
        "replace 1-bit quantizers by 2-bit ones; then compare again",
    )


def _export(module: Any, example: np.ndarray, exporter: Exporter) -> onnx.ModelProto:
    import torch

    choices: dict[str, Any] = {"dynamo": True, "verbose": False}
    if exporter == "torchscript":
        choices = {"dynamo": False, "opset_version": _TORCHSCRIPT_OPSET}
    # An exporter that fails prints the graph as far as it got, by the page; its error says what was wrong.
    with tempfile.TemporaryDirectory() as folder, quiet(), contextlib.redirect_stderr(io.StringIO()):
        from brevitas.export import export_qonnx

        path = Path(folder) / "model.onnx"
        export_qonnx(module, args=torch.from_numpy(np.asarray(example, np.float32)), export_path=str(path), **choices)
        return onnx.load(path)


def parts(module: Any) -> dict[str, Quantizer | None]:
    """Every part of a module by its path, and what it is where it is a Brevitas quantizer that is switched on."""
    with quiet():
        from brevitas.core.quant.int_base import DecoupledIntQuant, IntQuant
        from brevitas.proxy.quant_proxy import QuantProxyFromInjector

        found: dict[str, Quantizer | None] = {}
        for path, part in module.named_modules(remove_duplicate=False):
            found[path] = None
            if isinstance(part, QuantProxyFromInjector) and part.is_quant_enabled:
                found[path] = Quantizer(
                    integer=any(isinstance(inner, IntQuant | DecoupledIntQuant) for inner in part.modules()),
                    signed=bool(part.is_signed),
                    narrow=bool(part.is_narrow_range),
                    rounding=str(part.rounding_mode),
                )
        return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings and chatter of torch, brevitas and the module off the results: they are not about edgeval's work.

    What they print goes to standard error, because standard output is the command's result.
    """
    level = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)


def last_line(error: BaseException) -> str:
    """The last line of an error's traceback, cut to a readable length.

    Example:
        >>> last_line(ValueError("no such width"))
        'ValueError: no such width'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:_LONGEST_REASON]}" if lines else type(error).__name__


def _root(error: BaseException) -> BaseException:
    """What an error was raised from, all the way down."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def raised_at(error: BaseException) -> str:
    """The last line of an error's traceback, and the last line of the user's own files that it went through."""
    place, frame = "", error.__traceback__
    while frame is not None:
        path = Path(frame.tb_frame.f_code.co_filename)
        if path.suffix == ".py" and not any(path.is_relative_to(folder) for folder in _NOT_THE_USERS):
            place = f" ({path.name}, line {frame.tb_lineno})"
        frame = frame.tb_next
    return f"{last_line(error)}{place}"


def _bad_output(
    found: str, remedy: str = "check the shape of `inputs`, or wrap the module to give one tensor"
) -> InputError:
    return InputError(
        found=found,
        allowed="one output tensor of finite numbers, [samples, ...] from [samples, ...], every sample on its own",
        where="the module on the given inputs",
        remedy=remedy,
    )
