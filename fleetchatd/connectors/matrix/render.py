"""Markdown to the HTML that Matrix permits (client-server API, "m.room.message msgtypes").

Imports the Markdown library and the sanitiser, so it is itself imported only when the first
formatted message goes out.
"""

from __future__ import annotations

import re

import nh3
from markdown_it import MarkdownIt

# The specification's list of elements, without those that Markdown cannot produce. `img` is one of
# them: a client may load nothing but mxc: addresses, so pictures are shown as links.
TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong"}
)
TAGS |= {"table", "tbody", "td", "th", "thead", "tr", "ul", "h1", "h2", "h3", "h4", "h5", "h6"}
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}}
URL_SCHEMES = frozenset({"https", "http", "ftp", "mailto", "magnet"})

_PERMITTED_LINK = re.compile(rf"(?:{'|'.join(sorted(URL_SCHEMES))}):", re.IGNORECASE)
_LANGUAGE = re.compile(r"language-\S+")


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - markdown-it's name
        """A link that may not be one stays the text it is, so that no address is lost."""
        return _PERMITTED_LINK.match(url) is not None


def _attribute(tag: str, _name: str, value: str) -> str | None:
    return None if tag == "code" and not _LANGUAGE.fullmatch(value) else value


_markdown = (
    _Markdown("commonmark", {"html": False, "breaks": True})
    .enable(["table", "strikethrough"])
    .disable("image")
)
_cleaner = nh3.Cleaner(
    tags=set(TAGS),
    attributes=ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes=set(URL_SCHEMES),
    link_rel=None,  # not an attribute that Matrix permits; clients add their own
)


def to_html(source: str) -> str:
    """The HTML of a Markdown text, sanitised; a lone paragraph is not wrapped in `<p>`."""
    html = _cleaner.clean(_markdown.render(source)).strip()
    if html.startswith("<p>") and html.endswith("</p>") and html.count("<p>") == 1:
        return html[len("<p>") : -len("</p>")]
    return html
