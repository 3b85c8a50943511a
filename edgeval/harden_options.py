"""What hardening can be asked for; light, because the command line builds its help from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class HardenOptions:
    """What to protect, by which damage, and how much of it is tried; see ``docs/commands/harden.md``."""

    budget: str = "10%"
    """Bits that may be added: a number, or a share of the stored bits such as 10%."""
    scheme: Literal["auto", "tmr", "secded", "parity", "parity-reload", "msb-duplication", "clip", "sign-magnitude"] = (
        "auto"
    )
    """What may be chosen from; auto is the best mix."""
    damage: Literal["decisions", "metric", "critical"] = "decisions"
    """What a fault costs: decisions changed, change of the metric for the worse, or whether it is critical."""
    campaign: str | None = None
    """Identity of the campaign to use where the run has several that judge every bit."""
    check: int = 100
    """Repeat N random flips of the hardened memory by plain runs of the network."""
    held_out: int | None = None
    """Judge the plan on N further samples of the run, which the campaign did not use."""
    verify_on_csim: int | None = None
    """Build the hardened project; flip N triplicated and N other bits in its C-simulation."""
    seed: int = 0
    """Seed of --check and --verify-on-csim."""
    workers: int | None = None
    """Worker processes of the C-simulation."""
