"""Derivatives of the loss in stored-word units: gradient, empirical Fisher diagonal, top eigenpairs of the Hessian.

What is differentiated, and what straight-through means for it: ``docs/ranking.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from edgeval.differentiable import Parameters, WordNetwork
from fault_injection.flips import along_channels, value_steps
from hls.errors import UsageError
from hls.formats import Words
from hls.graph import IntegerGraph

ByTensor = dict[str, np.ndarray]
"""One number a stored word, by tensor name, in the shape of the tensor."""

LossKind = Literal["cross-entropy", "squared-error"]
"""``cross-entropy``: of the real outputs as logits, in nat. ``squared-error``: mean over the outputs."""

EIGEN_TOLERANCE = 1e-6
"""Relative accuracy that the Lanczos iteration is asked for."""

_BLOCK_NUMBERS = 1 << 24
"""Per-sample derivatives that are alive at once, in numbers of eight bytes; a few copies of them exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eigenpairs:
    """Largest-magnitude eigenpairs of a loss Hessian, in units of real parameter values.

    Attributes:
        values: Largest magnitude first, in loss per squared unit of value.
        vectors: Orthonormal, one a row, over all stored words in data order.
    """

    values: Float[np.ndarray, " k"]
    vectors: Float[np.ndarray, "k parameters"]


class Sensitivities:
    """The mean loss of a network over some samples, and its derivatives at the stored words.

    Args:
        graph: The network.
        inputs: Input words, samples first.
        labels: Class numbers or target values, one row a sample.
        loss: Which loss.

    Raises:
        UsageError: the network has no derivative; says at which layer.
    """

    def __init__(self, graph: IntegerGraph, inputs: Words, labels: np.ndarray, loss: LossKind) -> None:
        self.network = WordNetwork(graph)
        self.loss_kind = loss
        self.inputs = torch.from_numpy(inputs.astype(np.float64))
        kind = np.int64 if loss == "cross-entropy" else np.float64
        self.labels = torch.from_numpy(labels.reshape(len(labels), -1).astype(kind))
        self.at = self.network.parameters()

    def sample_losses(self, parameters: Parameters, inputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of each sample, shape (samples,)."""
        outputs = self.network.outputs(parameters, inputs)
        if self.loss_kind == "cross-entropy":
            return torch.logsumexp(outputs, dim=1) - outputs.gather(1, labels)[:, 0]
        return ((outputs - labels) ** 2).mean(dim=1)

    def mean_loss(self, parameters: Parameters) -> Tensor:
        """Mean loss over all samples."""
        blocks = [self.sample_losses(parameters, inputs, labels) for inputs, labels in self._blocks(1 << 12)]
        return torch.cat(blocks).mean()

    def gradient(self) -> ByTensor:
        """Derivative of the mean loss by each stored word."""
        variables = self._variables()
        return self._by_tensor(torch.autograd.grad(self.mean_loss(variables), list(variables.values())))

    def fisher_diagonal(self) -> ByTensor:
        """Mean of the squared per-sample derivatives: the diagonal of the empirical Fisher matrix."""

        def loss_of_one(parameters: dict[str, Tensor], inputs: Tensor, labels: Tensor) -> Tensor:
            return self.sample_losses(parameters, inputs[None], labels[None])[0]

        each = torch.func.vmap(torch.func.grad(loss_of_one), in_dims=(None, 0, 0))
        sums = {name: torch.zeros_like(words) for name, words in self.at.items()}
        for inputs, labels in self._blocks(max(1, _BLOCK_NUMBERS // self.size)):
            for name, derivatives in each(self.at, inputs, labels).items():
                sums[name] += (derivatives**2).sum(dim=0)
        return {name: (total / len(self.inputs)).numpy() for name, total in sums.items()}

    def hessian_times(self, direction: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, " parameters"]:
        """Hessian of the mean loss times a vector over all stored words in data order, in stored-word units."""
        variables = self._variables()
        words = list(variables.values())
        along = torch.split(torch.from_numpy(np.ascontiguousarray(direction, np.float64)), [w.numel() for w in words])
        gradients = torch.autograd.grad(self.mean_loss(variables), words, create_graph=True)
        slope = torch.stack([(g.reshape(-1) * v).sum() for g, v in zip(gradients, along, strict=True)]).sum()
        products = torch.autograd.grad(slope, words, materialize_grads=True)
        return np.concatenate([product.reshape(-1).numpy() for product in products])

    def top_eigenpairs(self, count: int, rng: np.random.Generator) -> Eigenpairs:
        """Eigenpairs of largest magnitude, in units of real values as FKeras has them.

        SciPy's ``eigsh`` (ARPACK, implicitly restarted Lanczos) keeps its basis orthogonal over all parameters
        together, so no pair comes twice; ``docs/ranking.md`` says why not PyHessian.

        Args:
            count: How many, at least 1 and fewer than there are stored words.
            rng: Source of the start vector.

        Raises:
            UsageError: ``count`` is out of range.
        """
        if not 1 <= count < self.size:
            raise UsageError(
                found=str(count),
                allowed=f"1 to {self.size - 1}",
                where="eigenpairs",
                remedy="ask for fewer pairs than there are stored words",
            )
        steps = flat({name: value_steps(tensor) for name, tensor in self.network.graph.tensors.items()})
        operator: Any = LinearOperator(
            (self.size, self.size), matvec=lambda v: self.hessian_times(v.reshape(-1) / steps) / steps, dtype=np.float64
        )
        start = rng.standard_normal(self.size)
        values, vectors = eigsh(operator, k=count, which="LM", v0=start, tol=EIGEN_TOLERANCE)
        order = np.argsort(-np.abs(values), kind="stable")
        return Eigenpairs(values=values[order], vectors=np.ascontiguousarray(vectors.T[order]))

    @property
    def size(self) -> int:
        """How many stored words there are."""
        return sum(words.numel() for words in self.at.values())

    def _variables(self) -> dict[str, Tensor]:
        return {name: words.clone().requires_grad_() for name, words in self.at.items()}

    def _blocks(self, samples: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(torch.split(self.inputs, samples), torch.split(self.labels, samples), strict=True)

    def _by_tensor(self, gradients: tuple[Tensor, ...]) -> ByTensor:
        return {name: gradient.numpy() for name, gradient in zip(self.at, gradients, strict=True)}


def flat(by_tensor: dict[str, np.ndarray]) -> Float[np.ndarray, " parameters"]:
    """Numbers of all stored words as one vector, in data order."""
    return np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in by_tensor.values()])


def by_tensor_of(graph: IntegerGraph, vector: Float[np.ndarray, " parameters"]) -> ByTensor:
    """The reverse of ``flat``: one vector over all stored words, tensor by tensor."""
    ends = np.cumsum([tensor.words.size for tensor in graph.tensors.values()])
    parts = np.split(vector, ends[:-1])
    return {
        name: part.reshape(tensor.words.shape)
        for (name, tensor), part in zip(graph.tensors.items(), parts, strict=True)
    }


def value_words(graph: IntegerGraph) -> Float[np.ndarray, " parameters"]:
    """Real values of all stored words, in data order."""
    return flat(
        {
            name: (tensor.words - np.asarray(along_channels(tensor, tensor.zero_point))) * value_steps(tensor)
            for name, tensor in graph.tensors.items()
        }
    )
