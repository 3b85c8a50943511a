"""Sections about what was made of a run's faults: rankings, error rates, worst flips, hardening, missions."""

from __future__ import annotations

from collections.abc import Callable

from edgeval.records import Fingerprint
from edgeval.report.error_rate_section import error_rates
from edgeval.report.figures import Draw
from edgeval.report.hardening_section import hardening
from edgeval.report.markup import Markup
from edgeval.report.mission_section import mission_section
from edgeval.report.ranking_section import ranked
from edgeval.report.sections import PageSection
from edgeval.report.view import RunView
from edgeval.report.worst_flips_section import worst_flips_found


def study_sections(view: RunView, anchor: str, draw: Draw) -> list[PageSection]:
    """The sections of the studies that a run has records of, in the order of the page.

    Args:
        view: The run.
        anchor: Of the run.
        draw: Places a figure; figures are numbered in the order in which it is called.
    """
    found: list[PageSection] = []

    def add(name: str, title: str, of: str, fingerprint: Fingerprint, make: Callable[[str], Markup]) -> None:
        place = f"{anchor}-{name}"
        found.append(PageSection(anchor=place, title=title, markup=make(place), of=of, fingerprint=fingerprint))

    if (ranking := view.ranking) is not None:
        title = "Ranked bits"
        add("ranking", title, "the ranking", ranking.record.fingerprint, lambda at: ranked(ranking, at, title, draw))
    if (rates := view.error_rates) is not None:
        add(
            "error-rates", "Bit error rates", "the bit error rates", rates.fingerprint,
            lambda at: error_rates(rates, at, draw),
        )  # fmt: skip
    if (flips := view.worst_flips) is not None:
        add(
            "worst-flips", "Worst flips", "the worst flips", flips.fingerprint,
            lambda at: worst_flips_found(flips, at, draw),
        )  # fmt: skip
    if (hardened := view.hardening) is not None:
        add("hardening", "Hardening", "the hardening", hardened.fingerprint, lambda at: hardening(hardened, at, draw))
    if (mission := view.mission) is not None:
        add("mission", "Mission", "the mission", mission.fingerprint, lambda at: mission_section(mission, at, draw))
    return found
