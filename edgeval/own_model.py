"""A Brevitas module of somebody's own, by the name of its factory or live → a run directory of its QONNX graph.

``package.module:factory`` is imported and called, a checkpoint is loaded into what it gives, the module is exported
(``edgeval/module_export.py``) and from there on is a third-party graph: a later export needs neither module nor torch.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import io
import json
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edgeval.fingerprint import digest_arrays, digest_file
from edgeval.importing import GraphOptions, import_graph
from edgeval.module_export import ExportedModule, Exporter, export_module, last_line, parts, quiet, raised_at
from edgeval.records import OwnModel, RunRecord
from edgeval.run_directory import RunDirectory, Samples, load_samples
from hls.errors import EdgevalError, InputError, UsageError

_NESTED = ("state_dict", "model")
"""Keys under which training scripts keep the state dict of a larger checkpoint."""
_LISTED = 8
"""How many names an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSource:
    """Where a module and its weights come from.

    Attributes:
        factory: ``package.module:attribute``; the attribute is a factory, an ``nn.Module`` class or a module.
        arguments: Keyword arguments of the factory.
        checkpoint: safetensors or a torch state dict; ``None`` for the weights that the factory gives.
        exporter: ``None`` to take the first that is right.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    exporter: Exporter | None = None


def import_module(source: ModuleSource, run: RunDirectory, options: GraphOptions) -> RunRecord:
    """Make a run of a Brevitas module.

    Args:
        source: The module.
        run: Where; free, or the run of the same module, weights and samples.
        options: Samples (needed here: they say what shape the input has), task and metric.

    Raises:
        UsageError: no samples, or arguments for what takes none. InputError: factory, checkpoint or samples cannot be
            used, or no exporter writes what the module does. LoweringError: it has no exact integer meaning.
            RunDirectoryError: the folder holds something else.
    """
    if options.inputs is None:
        raise UsageError(
            found=f"{source.factory} without --inputs",
            allowed="an .npz with `inputs`, samples first",
            where="edgeval export",
            remedy="add --inputs X.npz: the module is traced and checked with these samples",
        )
    samples = load_samples(options.inputs, options.inputs.name)
    with _current_folder_importable():
        module = load_module(source)
        if source.checkpoint is not None:
            load_checkpoint(module, source.checkpoint)
        return _imported(source, module.cpu().eval(), samples, run, options)


def import_live_module(module: Any, run: RunDirectory, options: GraphOptions, exporter: Exporter | None) -> RunRecord:
    """Make a run of a Brevitas module that is there already, as the Python API does.

    Args:
        module: A quantized ``nn.Module``; stays as it is, because a copy is exported. The run names its class.
        run: Where; free, or the run of the same class, weights and samples.
        options: Samples (needed here, too), task and metric.
        exporter: ``None`` to take the first that is right.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError: as ``import_module``.
    """
    name = f"{type(module).__module__}:{type(module).__qualname__}"
    if options.inputs is None:
        raise UsageError(
            found=f"{name} without inputs",
            allowed="inputs, samples first",
            where="the module",
            remedy="give inputs=X: the module is traced and checked with these samples",
        )
    _require_quantizers(module, name)
    samples = load_samples(options.inputs, options.inputs.name)
    source = ModuleSource(factory=name, exporter=exporter)
    return _imported(source, copy.deepcopy(module).cpu().eval(), samples, run, options)


def _imported(
    source: ModuleSource, module: Any, samples: Samples, run: RunDirectory, options: GraphOptions
) -> RunRecord:
    """Export a module, prove the file and make a run of it."""
    exported = export_module(module, samples.inputs, source.factory, source.exporter)
    own = _origin(source, module, exported)
    with tempfile.TemporaryDirectory(prefix="edgeval-export-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(exported.model.SerializeToString(deterministic=True))
        return import_graph(path, run, options, describe=lambda record: _described(record, own))


def parse_arguments(text: str | None) -> dict[str, Any]:
    """Keyword arguments of a factory from JSON.

    Raises:
        UsageError: no JSON object.

    Example:
        >>> parse_arguments('{"hidden": 64}')
        {'hidden': 64}
    """
    if text is None:
        return {}
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad_arguments(f"{text!r} ({error})") from error
    if not isinstance(arguments, dict):
        raise _bad_arguments(text)
    return arguments


def load_module(source: ModuleSource) -> Any:
    """Import and call a factory.

    Returns:
        A quantized ``nn.Module`` of Brevitas.

    Raises:
        InputError: module or attribute missing, the factory failed, or what it gives is no quantized module.
        UsageError: arguments for something that takes none.
    """
    from torch import nn

    found = _attribute(source.factory)
    if isinstance(found, nn.Module):
        if source.arguments:
            raise UsageError(
                found=f"--factory-args for the module {source.factory}, which is there already",
                allowed="--factory-args for a factory or a class",
                where="--factory-args",
                remedy="leave it out, or name the factory",
            )
        module = found
    elif callable(found):
        module = _call(found, source)
    else:
        raise _bad_factory(source.factory, f"{type(found).__name__}, which cannot be called")
    if not isinstance(module, nn.Module):
        raise _bad_factory(source.factory, f"a factory that gives {type(module).__name__}, not an nn.Module")
    _require_quantizers(module, source.factory)
    return module


def _require_quantizers(module: Any, name: str) -> None:
    if not any(parts(module).values()):
        raise InputError(
            found=f"{type(module).__name__} without a single Brevitas quantizer",
            allowed="a module of brevitas.nn layers (QuantIdentity, QuantLinear, QuantReLU …)",
            where=name,
            remedy="quantize it with Brevitas and train it before it is exported; examples/own_model shows one",
        )


def load_checkpoint(module: Any, path: Path) -> None:
    """Load weights into a module, without running anything that is in the file.

    Args:
        module: Changed in place.
        path: safetensors, or what ``torch.save`` wrote of a state dict (or of a dict with it under ``state_dict`` or
            ``model``), which is read with ``weights_only=True``.

    Raises:
        InputError: missing, of another format, with code in it, or of another architecture.
    """
    state = _read_state(path)
    try:
        with quiet():
            outcome = module.load_state_dict(state, strict=False)
    except Exception as error:  # shapes that differ, or hooks of the module's own
        detail = " ".join(str(error).split())
        raise _other_architecture(path, f"{type(error).__name__}: {detail[:600]}") from error
    faults = [
        f"{len(names)} {kind} ({', '.join(names[:_LISTED])}{' …' if len(names) > _LISTED else ''})"
        for kind, names in (("missing", outcome.missing_keys), ("unexpected", outcome.unexpected_keys))
        if names
    ]
    if faults:
        raise _other_architecture(path, f"tensors {' and '.join(faults)}")


def _read_state(path: Path) -> dict[str, Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        if content[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
            return dict(load(content))
        with quiet():
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _bad_checkpoint(path, f"a pickle with more than tensors in it ({last_line(error)})") from error
    except SafetensorError as error:
        raise _bad_checkpoint(path, last_line(error)) from error
    except Exception as error:  # torch's unpickler raises whatever the operations of a damaged file do
        raise _bad_checkpoint(path, f"{type(error).__name__}: {last_line(error)}") from error
    for key in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping) or not any(isinstance(item, torch.Tensor) for item in loaded.values()):
        keys = f" with the keys {', '.join(map(str, list(loaded)[:_LISTED]))}" if isinstance(loaded, Mapping) else ""
        raise _bad_checkpoint(path, f"a {type(loaded).__name__}{keys}")
    return dict(loaded)


def _attribute(factory: str) -> Any:
    """What ``package.module:attribute`` names."""
    name, _, attribute = factory.partition(":")
    if not name or not attribute:
        raise _bad_factory(factory, f"{factory!r}")
    try:
        with quiet():
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # importing a module runs it, and it may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise InputError(
                found=f"no module {error.name}",
                allowed="a module in the current folder, or an installed one",
                where=factory,
                remedy="start the command in the folder that holds it, or install it; without .py, with dots",
            ) from error
        raise _raised(factory, "importing the module raised", error) from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            own = [
                key
                for key, value in vars(module).items()
                if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == name
            ]
            raise InputError(
                found=f"no attribute {part}",
                allowed=f"one of {', '.join(own[:_LISTED])}" if own else "a function or class of that module",
                where=factory,
                remedy="check the name behind the colon",
            )
        found = getattr(found, part)
    return found


def _call(factory: Callable[..., Any], source: ModuleSource) -> Any:
    try:
        signature = inspect.signature(factory)
    except Exception:  # noqa: BLE001  # built-in callables and Brevitas' injectors have none: calling them tells
        signature = None
    try:
        if signature is not None:
            signature.bind(**source.arguments)
    except TypeError as error:
        raise InputError(
            found=f"arguments {json.dumps(dict(source.arguments))}: {error}",
            allowed=f"{source.factory}{signature}",
            where=source.factory,
            remedy="give its arguments as JSON: --factory-args '{\"name\": value}'",
        ) from error
    try:
        with quiet():
            return factory(**source.arguments)
    except (Exception, SystemExit) as error:  # a factory of somebody else raises what it likes
        raise _raised(source.factory, "the factory raised", error) from error


def _origin(source: ModuleSource, module: Any, exported: ExportedModule) -> OwnModel:
    state = {key: value for key, value in module.state_dict().items() if hasattr(value, "detach")}
    weights = {key: value.detach().cpu().float().numpy() for key, value in state.items()}
    return OwnModel(
        factory=source.factory,
        arguments=dict(source.arguments),
        checkpoint=None if source.checkpoint is None else source.checkpoint.name,
        checkpoint_sha256=None if source.checkpoint is None else digest_file(source.checkpoint),
        weights_sha256=digest_arrays(weights),
        exporter=exported.exporter,
        passed_over=exported.passed_over,
        samples=exported.agreement.samples,
        differing=exported.agreement.differing,
        max_error=exported.agreement.max_error,
        tolerance=exported.agreement.tolerance,
        notes=exported.notes,
    )


def _described(record: RunRecord, own: OwnModel) -> RunRecord:
    """The record of the graph, saying what the graph is of."""
    fingerprint = msgspec.structs.replace(
        record.fingerprint,
        configuration={
            **record.fingerprint.configuration,
            "source": own.factory,
            "factory-args": own.arguments,
            "exporter": own.exporter,
        },
        digests={**record.fingerprint.digests, "weights": own.weights_sha256},
    )
    samples = record.title.rpartition(", ")[2]
    title = f"Brevitas module {own.factory}, {samples}"
    return msgspec.structs.replace(record, fingerprint=fingerprint, source=own.factory, title=title, own_model=own)


@contextlib.contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Import from the current folder first, as ``python -m`` does; factories import more when they are called."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _raised(factory: str, what: str, error: BaseException) -> EdgevalError:
    if isinstance(error, EdgevalError):
        return error
    return InputError(
        found=f"{what} {raised_at(error)}",
        allowed="a factory that returns its nn.Module",
        where=factory,
        remedy="make it run in Python first",
    )


def _bad_factory(factory: str, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="package.module:factory, where factory returns an nn.Module, or is one, or is a class of them",
        where=factory,
        remedy="name what makes the model behind the colon",
    )


def _bad_arguments(found: str) -> UsageError:
    return UsageError(
        found=found,
        allowed="a JSON object of keyword arguments, for example '{\"hidden\": 64}'",
        where="--factory-args",
        remedy="write names and strings in double quotes, and put the whole in single ones",
    )


def _bad_checkpoint(path: Path, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="safetensors, or tensors by name saved by torch.save; code in pickles is never run",
        where=str(path),
        remedy="save it with torch.save(model.state_dict(), PATH) or safetensors.torch.save_file",
    )


def _other_architecture(path: Path, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="exactly the tensors of the module that the factory returns",
        where=str(path),
        remedy="check --factory-args and that the checkpoint is of this model; take prefixes off its names",
    )
