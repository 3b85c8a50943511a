"""The documentation site: Sphinx reads the Markdown pages where they lie, from the root of the checkout.

The root is the source folder, so that the same relative links lead somewhere on the site and in a plain checkout. What
only the site needs is not in the pages but added here while they are read: the navigation, which is the sections of
``index.md`` and the links in them, and the docstrings below the headings of the reference. ``make docs`` builds it.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

project = "edgeval"
author = "The edgeval developers"
copyright = "The edgeval developers, Apache-2.0"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

root_doc = "docs/index"
include_patterns = ["docs/**.md", "examples/**.md", "*.md"]
exclude_patterns = [".*", "build", "dist", "runs", "edgeval", "hls", "fault_injection", "tests", "benchmarks"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 4  # links to headings are checked, under the names that GitHub gives them

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

highlight_language = "console"  # a block without a language is a terminal, or a drawing
pygments_style = "friendly"
pygments_dark_style = "native"

html_theme = "furo"  # its fonts are the reader's own: a page that is looked at asks no other machine for anything
html_title = "edgeval"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

LINK = re.compile(r"\]\(([^)#\s:]+\.md)(?:#[^)]*)?\)")
MODULE = re.compile(r"^## ((?:edgeval|hls|fault_injection)[\w.]*)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def setup(app: Sphinx) -> None:
    """Add to the pages, while they are read, what only the site has."""
    app.connect("source-read", _add)
    app.connect("autodoc-process-docstring", _no_type, priority=400)  # before napoleon, at 500


def _add(app: Sphinx, name: str, source: list[str]) -> None:
    if name == root_doc:
        source[0] += _navigation(source[0])
    elif name.startswith("docs/reference/"):
        source[0] = MODULE.sub(_with_docstrings, source[0])


def _no_type(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon for a type: "``floor``: toward minus infinity" is text."""
    if what in ("attribute", "data", "property") and lines and ":" in lines[0]:
        lines.insert(0, "\\ ")


def _navigation(index: str) -> str:
    """One table of contents for each section of the index that links to pages; the last one takes what is left over.

    ``tests/docs/test_links.py`` sees to it that every page below ``docs/`` is linked from the index.
    """
    sections = [(part.partition("\n")[0], _pages(part)) for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]]
    listed = {page for _, pages in sections for page in pages}
    sections[-1][1].extend(page.stem for page in sorted(ROOT.glob("*.md")) if page.stem not in listed)
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "".join(f"/{page}\n" for page in pages) + "```\n"
        for title, pages in sections
        if pages
    )


def _pages(section: str) -> list[str]:
    """Pages that a section of the index links to, as Sphinx calls them, each once."""
    paths = [Path(os.path.normpath(DOCS / link)).relative_to(ROOT) for link in LINK.findall(section)]
    return list(dict.fromkeys(path.with_suffix("").as_posix() for path in paths))


def _with_docstrings(match: re.Match[str]) -> str:
    """A section of the reference, whose heading is the name of a module, and the module's docstrings behind it."""
    return f"{match[0].rstrip()}\n\n```{{eval-rst}}\n.. automodule:: {match[1]}\n   :members:\n```\n\n"
