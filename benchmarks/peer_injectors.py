"""Faults in weights, one at a time, by other tools: run inside their own environment by ``fault_campaigns.py``.

    python peer_injectors.py {pytorchfi|mrfi|torch} network.npz faults.npz SECONDS THREADS

The network's words are float32 numbers in ``torch.nn.Linear`` layers, exact because no partial sum reaches 2^24; the
driver checks that. Every way injects the stored-word flip that edgeval judges: PyTorchFI and the plain loop are given
the faulty word, MRFI flips the bit itself. Each injection runs all samples in one batch and counts changed arg-max
decisions. Prints JSON: seconds of every injection, and its count.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Inject = Callable[[int], Tensor]
"""Number of a fault → outputs of all samples under it."""


class Shift(nn.Module):
    """ReLU and requantization, ties to even."""

    def __init__(self, shift: int, high: int) -> None:
        super().__init__()
        self.scale, self.high = 2.0**-shift, float(high)

    def forward(self, sums: Tensor) -> Tensor:
        """Words of the next layer."""
        return torch.round(sums * self.scale).clamp_(0, self.high)


def load(path: str) -> tuple[nn.Sequential, Tensor]:
    """The network and its input words."""
    arrays = np.load(path)
    modules: list[nn.Module] = []
    shifts = arrays["shifts"].tolist()
    for position, shift in enumerate(shifts):
        weight, bias = (torch.tensor(arrays[f"{kind}{position}"], dtype=torch.float32) for kind in ("weight", "bias"))
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.T.contiguous(), bias
        modules.append(layer)
        if position < len(shifts) - 1:
            modules.append(Shift(shift, int(arrays["high"])))
    return nn.Sequential(*modules), torch.tensor(arrays["inputs"], dtype=torch.float32)


def plain(model: nn.Sequential, inputs: Tensor, faults: dict[str, list[int]]) -> Inject:
    """Write the faulty word, forward, put the word back."""
    linear = [module for module in model if isinstance(module, nn.Linear)]

    def inject(number: int) -> Tensor:
        weight = linear[faults["layer"][number]].weight.data
        place = (faults["output"][number], faults["input"][number])
        golden = weight[place].item()
        weight[place] = faults["word"][number]
        outputs = model(inputs)
        weight[place] = golden
        return outputs

    return inject


def pytorchfi(model: nn.Sequential, inputs: Tensor, faults: dict[str, list[int]]) -> Inject:
    """PyTorchFI's declare_weight_fi: a copy of the model with one value replaced."""
    from pytorchfi.core import fault_injection

    injector = fault_injection(
        model, len(inputs), input_shape=list(inputs.shape[1:]), layer_types=[nn.Linear], use_cuda=False
    )

    def inject(number: int) -> Tensor:
        corrupted = injector.declare_weight_fi(
            layer_num=[faults["layer"][number]],
            k=[faults["output"][number]],
            dim1=[faults["input"][number]],
            dim2=[None],
            dim3=[None],
            value=[float(faults["word"][number])],
        )
        return corrupted(inputs)

    return inject


def mrfi(model: nn.Sequential, inputs: Tensor, faults: dict[str, list[int]]) -> Inject:
    """MRFI's fixed position and fixed bit on integer weights; one layer enabled at a time."""
    from mrfi import MRFI, EasyConfig

    bits = faults["bits"][0]
    config = EasyConfig(
        {
            "faultinject": [
                {
                    "type": "weight",
                    "enabled": True,
                    "selector": {"method": "FixPosition", "position": 0},
                    "error_mode": {"method": "IntFixedBitFlip", "bit_width": bits, "bit": 0},
                    "module_type": "Linear",
                }
            ]
        }
    )
    shapes = [tuple(module.weight.shape) for module in model if isinstance(module, nn.Linear)]
    wrapped = MRFI(model, config)
    layers = wrapped.get_weights_configs()
    selectors, modes = wrapped.get_weights_configs("selector.args"), wrapped.get_weights_configs("error_mode.args")

    def inject(number: int) -> Tensor:
        layer = faults["layer"][number]
        # Every layer's words are put back by MRFI only while it is enabled, so the others flip nothing instead.
        for position in range(len(layers)):
            layers[position]["selector"]["method"] = "FixPosition" if position == layer else "EmptySelector"
            selectors[position].raw_dict.clear()
        selectors[layer].raw_dict["position"] = faults["output"][number] * shapes[layer][1] + faults["input"][number]
        modes[layer].raw_dict["bit"] = faults["bit"][number]
        return wrapped(inputs)

    return inject


WAYS = {"pytorchfi": pytorchfi, "mrfi": mrfi, "torch": plain}


def main() -> None:
    """Inject until the time is over, at least three faults."""
    way, network, listed, seconds, threads = sys.argv[1:]
    logging.disable(logging.WARNING)
    torch.set_num_threads(int(threads))
    model, inputs = load(network)
    faults = {name: values.tolist() for name, values in np.load(listed).items()}
    with torch.no_grad():
        golden = model(inputs).argmax(dim=1)
        inject = WAYS[way](model, inputs, faults)
        inject(0)  # the first one prepares what later ones reuse
        times, changed = [], []
        for number in range(len(faults["layer"])):
            started = time.perf_counter()
            count = int((inject(number).argmax(dim=1) != golden).sum())
            times.append(time.perf_counter() - started)
            changed.append(count)
            if len(times) >= 3 and sum(times) > float(seconds):
                break
    print(json.dumps({"seconds": times, "changed": changed}))


if __name__ == "__main__":
    main()
