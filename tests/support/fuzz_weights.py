"""What is fuzzed of weights: checkpoints of somebody else's module, and the weights of a trained run."""

from __future__ import annotations

import io
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from support import fuzz_mutations as damage
from support.fuzz_examples import example
from support.fuzz_mutations import Attempt


def _module() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def checkpoint(folder: Path) -> Attempt:
    import pickle

    import torch
    from safetensors.torch import save

    from edgeval.own_model import load_checkpoint

    module = _module()
    state = module.state_dict()
    corpus = [save(state)]
    for content in (state, {"state_dict": state, "epoch": 3}):
        for new in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=new)
            corpus.append(buffer.getvalue())
    corpus.append(pickle.dumps(_Escape()))

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("checkpoint", case)
        content = rng.choice(corpus)
        zipped = content[:2] == b"PK" and rng.random() < 0.5
        changed = damage.damaged_archive(content, rng, "") if zipped else _damaged_header(content, rng)
        (place / "weights.pt").write_bytes(changed)
        load_checkpoint(module, place / "weights.pt")

    return attempt


class _Escape:
    """What would write a file where a pickle is executed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch escape",))


def _damaged_header(content: bytes, rng: random.Random) -> bytes:
    """safetensors: the JSON in front damaged under a right length; others by bytes."""
    if content[8:9] != b"{" or rng.random() < 0.4:
        return damage.damaged_bytes(content, rng)
    length = int.from_bytes(content[:8], "little")
    header = damage.damaged_json(content[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def weights(folder: Path) -> Attempt:
    """The weights and the record of a trained run."""
    import torch

    from edgeval.brevitas_export import load_quantized_model, save_weights
    from edgeval.module_export import quiet
    from edgeval.quantize import Recipe, quantized_network
    from edgeval.records import RunRecord, load_record
    from edgeval.run_directory import RunDirectory
    from edgeval.targets import find_target

    target = find_target("digits")
    chosen = Recipe()
    recipe = replace(chosen, bias_bits=chosen.bias_bits or 16)
    model = quantized_network(target.architecture, target.input_format, recipe, seed=0)
    with quiet():
        model(torch.rand(8, *target.architecture.input_shape))  # scales that are learned exist behind the first batch
    run = RunDirectory(folder / "trained")
    save_weights(model, run)
    record = msgspec.json.decode(msgspec.json.encode(example(RunRecord)))
    record |= {"source": "digits", "recipe": msgspec.to_builtins(recipe)}
    record |= {"architecture": msgspec.to_builtins(target.architecture)}
    text, weights = msgspec.json.encode(record), run.weights_file.read_bytes()

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("weights", case)
        damaged = RunDirectory(place)
        which = rng.random() < 0.5
        damaged.run_file.write_bytes(damage.damaged_json(text, rng) if which else text)
        damaged.weights_file.write_bytes(weights if which else _damaged_header(weights, rng))
        loaded = load_record(RunRecord, damaged.run_file)
        if loaded.recipe is not None and loaded.architecture is not None:
            load_quantized_model(damaged, loaded)

    return attempt
