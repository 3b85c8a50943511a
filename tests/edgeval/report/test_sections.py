from __future__ import annotations

from edgeval.report.sections import recipe_sentence
from edgeval.targets.digits import DIGITS
from edgeval.targets.mnist import MNIST


def test_a_perceptron_is_told_by_its_widths_and_anything_else_by_its_layers() -> None:
    assert str(recipe_sentence(None, DIGITS.architecture)).startswith("Layers 64 → 64 → 32 → 10. ")
    assert str(recipe_sentence(None, MNIST.architecture)).startswith("Layers: image 1×28×28, conv 8@3×3, norm, ")
    assert str(recipe_sentence(None, None)).startswith("A third-party graph")
