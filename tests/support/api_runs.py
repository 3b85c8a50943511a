"""The small network that tests of the Python API export, compare and break."""

from __future__ import annotations

from support.networks import Mlp

from edgeval.evaluation import network_outputs

RECIPE = Mlp(widths=(5, 4, 4), weight_bits=3, bias_bits=6, seed=2)
INPUTS = RECIPE.inputs(40)
LABELS = network_outputs(RECIPE.graph(), INPUTS).argmax(axis=1)
