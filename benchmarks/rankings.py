"""How near does each ranking come to the exhaustive oracle?

For every network and seed: train with 6-bit weights and activations through the project's own training, take gradients
on the training part, measure the rise of the cross-entropy for *every* stored bit on the test part, and score every
ranking against that. Prints one table a network: means over the seeds with 95 % intervals (Student t over seeds).

digits 64-16-16-10 and 64-64-32-32-10 are real data, the second also trained without dropout and weight decay;
16-64-32-32-5 is shaped like the jet tagger but trained on a seeded synthetic mixture, and labelled so.

    python benchmarks/rankings.py
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy import stats

from edgeval.architecture import perceptron
from edgeval.bit_ranking import HessianOptions, Ranker
from edgeval.brevitas_export import export_brevitas
from edgeval.metrics import CROSS_ENTROPY
from edgeval.quantize import Recipe
from edgeval.sensitivities import Sensitivities
from edgeval.targets.digits import DIGITS
from edgeval.targets.jets import FEATURES, JETS, input_values
from edgeval.targets.protocol import Split, Splits, Standardisation, Target, TrainingDefaults, random_splits
from edgeval.training import train_target
from fault_injection.adaptive import adaptive_order, bit_lists
from fault_injection.fault_list import StoredBits
from fault_injection.flips import Flips, flips_of
from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.ranking import METHODS, Ranking, by_damage
from fault_injection.ranking_score import harm, score_ranking
from fault_injection.sites import all_sites
from hls.graph import IntegerGraph
from hls.lowering import lower

CLUSTERS = 4
"""Gaussian clusters a class of the synthetic set: no class is linearly separable."""


class SyntheticJets:
    """16 features, five classes, each a seeded mixture of Gaussian clusters. Not physics."""

    def __init__(self) -> None:
        self.training = TrainingDefaults(
            float_epochs=40, quantized_epochs=15, learning_rate=3e-3, quantized_learning_rate=1e-3,
            weight_decay=1e-3, dropout=0.0, batch_samples=128, patience=15,
        )  # fmt: skip

    def __getattr__(self, name: str) -> object:
        return getattr(JETS, name)

    def splits(self, seed: int) -> Splits:
        """4,000 samples, 65 : 10 : 25."""
        rng = np.random.default_rng(seed)
        centres = rng.normal(0, 0.9, (5, CLUSTERS, len(FEATURES)))
        labels = rng.integers(0, 5, 4_000)
        features = centres[labels, rng.integers(0, CLUSTERS, len(labels))] + rng.normal(0, 1, (4_000, len(FEATURES)))
        unit = Standardisation(mean=features.mean(axis=0), deviation=features.std(axis=0))
        return random_splits(input_values(features, unit), labels, shares=(0.65, 0.1), seed=seed)


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is trained."""

    name: str
    target: Target
    source: str
    widths: tuple[int, ...]


class PlainDigits:
    """The digits, trained without dropout and weight decay, and a third of them kept for the test.

    Regularised training leaves so little harm to find that chance in 359 images decides; this is the other end.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.training = replace(target.training, dropout=0.0, weight_decay=0.0, quantized_epochs=15)

    def __getattr__(self, name: str) -> object:
        return getattr(self.target, name)

    def splits(self, seed: int) -> Splits:
        """57 : 10 : 33, so that 593 images are left to measure damage on."""
        parts = self.target.splits(seed)
        inputs, labels = (
            np.concatenate([getattr(part, name) for part in (parts.train, parts.validation, parts.test)])
            for name in ("inputs", "labels")
        )
        return random_splits(inputs, labels, shares=(0.57, 0.1), seed=seed)


def networks() -> list[Network]:
    """Those of the benchmark."""
    deep, shallow = (64, 64, 32, 32, 10), (64, 16, 16, 10)
    return [
        *(
            Network(
                name=f"digits {'-'.join(map(str, widths))}",
                target=replace(DIGITS, architecture=perceptron(widths)),
                source="digits",
                widths=widths,
            )
            for widths in (shallow, deep)
        ),
        Network(
            name="digits 64-64-32-32-10, trained plainly",
            target=PlainDigits(replace(DIGITS, architecture=perceptron(deep))),
            source="digits",
            widths=deep,
        ),
        Network(name="synthetic 16-64-32-32-5", target=SyntheticJets(), source="jets", widths=(16, 64, 32, 32, 5)),
    ]


def integer_network(network: Network, seed: int, epochs: int | None) -> tuple[IntegerGraph, Splits, float]:
    """Train and lower one network; also its accuracy on the test part."""
    recipe = Recipe(weight_bits=6, activation_bits=6)
    trained = train_target(network.target, recipe, seed=seed, epochs=epochs)
    record = SimpleNamespace(architecture=trained.architecture, source=network.source)
    graph = lower(export_brevitas(trained.quantized_model, record))
    return graph, trained.splits, trained.quantized_metric


def judge_on(graph: IntegerGraph, part: Split) -> Judge:
    """Cross-entropy on one part of the data."""
    return Judge(
        golden=golden_run(graph, graph.quantize_inputs(part.inputs)),
        decision=Decision(kind="argmax"),
        labels=part.labels,
        per_sample=CROSS_ENTROPY.per_sample,
        finish=CROSS_ENTROPY.finish,
    )


def exhaustive(judge: Judge, flips: Flips) -> np.ndarray:
    """Rise of the cross-entropy under every single flip, in nat."""
    outcomes = StoredBits(sites=flips.sites, model="flip").judge(judge, detail="full", threads=1)
    return outcomes["metric_change"].to_numpy()


def measure(network: Network, seed: int, epochs: int | None) -> dict[str, object]:
    """Score every ranking on one network."""
    started = time.monotonic()
    graph, splits, accuracy = integer_network(network, seed, epochs)
    trained = time.monotonic() - started
    sites = all_sites(graph)
    flips = flips_of(graph, sites)
    started = time.monotonic()
    damage = exhaustive(judge_on(graph, splits.test), flips)
    seconds = time.monotonic() - started
    calibration = judge_on(graph, splits.train)
    started = time.monotonic()
    elsewhere = by_damage(exhaustive(calibration, flips))
    seconds_elsewhere = time.monotonic() - started
    sensitivities = Sensitivities(graph, calibration.golden.inputs, splits.train.labels, "cross-entropy")
    ranker = Ranker(flips, calibration, lambda: sensitivities, seed=seed)
    rankings: dict[str, tuple[Ranking, float]] = {}
    for method in METHODS:
        begun = time.monotonic()
        rankings[method] = (ranker.ranking(method), time.monotonic() - begun)
    ranker.hessian = HessianOptions(power=1)
    rankings["hessian, power 1"] = (ranker.ranking("hessian"), 0.0)
    ranker.hessian = HessianOptions(strategy="max")
    rankings["hessian, max"] = (ranker.ranking("hessian"), 0.0)
    hessian = rankings["hessian"][0]
    harms = harm(damage)
    order = adaptive_order(bit_lists(flips, hessian), lambda row: float(harms[row]))
    rankings["adaptive (measures every bit)"] = (Ranking(method="adaptive", order=order, score=damage), seconds)
    rankings["exhaustive on the training part"] = (elsewhere, seconds_elsewhere)
    rankings["oracle"] = (by_damage(damage), seconds)
    rows = {
        name: {**asdict(score_ranking(damage, ranking.order)), "seconds": spent}
        for name, (ranking, spent) in rankings.items()
    }
    return {
        "network": network.name, "seed": seed, "accuracy": accuracy, "bits": len(sites),
        "test": len(splits.test.inputs), "train": len(splits.train.inputs), "training seconds": trained,
        "harm": float(harms.sum()), "improvement": float((harms - damage).sum()), "methods": rows,
    }  # fmt: skip


def interval(values: list[float]) -> str:
    """Mean and half-width of the 95 % interval over seeds."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def write_table(results: list[dict]) -> None:
    """One Markdown table of one network, best ranking first."""
    first = results[0]
    accuracies = [result["accuracy"] for result in results]
    print(
        f"\n### {first['network']}\n\n{len(results)} seeds; {min(r['bits'] for r in results):,} to "
        f"{max(r['bits'] for r in results):,} stored bits; gradients on {first['train']:,} samples, damage on "
        f"{first['test']:,} others; accuracy {min(accuracies):.1%} to {max(accuracies):.1%}; flips that improve the "
        f"loss give back {interval([r['improvement'] / r['harm'] for r in results])} of the harm.\n"
    )
    print("| ranking | area | area, as measured | worst 1 % | worst 10 % | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    names = sorted(first["methods"], key=lambda n: -np.mean([r["methods"][n]["area"] for r in results]))
    for name in names:
        rows = [result["methods"][name] for result in results]
        cells = [interval([row[key] for row in rows]) for key in ("area", "area_as_measured", "worst_1", "worst_10")]
        print(f"| {name} | {' | '.join(cells)} | {np.median([row['seconds'] for row in rows]):.2f} |")


def main() -> None:
    """Measure all networks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each network")
    parser.add_argument("--epochs", type=int, default=None, help="quantized epochs; the target's own if left out")
    parser.add_argument("--only", default="", help="networks whose name has this in it")
    parser.add_argument("--json", type=Path, default=None, help="also write every number here")
    arguments = parser.parse_args()
    everything = []
    for network in networks():
        if arguments.only not in network.name:
            continue
        results = [measure(network, seed, arguments.epochs) for seed in range(arguments.seeds)]
        everything += results
        write_table(results)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
