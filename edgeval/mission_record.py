"""What ``edgeval mission`` found, as it stands in ``records/mission.json``."""

from __future__ import annotations

from edgeval.run_record import Fingerprint, RecordPart
from fault_injection.mission import Outlook


class MissionRecord(RecordPart, frozen=True, tag="edgeval.mission/1"):
    """``records/mission.json``: a campaign's sensitivities, folded with the rate of upsets.

    Attributes:
        campaign: Identity of the campaign whose exact outcomes were used.
        bits: Stored bits it judged, of ``stored_bits`` that the network has.
        samples: It was judged on so many.
        cross_section: cm² a bit.
        flux: 1/cm²/s.
        period: Seconds between two rewritings: the scrub period, or without scrubbing the whole mission.
        scrubbed: Whether it is the former.
        duration: Seconds of the mission; ``None`` where none was given.
        devices: How many fly; ``device`` is of one of them.
        multi_bit_share: Share of the upsets that flip several bits at once.
        harmful_share: A bit is harmful where its flip changes more than this share of the decisions.
        harmful_bits: How many are.
        changed: Sum over the bits of the share of decisions that each flip changes.
        device: What one device has to expect.
        upsets, failures: Expected over the mission in all devices together; ``None`` without a duration.
        no_failure: Chance that no device fails during the mission; ``None`` without a duration.
        not_modelled: What these figures leave out.
    """

    fingerprint: Fingerprint
    campaign: str
    bits: int
    stored_bits: int
    samples: int
    cross_section: float
    flux: float
    period: float
    scrubbed: bool
    duration: float | None
    devices: int
    multi_bit_share: float
    harmful_share: float
    harmful_bits: int
    changed: float
    device: Outlook
    upsets: float | None
    failures: float | None
    no_failure: float | None
    not_modelled: tuple[str, ...]
