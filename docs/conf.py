"""How Sphinx makes the site: `make docs`, into build/docs.

The pages are plain Markdown that a forge shows as well. So no page has a table of contents in
Sphinx's own syntax: the site's order is that of the links in index.md.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

project = "fleetchatd"
author = "the fleetchatd authors"
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["conf.py"]

html_theme = "furo"
html_title = "fleetchatd"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

myst_heading_anchors = 3  # links to headings work as they do on a forge
smartquotes = False  # what is quoted is typed
suppress_warnings = ["misc.highlighting_failure"]  # an excerpt with … in it is no whole program
nitpicky = True  # a link that leads nowhere is a warning, and a warning an error

_PART = re.compile(r"^## (.+)$", re.MULTILINE)
_PAGE = re.compile(r"\]\(([\w/-]+)\.md\)")


def setup(app: Sphinx) -> None:
    """Called by Sphinx at its start."""
    app.connect("source-read", _add_contents)


def _add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the pages that lead to others the contents that Sphinx needs for its sidebar."""
    if page == "index":
        _, *parts = _PART.split(source[0])
        for title, links in zip(parts[::2], parts[1::2], strict=True):
            source[0] += _contents(title, _PAGE.findall(links))
    elif page == "adr/README":
        source[0] += _contents("Decisions", _PAGE.findall(source[0]))


def _contents(title: str, pages: list[str]) -> str:
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
