from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeval.report.markup import definitions, element, join, table


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("p", "a < b ", element("b", "&")) == "<p>a &lt; b <b>&amp;</b></p>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    assert (
        element("a", class_="x", aria_label='"', hidden=True, title=None)
        == '<a class="x" aria-label="&quot;" hidden></a>'
    )


@given(st.text(), st.text())
def test_no_text_can_open_an_element(text: str, attribute: str) -> None:
    written = element("p", text, title=attribute)
    assert written.count("<") == 2
    assert written.count(">") == 2


def test_nested_children_are_joined_in_order() -> None:
    assert join("a", ["b", ["<"]], element("br")) == "ab&lt;<br>"


def test_a_table_has_headings_for_its_columns_and_rows() -> None:
    written = table("Caption", ["name", "value"], [["x", "1"]])
    assert '<th scope="col" class="number">value</th>' in written
    assert '<th scope="row" class="text">x</th><td class="number">1</td>' in written
    assert 'aria-label="Caption"' in written


def test_definitions_pair_names_with_values() -> None:
    assert definitions([("a", "1")], "facts") == '<dl class="facts"><div><dt>a</dt><dd>1</dd></div></dl>'
