"""The sections of one run, in the order of the page: what it is, what was compared, what faults do, what is missing."""

from __future__ import annotations

from edgeval.fingerprint import identity
from edgeval.report.comparison_section import comparison
from edgeval.report.emulator_section import emulator_section
from edgeval.report.fault_section import campaign
from edgeval.report.figures import Draw
from edgeval.report.layer_section import layers
from edgeval.report.matrix_section import matrix_section
from edgeval.report.missing_section import missing_section, not_made
from edgeval.report.plan_section import plan_section
from edgeval.report.regression_section import regression_section
from edgeval.report.sections import PageSection, overview, provenance
from edgeval.report.self_test_section import self_test_section
from edgeval.report.studies import study_sections
from edgeval.report.view import CampaignView, RunView


def run_sections(view: RunView, anchor: str, draw: Draw) -> list[PageSection]:
    """Everything the page shows about a run.

    Args:
        view: The run.
        anchor: Of the run.
        draw: Places a figure; figures are numbered in the order in which it is called.
    """
    place = f"{anchor}-overview"
    found = [
        PageSection(
            anchor=place, title="Overview", markup=overview(view, place), of="the run", fingerprint=view.run.fingerprint
        ),
        *_comparisons(view, anchor, draw),
        *_campaigns(view, anchor, draw),
        *study_sections(view, anchor, draw),
    ]
    if (regression := view.regression) is not None:
        place, title = f"{anchor}-regression", "Regression check"
        found.append(
            PageSection(
                anchor=place, title=title, markup=regression_section(regression, place, title),
                of="the regression check", fingerprint=regression.fingerprint,
            )
        )  # fmt: skip
    if not_made(view):
        place, title = f"{anchor}-missing", "Not made yet"
        found.append(PageSection(anchor=place, title=title, markup=missing_section(view, place, title)))
    place = f"{anchor}-provenance"
    prints = [(one.of, one.fingerprint) for one in found if one.fingerprint is not None]
    found.append(PageSection(anchor=place, title="Provenance", markup=provenance(prints, place)))
    return found


def _comparisons(view: RunView, anchor: str, draw: Draw) -> list[PageSection]:
    """The network, and everything that was held against it."""
    found = []
    if (export := view.export) is not None:
        place = f"{anchor}-layers"
        found.append(
            PageSection(
                anchor=place, title="Layers", markup=layers(export, place), of="the integer network",
                fingerprint=export.fingerprint,
            )
        )  # fmt: skip
    if (compare := view.compare) is not None:
        place, title = f"{anchor}-comparison", "Comparison"
        found.append(
            PageSection(
                anchor=place, title=title, markup=comparison(compare, place, title, draw), of="the comparison",
                fingerprint=compare.fingerprint,
            )
        )  # fmt: skip
    for number, (name, other) in enumerate(view.comparisons, start=1):
        place, title = f"{anchor}-comparison-{number}", f"Comparison, {name.replace('-', ' ')}"
        found.append(
            PageSection(
                anchor=place, title=title, markup=comparison(other, place, title, draw, first=False),
                of=f"the comparison {name}", fingerprint=other.fingerprint,
            )
        )  # fmt: skip
    if (matrix := view.matrix) is not None:
        place, title = f"{anchor}-matrix", "Back ends"
        found.append(
            PageSection(
                anchor=place, title=title, markup=matrix_section(matrix, place, title), of="the matrix",
                fingerprint=matrix.fingerprint,
            )
        )  # fmt: skip
    for test in view.self_tests:
        place, title = f"{anchor}-self-test-{test.verb}", f"Self-test, {test.verb}"
        found.append(
            PageSection(
                anchor=place, title=title, markup=self_test_section(test, place, title),
                of=f"the self-test of {test.verb}", fingerprint=test.fingerprint,
            )
        )  # fmt: skip
    if (emulator := view.emulator) is not None:
        place, title = f"{anchor}-emulator", "Emulator"
        found.append(
            PageSection(
                anchor=place, title=title, markup=emulator_section(emulator, place, title), of="the emulator",
                fingerprint=emulator.fingerprint,
            )
        )  # fmt: skip
    return found


def _campaigns(view: RunView, anchor: str, draw: Draw) -> list[PageSection]:
    found = []
    for number, one in enumerate(view.campaigns, start=1):
        place, title = f"{anchor}-faults-{number}", campaign_title(one, len(view.campaigns))
        found.append(
            PageSection(
                anchor=place, title=title, markup=campaign(one, place, title, draw), of="the faults",
                fingerprint=one.record.fingerprint,
            )
        )  # fmt: skip
    if (plan := view.plan) is not None:
        place, title = f"{anchor}-plan", "Fault plan"
        found.append(PageSection(anchor=place, title=title, markup=plan_section(plan, place, title)))
    return found


def campaign_title(view: CampaignView, campaigns: int) -> str:
    """What a campaign is called; with its identity where a run has several."""
    return "Faults" if campaigns == 1 else f"Faults, {view.record.fault} {identity(view.record.fingerprint)[:6]}"
