"""Make what the module does not bring: inputs with labels, and a checkpoint. Your own training takes this place.

Run it in this folder: ``python prepare.py``. It writes ``pulses.npz`` and ``model.pt``.
"""

from __future__ import annotations

import numpy as np
import torch
from model import CLASSES, TICKS, make_model
from torch import nn

STEPS, BATCH, SAMPLES = 300, 64, 300


def make_pulses(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pulses at one of three places; returns inputs, shape (samples, 16), and class numbers."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, samples)
    centres = 3.0 + 4.0 * labels + rng.uniform(-2.0, 2.0, samples)
    pulses = np.exp(-0.5 * ((np.arange(TICKS) - centres[:, None]) / 1.5) ** 2)
    return np.clip(pulses + rng.normal(0.0, 0.1, pulses.shape), 0.0, None).astype(np.float32), labels


def main() -> None:
    """Train for a few seconds and write both files."""
    torch.manual_seed(0)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(STEPS):
        pulses, labels = make_pulses(BATCH, seed=1000 + step)
        loss = nn.functional.cross_entropy(model(torch.from_numpy(pulses)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(model.state_dict(), "model.pt")
    inputs, classes = make_pulses(SAMPLES, seed=1)
    np.savez("pulses.npz", inputs=inputs, labels=classes)


if __name__ == "__main__":
    main()
