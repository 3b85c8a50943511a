"""The integer network: frozen nodes, stored tensors and the values between them, by name.

``IntegerGraph`` says in integers what the hardware computes. It is a value: lowering makes it, executors read it,
fault injection derives changed copies. See ``docs/integer-network.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int

from hls.errors import InputError, UsageError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat, Words, smallest_format
from hls.host import HostStep, quantize, run_tail
from hls.nodes import Node, Quantize, inputs_of, tensors_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredTensor:
    """Words the hardware stores: weights, biases, thresholds, tables. These, and no others, have fault sites.

    Attributes:
        name: As shown by ``edgeval export``, e.g. ``fc1.weight``.
        words: int64; MatMul weights as [inputs, outputs], Conv weights as [outputs, inputs / groups, kernel...], biases
            as [outputs], thresholds and tables as [1 or channels, entries]. Read-only.
        format: Of the stored word, in the quantizer's own width.
        scale: Real value of one unit, shape () or one a channel.
        widen: Left shift from stored word to executor word, shape () or one a channel: per-channel powers of two
            become one common scale this way, while sites stay with the stored words.
        zero_point: Taken off the stored word before it is widened, shape () or one a channel.
        channel_axis: Axis of ``words`` that the channels lie on.
    """

    name: str
    words: Int[np.ndarray, "..."]
    format: WordFormat
    scale: Float[np.ndarray, "..."]
    widen: Int[np.ndarray, "..."]
    zero_point: Int[np.ndarray, "..."] = field(default_factory=lambda: np.asarray(0))
    channel_axis: int = -1

    def __post_init__(self) -> None:
        self.format.require(self.words, self.name)
        if self.format.width_bits + int(np.max(self.widen)) > MAXIMUM_WIDTH_BITS:
            raise InputError(
                found=f"{self.format.width_bits}-bit words widened by {int(np.max(self.widen))} bits",
                allowed=f"at most {MAXIMUM_WIDTH_BITS} bits",
                where=self.name,
                remedy="retrain with scales whose ratio is smaller, or per tensor",
            )
        self.words.setflags(write=False)

    def executor_words(self) -> Words:
        """The words as the multipliers see them: stored words without zero point, moved to the common scale."""
        return self.to_executor(self.words)

    def to_executor(self, words: Words) -> Words:
        """Executor words of stored words that lie as this tensor's own do."""
        zero_point, widen = self._along(self.zero_point), self._along(self.widen)
        return np.asarray(np.left_shift(words - zero_point, widen))

    def executor_word(self, index: int, word: int) -> int:
        """Executor word of one stored word at a flat index."""
        channel = np.unravel_index(index, self.words.shape)[self.channel_axis] if self.words.ndim else 0
        zero_point, widen = (int(a) if a.ndim == 0 else int(a[channel]) for a in (self.zero_point, self.widen))
        return (word - zero_point) << widen

    @property
    def executor_minimum(self) -> Words:
        """Smallest executor word any stored word can become, shape () or one a channel."""
        return np.asarray(np.left_shift(np.int64(self.format.minimum) - self.zero_point, self.widen))

    @property
    def executor_maximum(self) -> Words:
        """Largest executor word any stored word can become, shape () or one a channel."""
        return np.asarray(np.left_shift(np.int64(self.format.maximum) - self.zero_point, self.widen))

    @property
    def executor_format(self) -> WordFormat:
        """Narrowest hardware format of the executor words of every word that can be stored."""
        widen = int(np.max(self.widen))
        if np.any(self.zero_point):
            low, high = int(np.min(self.executor_minimum)), int(np.max(self.executor_maximum))
            return smallest_format(low, high)
        hardware = self.format.hardware
        return WordFormat(width_bits=hardware.width_bits + widen, encoding=hardware.encoding)

    def _along(self, values: Words) -> Words:
        """Per-channel values shaped so that they broadcast along the channel axis."""
        if values.ndim == 0 or self.channel_axis in (-1, self.words.ndim - 1):
            return values
        return values.reshape(-1, *(1 for _ in range(self.words.ndim - 1 - self.channel_axis)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredTensor):
            return NotImplemented
        return (
            (self.name, self.format, self.channel_axis) == (other.name, other.format, other.channel_axis)
            and np.array_equal(self.words, other.words)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.widen, other.widen)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays; compare, do not hash


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Value:
    """What flows between two nodes.

    Attributes:
        shape: Of one sample, without the batch axis.
        format: Of the words; ``None`` for the float input of the network.
        scale: Real value of one unit, shape () or one a channel (last axis).
    """

    shape: tuple[int, ...]
    format: WordFormat | None
    scale: Float[np.ndarray, "..."]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return (self.shape, self.format) == (other.shape, other.format) and np.array_equal(self.scale, other.scale)

    __hash__ = None  # type: ignore[assignment]  # holds arrays; compare, do not hash


@dataclass(frozen=True, slots=True, kw_only=True)
class WordChange:
    """One stored word replaced.

    Attributes:
        tensor: Name of the stored tensor.
        index: Flat index into its words, C order.
        word: The new word, legal in the tensor's format.
    """

    tensor: str
    index: int
    word: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerGraph:
    """The network as hardware computes it.

    Attributes:
        nodes: In data order; the first is the input ``Quantize``.
        tensors: Stored words by name, in data order.
        values: What flows between the nodes, by name.
        input: Name of the float input value.
        output: Name of the last word value; everything after it is float arithmetic on the host.
        tail: What the host does with the real output values, in order.
        output_axes: Permutation that lays the output out as the original graph does; empty for none.
        notes: What lowering took for equal or set aside, in words for people; empty when nothing was.
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, StoredTensor]
    values: Mapping[str, Value]
    input: str
    output: str
    tail: tuple[HostStep, ...] = ()
    output_axes: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @property
    def quantizer(self) -> Quantize:
        """The input quantizer, which runs on the host once for all executors."""
        first = self.nodes[0]
        assert isinstance(first, Quantize), "lowering puts the input quantizer first"
        return first

    @property
    def compute_nodes(self) -> tuple[Node, ...]:
        """All nodes that run on the device, in data order."""
        return self.nodes[1:]

    @property
    def output_scale(self) -> Float[np.ndarray, "..."]:
        """Real value of one unit of the output words."""
        return self.values[self.output].scale

    def output_values(self, words: Words) -> Float[np.ndarray, "..."]:
        """Output words as real values: scale, then the host's float tail.

        Args:
            words: Output words, samples first.

        Returns:
            float64, samples first, laid out as the original graph's output.
        """
        values = run_tail(self.tail, np.asarray(words.astype(np.float64) * self.output_scale))
        if not self.output_axes:
            return values
        return values.transpose(0, *(axis + 1 for axis in self.output_axes))

    def quantize_inputs(self, values: np.ndarray) -> Words:
        """Turn real inputs into input words, in float64, as every executor will get them.

        Args:
            values: Real numbers of any numeric type, samples first, then the input's shape; anything else is refused.

        Returns:
            Words, samples first, channels last.

        Raises:
            InputError: wrong shape, a non-numeric type, NaN or infinity, naming the first index.
        """
        _require_inputs(values, self.values[self.input].shape)
        return quantize(self.quantizer, values)

    def producer_of(self, value: str) -> Node:
        """The node that computes a value."""
        return next(node for node in self.nodes if node.output == value)

    def consumers_of(self, value: str) -> tuple[Node, ...]:
        """The nodes that read a value, in data order; none for the output of a chain."""
        return tuple(node for node in self.nodes if value in inputs_of(node))

    def owner_of(self, tensor: str) -> Node:
        """The node that uses a stored tensor."""
        for node in self.nodes:
            if tensor in tensors_of(node):
                return node
        raise self.unknown_tensor(tensor)

    def unknown_tensor(self, tensor: str) -> UsageError:
        """The error for a tensor name this network does not have."""
        return UsageError(
            found=f"no stored tensor {tensor!r}",
            allowed=", ".join(self.tensors),
            where="tensor name",
            remedy="use a name that `edgeval export` lists",
        )

    def with_words(self, changes: Sequence[WordChange]) -> IntegerGraph:
        """The same network with some stored words replaced; the original is untouched.

        Raises:
            UsageError: unknown tensor or index. FormatError: a word its format cannot hold.
        """
        changed: dict[str, Words] = {}
        for change in changes:
            if change.tensor not in self.tensors:
                raise self.unknown_tensor(change.tensor)
            words = changed.setdefault(change.tensor, self.tensors[change.tensor].words.copy())
            require_index(self.tensors[change.tensor], change.index)
            words.flat[change.index] = change.word
        tensors = {
            name: replace(tensor, words=changed[name]) if name in changed else tensor
            for name, tensor in self.tensors.items()
        }
        return replace(self, tensors=tensors)


def require_index(tensor: StoredTensor, index: int) -> None:
    """Refuse a flat index outside a stored tensor."""
    if not 0 <= index < tensor.words.size:
        raise UsageError(
            found=f"index {index}",
            allowed=f"0 to {tensor.words.size - 1} (shape {list(tensor.words.shape)}, C order)",
            where=tensor.name,
            remedy="give an index inside the tensor",
        )


def _require_inputs(values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.dtype.kind not in "fiub":
        raise InputError(
            found=f"dtype {values.dtype}",
            allowed="floating-point or integer numbers",
            where="inputs",
            remedy="save the inputs as float32",
        )
    if values.ndim < 1 or values.shape[1:] != shape:
        raise InputError(
            found=f"shape {list(values.shape)}",
            allowed=f"[samples, {', '.join(map(str, shape))}]",
            where="inputs",
            remedy="put samples first and give each the network's input shape",
        )
    if values.shape[0] == 0:
        raise InputError(
            found="0 samples", allowed="at least one sample", where="inputs", remedy="give a non-empty evaluation set"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        index = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            found=str(values[tuple(index)]),
            allowed="finite numbers",
            where=f"inputs[{', '.join(map(str, index))}]",
            remedy="remove or repair that sample",
        )
