"""Hardening: which stored bits to protect under a budget, and proof that what remains is what was predicted."""

from fault_injection.hardening.damage import Assessor, Measure, total
from fault_injection.hardening.prices import StoredDamage, damages_of
from fault_injection.hardening.schemes import SCHEMES, ParetoPoint, Plan, SchemeName, make_plan, pareto
from fault_injection.hardening.verify import Verification, judged_damage, verify

__all__ = [
    "SCHEMES", "Assessor", "Measure", "ParetoPoint", "Plan", "SchemeName", "StoredDamage", "Verification",
    "damages_of", "judged_damage", "make_plan", "pareto", "total", "verify",
]  # fmt: skip
