from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.content import CONTENT_BYTES, message_content
from fleetchatd.connectors.matrix.markup import fences, has_markup, open_fence
from fleetchatd.connectors.matrix.render import ATTRIBUTES, TAGS, URL_SCHEMES, to_html
from tests.unit.connectors.matrix.parts import part

MARKUP = [*"*_`<>&#|\n\t\"'\\!()[]a\x00\r", "```", "~~~", "~~", "](", "- ", "1. ", "\n\n", "    "]
HOSTILE = ["javascript:", "<img src=x", "<script>", "&lt;", "&#106;", "onerror=", "<mx-reply>"]
WORDS = ["word ", "é", "https://x.y", "|-|-|\n", "== "]
MARKDOWN_LIKE = st.lists(st.sampled_from([*MARKUP, *HOSTILE, *WORDS]), max_size=60).map("".join)


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def formatted(text: str) -> Any:
    return message_content(part(text), latest_in_thread=None).get("formatted_body")


def test_a_plain_message_is_its_body_and_mentions_nobody() -> None:
    assert message_content(part("ship it"), latest_in_thread=None) == {
        "msgtype": "m.text",
        "body": "ship it",
        "m.mentions": {},
        "dev.fleetchat.transaction_id": "01JDM0TX",
    }


def test_a_notice_is_a_notice() -> None:
    content = message_content(part("build passed", notice=True), latest_in_thread=None)
    assert content["msgtype"] == "m.notice"


def test_every_part_carries_its_own_transaction_id() -> None:
    second = message_content(part("one", "two", index=1), latest_in_thread=None)
    assert second["dev.fleetchat.transaction_id"] == "01JDM0TX.1"
    assert second["body"] == "two"


@pytest.mark.parametrize(
    ("latest", "expected"), [(None, "$root"), ("$root", "$root"), ("$latest", "$latest")]
)
def test_a_thread_message_falls_back_to_a_reply_to_the_newest(
    latest: str | None, expected: str
) -> None:
    content = message_content(part("on it", thread_id="$root"), latest_in_thread=latest)
    assert content["m.relates_to"] == {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": expected},
    }


def test_a_reply_inside_a_thread_is_no_fallback() -> None:
    draft = part("yes", thread_id="$root", reply_to="$question")
    assert message_content(draft, latest_in_thread="$latest")["m.relates_to"] == {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": False,
        "m.in_reply_to": {"event_id": "$question"},
    }


def test_only_the_first_part_replies() -> None:
    first = message_content(part("a", "b", reply_to="$q"), latest_in_thread=None)
    second = message_content(part("a", "b", index=1, reply_to="$q"), latest_in_thread=None)
    assert first["m.relates_to"] == {"m.in_reply_to": {"event_id": "$q"}}
    assert "m.relates_to" not in second


def test_a_later_part_of_a_reply_in_a_thread_stays_in_the_thread() -> None:
    later = part("a", "b", index=1, thread_id="$root", reply_to="$q")
    relation = message_content(later, latest_in_thread="$first_part")["m.relates_to"]
    assert relation["is_falling_back"] is True
    assert relation["m.in_reply_to"] == {"event_id": "$first_part"}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**done**", "<strong>done</strong>"),
        ("~~old~~ *new*", "<s>old</s> <em>new</em>"),
        ("one\n*two*", "one<br>\n<em>two</em>"),
        ("a < b & `c < d`", "a &lt; b &amp; <code>c &lt; d</code>"),
        ("<b>raw</b> **x**", "&lt;b&gt;raw&lt;/b&gt; <strong>x</strong>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("# Title", "<h1>Title</h1>"),
        ("Title\n---", "<h2>Title</h2>"),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
        ("```py\nx < 1\n```", '<pre><code class="language-py">x &lt; 1\n</code></pre>'),
        ("    indented", "<pre><code>indented\n</code></pre>"),
        ("[log](https://ci/1)", '<a href="https://ci/1">log</a>'),
        ("<https://ci/1>", '<a href="https://ci/1">https://ci/1</a>'),
        ("![plot](https://ci/1.png)", '!<a href="https://ci/1.png">plot</a>'),
    ],
)
def test_markdown_becomes_html_beside_the_exact_body(text: str, html: str) -> None:
    content = message_content(part(text), latest_in_thread=None)
    assert content["body"] == text
    assert content["format"] == "org.matrix.custom.html"
    assert content["formatted_body"] == html


def test_a_table_keeps_to_the_permitted_attributes() -> None:
    assert "<th>n</th>" in formatted("| a | n |\n|---|--:|\n| x | 1 |")


@pytest.mark.parametrize(
    "text",
    [
        "see src/main.py",
        "one\ntwo\n\nthree",
        "snake_case and R&D <3",
        "a_b\n\nc_d",
        "-",
        "#",
        "\\",
        "",
        " \n",
    ],
)
def test_text_without_markup_has_no_html(text: str) -> None:
    assert "formatted_body" not in message_content(part(text), latest_in_thread=None)


@pytest.mark.parametrize(
    "link", ["[x](src/x.py)", "[x](javascript:alert(1))", "[x](data:text/x,y)"]
)
def test_a_link_that_matrix_does_not_permit_stays_readable(link: str) -> None:
    assert "<a" not in to_html(f"**see** {link}")
    assert link in to_html(f"**see** {link}")


def test_plain_format_is_never_rendered() -> None:
    assert "formatted_body" not in message_content(
        part("**a**", format="plain"), latest_in_thread=None
    )


@pytest.mark.parametrize("lines", [5_000, 10_000])
def test_html_that_would_make_the_event_too_large_is_left_out(lines: int) -> None:
    content = message_content(part("**b**\n" + "- a\n" * lines), latest_in_thread=None)
    assert "formatted_body" not in content
    assert "format" not in content


def test_a_part_that_begins_inside_a_fence_is_code_again() -> None:
    before, after = "Look:\n\n```py\nx = 1\n", "y *= 2\n```\n\n**That** was it."
    content = message_content(part(before, after, index=1), latest_in_thread=None)
    assert content["body"] == after
    assert content["formatted_body"] == (
        '<pre><code class="language-py">y *= 2\n</code></pre>\n<p><strong>That</strong> was it.</p>'
    )


def test_a_part_wholly_inside_a_fence_is_code_though_it_looks_plain() -> None:
    middle = part("~~~\na\n", "plain words\n", "c\n~~~", index=1)
    content = message_content(middle, latest_in_thread=None)
    assert content["formatted_body"] == "<pre><code>plain words\n</code></pre>"


def test_a_fence_inside_a_list_is_resumed_without_the_lists_margin() -> None:
    before, after = "1. Run\n   ```sh\n   make\n", "   if x\n     y\n   ```\n2. **Done**"
    content = message_content(part(before, after, index=1), latest_in_thread=None)
    assert content["formatted_body"].startswith(
        '<pre><code class="language-sh">if x\n  y\n</code></pre>'
    )
    assert "<strong>Done</strong>" in content["formatted_body"]


def test_a_part_that_begins_with_the_closing_line_opens_nothing() -> None:
    content = message_content(part("```\ncode\n", "```\n**b**", index=1), latest_in_thread=None)
    assert content["formatted_body"] == "<strong>b</strong>"


@pytest.mark.parametrize(
    ("text", "still_open"),
    [
        ("```\na\n", True),
        ("```\na\n```\n", False),
        ("```\na\n~~~\n", True),
        ("````\na\n```\n", True),
        ("```\na\n    ```\n", True),
        ("```\na\n``` py\n", True),
        ("```a``` b\n", False),
        ("> ```\n> a\n", True),
        ("> ```\n> a\n> ```\n", False),
        ("```\n> ```\n", True),
        ("- ```\n  a\n  ```\n", False),
        ("text ```\n", False),
        ("```", False),
    ],
)
def test_fences_open_and_close_as_commonmark_says(text: str, still_open: bool) -> None:
    assert (open_fence(text) is not None) is still_open


def test_fences_know_where_they_stand() -> None:
    text = "a\n```py\nb\n```\nc\n~~~\nd"
    assert [text[fence.start : fence.end] for fence in fences(text)] == [
        "```py\nb\n```\n",
        "~~~\nd",
    ]


@given(MARKDOWN_LIKE)
@settings(deadline=None)
def test_html_has_only_what_matrix_permits_whatever_the_text(text: str) -> None:
    for tag, attributes in Elements(to_html(text)).seen:
        assert tag in TAGS
        assert attributes.keys() <= ATTRIBUTES.get(tag, set())
        assert (attributes.get("href") or "https:").partition(":")[0].lower() in URL_SCHEMES
        assert (attributes.get("class") or "language-x").startswith("language-")


@given(MARKDOWN_LIKE)
@settings(deadline=None)
def test_no_markup_is_missed_by_the_quick_look(text: str) -> None:
    if not has_markup(text):
        seen = {tag for tag, _ in Elements(to_html(text)).seen}
        assert seen <= {"p", "br"}


@given(st.one_of(MARKDOWN_LIKE, st.text()), st.one_of(MARKDOWN_LIKE, st.text()))
@settings(deadline=None)
def test_content_is_small_enough_and_always_the_same(before: str, text: str) -> None:
    later = part(before, text, index=1, thread_id="$root")
    content = message_content(later, latest_in_thread="$latest")
    assert content == message_content(later, latest_in_thread="$latest")
    assert content["body"] == text
    assert len(orjson.dumps(content)) <= CONTENT_BYTES


def test_the_renderer_is_not_imported_before_it_is_needed() -> None:
    script = "import sys, fleetchatd.connectors.matrix.content as c; print('nh3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
