"""Verdicts as people see them: a word and a sign beside the colour, for eyes that see neither green nor red."""

from __future__ import annotations

from collections.abc import Mapping

from edgeval.report.markup import Child, Markup, element

_GOOD, _BAD, _OPEN = ("✓", "match"), ("✕", "differ"), ("?", "no-verdict")
_QUIET = ("–", "quiet")

_KINDS: Mapping[str, tuple[str, str]] = {
    "match": _GOOD,
    "passed": _GOOD,
    "detected": _GOOD,
    "differ": _BAD,
    "failed": _BAD,
    "missed": _BAD,
    "no_verdict": _OPEN,
    "skipped": _OPEN,
    "refused": _QUIET,
    "equivalent": _QUIET,
    "no_place": _QUIET,
}
"""Sign and style of everything that records call a verdict or a status."""


def label(verdict: str) -> str:
    """The word for a verdict.

    Example:
        >>> label("no_verdict")
        'NO VERDICT'
    """
    return verdict.replace("_", " ").upper()


def badge(verdict: str) -> Markup:
    """Sign and word."""
    sign, kind = _KINDS[verdict]
    return element("strong", element("span", sign, aria_hidden="true"), " ", label(verdict), class_=f"badge {kind}")


def banner(verdict: str, headline: str) -> Markup:
    """A verdict before anything else, with its first line."""
    text = headline.removeprefix(label(verdict)).lstrip(" :")
    return element("div", badge(verdict), element("p", text), class_=f"verdict {_KINDS[verdict][1]}")


def open_banner(word: str, *text: Child) -> Markup:
    """In place of a verdict that is not there."""
    return element("div", element("strong", word, class_="badge"), element("p", *text), class_="verdict")


def checked(*text: Child, good: bool) -> Markup:
    """One line that says whether something was as it has to be."""
    sign = element("span", "✓" if good else "✕", aria_hidden="true")
    return element("p", sign, " ", *text, class_="check good" if good else "check bad")
