"""Records of missions for the tests of the report."""

from __future__ import annotations

from edgeval.mission_record import MissionRecord
from edgeval.run_record import Fingerprint
from fault_injection.mission import NOT_MODELLED, Mission, Sensitivity, outlook


def mission_record(*, period: float = 10.0, multi_bit_share: float = 0.0, harmful: int = 1_000) -> MissionRecord:
    """10,600 bits in 10^6 particles /cm²/s, each flip changing 1 % of the decisions on average."""
    mission = Mission(cross_section=3e-14, flux=1e6, period=period, multi_bit_share=multi_bit_share)
    bits = Sensitivity(bits=10_600, changed=106.0, right_to_wrong=90.0, harmful=harmful)
    return MissionRecord(
        fingerprint=Fingerprint(command="mission", configuration={}, seeds={}, versions={}, digests={}),
        campaign="0123456789abcdef",
        bits=10_600,
        stored_bits=10_600,
        samples=360,
        cross_section=3e-14,
        flux=1e6,
        period=period,
        scrubbed=True,
        duration=None,
        devices=1,
        multi_bit_share=multi_bit_share,
        harmful_share=0.0,
        harmful_bits=harmful,
        changed=106.0,
        device=outlook(mission, bits),
        upsets=None,
        failures=None,
        no_failure=None,
        not_modelled=NOT_MODELLED,
    )
