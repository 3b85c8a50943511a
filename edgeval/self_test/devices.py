"""Wrong devices: hls4ml projects of mutated networks that say they are of the right one, and the library they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgeval.progress import Advance
from edgeval.self_test.mutation import Mutated, Mutation
from edgeval.self_test.places import Counted, Effect, generator, visible, without_place
from edgeval.self_test.project_edits import Edit, ProjectMutation
from edgeval.self_test_record import Mutant
from hls.csim import Build, build_csim
from hls.engine import ExactEngine
from hls.errors import LoweringError, ToolError
from hls.files import atomic_write
from hls.formats import Words
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow.manifest import MANIFEST_FILE, Array, Manifest
from hls.hls4ml_flow.options import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What is true, against which every wrong device is held.

    Attributes:
        graph: The network.
        inputs: Input words.
        words: Of every value, from the exact engine.
        manifest: Of the right project.
        options: The right project's.
        seed: Of all places.
    """

    graph: IntegerGraph
    inputs: Words
    words: Mapping[str, Words]
    manifest: Manifest
    options: ProjectOptions
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A wrong project on disk.

    Attributes:
        mutation: Name of the error.
        made: Where the error is.
        words: Of every value as far as they are known: what the wrong device computes.
        project: Its folder.
        manifest: What hls4ml really wrote; the folder's own manifest names the right network.
    """

    mutation: str
    made: Mutated | Edit
    words: Mapping[str, Words]
    project: Path
    manifest: Manifest

    @property
    def mutated(self) -> Mutated | None:
        """The wrong network, ``None`` where only the project is wrong."""
        return self.made if isinstance(self.made, Mutated) else None

    def changes(self, right: IntegerGraph) -> tuple[WordChange, ...]:
        """Stored words that are wrong."""
        if self.mutated is None:
            return ()
        return tuple(
            WordChange(tensor=name, index=int(index), word=int(tensor.words.flat[index]))
            for name, tensor in self.mutated.graph.tensors.items()
            for index in np.flatnonzero(tensor.words != right.tensors[name].words)
        )

    def is_poked(self, right: IntegerGraph) -> bool:
        """Whether its words, written into the right library, make exactly this device: nothing else is wrong."""
        mutated = self.mutated
        return mutated is not None and mutated.site is None and right.with_words(self.changes(right)) == mutated.graph


def held_to(right: Manifest, written: Manifest) -> Manifest:
    """What the right manifest asks for, under the names that another project of hls4ml's has for the same things.

    hls4ml numbers layers by their kind, too: an audit that only missed a file's name would have seen nothing.
    """
    types = {item.role: item.cpp_type for item in written.types}
    named, constants = _arrays(written), iter([item for item in written.arrays if item.tensor is None])
    ports = {
        name: msgspec.structs.replace(getattr(right, name), cpp_type=getattr(written, name).cpp_type)
        for name in ("input", "output")
    }
    return msgspec.structs.replace(
        right,
        types=tuple(
            msgspec.structs.replace(item, cpp_type=types[item.role]) for item in right.types if item.role in types
        ),
        arrays=tuple(
            msgspec.structs.replace(item, symbol=other.symbol, cpp_type=other.cpp_type)
            for item in right.arrays
            # Constants of hls4ml's own have no name; they lie in data order.
            if (other := next(constants, item) if item.tensor is None else named.get(item.tensor, item))
        ),
        **ports,
    )


def _arrays(manifest: Manifest) -> dict[str, Array]:
    return {item.tensor: item for item in manifest.arrays if item.tensor is not None}


def wrong_device(right: Right, mutation: str, places: Mutation, folder: Path) -> Device | Mutant:
    """Write the project of a network with this error at the first visible place that hls4ml takes."""
    offered = Counted(places(right.graph, generator(right.seed, mutation)))
    refused = ""
    for mutated in visible(offered, lambda item: _effect(right, words_of(item.graph, right.inputs))):
        try:
            manifest = write_project(mutated.graph, folder, right.options)
        except (LoweringError, ToolError) as error:
            refused = refused or f"hls4ml cannot hold it: {error}"
            continue
        _claim(folder, manifest, right.graph)
        words = words_of(mutated.graph, right.inputs)
        return Device(mutation=mutation, made=mutated, words=words, project=folder, manifest=manifest)
    return without_place(mutation, offered.count, "word", refused)


def wrong_project(right: Right, mutation: str, places: ProjectMutation, folder: Path) -> Device | Mutant:
    """Write the right project, and make this error in it at the first visible place."""
    offered = Counted(places(right.graph, right.words, right.manifest, generator(right.seed, mutation)))
    for edit in visible(offered, lambda edit: _effect(right, edit.words)):
        manifest = write_project(right.graph, folder, right.options)
        edit.apply(folder)
        return Device(mutation=mutation, made=edit, words=edit.words, project=folder, manifest=manifest)
    return without_place(mutation, offered.count, "word")


def words_of(graph: IntegerGraph, inputs: Words) -> dict[str, Words]:
    """Words of every value of a network, the input's among them."""
    taps = ExactEngine(graph).run(inputs, tuple(node.output for node in graph.compute_nodes)).taps
    return {graph.quantizer.output: inputs, **taps}


def build_all(
    devices: Sequence[Device], cores: int, advance: Advance, build: Callable[[Path], Build] = build_csim
) -> dict[str, Build]:
    """Compile the projects, several at once.

    Args:
        devices: With the projects.
        cores: Builds at once.
        advance: Told how many are done, and of how many.
        build: Compiles one project.

    Returns:
        Builds by the name of the mutation.

    Raises:
        ToolError: no compiler, or it failed.
    """
    built: dict[str, Build] = {}
    pool = ThreadPoolExecutor(cores)
    try:
        waiting = {pool.submit(build, device.project): device.mutation for device in devices}
        for done in as_completed(waiting):
            built[waiting[done]] = done.result()
            advance(len(built), len(devices))
    finally:
        pool.shutdown(cancel_futures=True)  # interrupted, or one failed: what has not begun does not begin
    return built


def _effect(right: Right, words: Mapping[str, Words]) -> Effect:
    output = right.graph.output
    if not np.array_equal(words[output], right.words[output]):
        return "output"
    same = all(np.array_equal(words[name], right.words[name]) for name in words)
    return "none" if same else "inside"


def _claim(folder: Path, manifest: Manifest, graph: IntegerGraph) -> None:
    """Let a project say it is of another network: nobody would compare it otherwise."""
    claimed = msgspec.structs.replace(manifest, network_digest=digest(graph))
    atomic_write(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(claimed), indent=1))
