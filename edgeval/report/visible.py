"""Text that XML, JSON, a terminal and a web page all carry unchanged: what they cannot hold is shown, not lost.

Names of layers and files come from other people's graphs, and messages from their tools. XML 1.0 has no control
characters at all, a carriage return or an escape sequence rewrites what a log shows, and directional overrides show
another text than is there.
"""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {
    0x7F: "\N{SYMBOL FOR DELETE}"
}
_UNSHOWN = [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
_TABLE = _PICTURES | dict.fromkeys(_UNSHOWN, _REPLACEMENT)


def visible(text: str) -> str:
    r"""Text with every character shown that some output could not hold or would act upon.

    Control characters but newline and tab become their pictures; C1 controls, directional overrides, lone surrogates
    (file names that are no UTF-8) and the two non-characters that XML forbids become U+FFFD. All else stays.

    Example:
        >>> visible("conv\x1b[31m 5 %\r\n")
        'conv␛[31m 5 %␍\n'
    """
    return text.translate(_TABLE)


def one_line(text: str) -> str:
    r"""Visible text without line breaks and tabs, for places that hold one line.

    Example:
        >>> one_line("first\n\tsecond")
        'first second'
    """
    return " ".join(visible(text).split())


def shortened(text: str, length: int) -> str:
    """Text of at most so many characters, saying how many were left out.

    Args:
        text: Any.
        length: Characters, at least 40 so that the remark fits.

    Example:
        >>> shortened("x" * 100, 40)
        'xxxxxxxxx … 91 more characters left out'
    """
    if len(text) <= length:
        return text
    kept = length - len(_remark(len(text)))
    return text[:kept] + _remark(len(text) - kept)


def _remark(characters: int) -> str:
    return f" … {characters:,} more characters left out"
