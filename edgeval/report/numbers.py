"""Numbers as people read them: thousands separators, units, a real minus sign."""

from __future__ import annotations

_SPACE = "\N{NO-BREAK SPACE}"

FRACTION = "fraction"
"""Unit of accuracies and other shares; shown in per cent, differences in percentage points."""


def count(number: int) -> str:
    """A whole number.

    Example:
        >>> count(40480)
        '40,480'
    """
    return f"{number:,}".replace("-", "−")


def counted(number: int, one: str, many: str = "") -> str:
    """A whole number and what it counts.

    Example:
        >>> counted(1, "sample"), counted(360, "sample")
        ('1 sample', '360 samples')
    """
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def significant(value: float, digits: int = 4) -> str:
    """A real number with so many significant digits, and all digits before the point.

    Example:
        >>> significant(0.0123456), significant(1234567.0), significant(-1.5e-9)
        ('0.01235', '1,234,567', '−1.5e−9')
    """
    if value and abs(value) < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}".replace("-", "−")
    whole = float(f"{abs(value):.{digits}g}") >= 10 ** (digits - 1)
    return (f"{value:,.0f}" if whole else f"{value:.{digits}g}").replace("-", "−")


def percent(share: float) -> str:
    r"""A share of a whole; what is not nothing is never shown as nothing, what is not all never as all.

    Example:
        >>> percent(0.12345), percent(1.0), percent(0.00001), percent(0.99999)
        ('12.3\xa0%', '100\xa0%', '< 0.1\xa0%', '> 99.9\xa0%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", f"{_SPACE}%")
    if 0 < share < 0.0005 or 0.9995 <= share < 1:
        return f"< 0.1{_SPACE}%" if share < 0.5 else f"> 99.9{_SPACE}%"
    return f"{100 * share:.1f}{_SPACE}%".replace("-", "−")


def quantity(value: float, unit: str) -> str:
    r"""A value with its unit.

    Example:
        >>> quantity(0.96389, "fraction"), quantity(1.2345, "kcal/mol")
        ('96.39\xa0%', '1.234\xa0kcal/mol')
    """
    if unit == FRACTION:
        return f"{_hundredths(100 * value)}{_SPACE}%"
    return f"{significant(value)}{_SPACE}{unit}".rstrip()


def change(value: float, unit: str) -> str:
    r"""A difference with its sign and unit.

    Example:
        >>> change(-0.031, "fraction"), change(0.25, "kcal/mol"), change(0.0, "m")
        ('−3.10\xa0points', '+0.25\xa0kcal/mol', '0\xa0m')
    """
    sign = "+" if value > 0 else ""
    if unit == FRACTION:
        return f"{sign}{_hundredths(100 * value)}{_SPACE}points"
    return f"{sign}{significant(value)}{_SPACE}{unit}".rstrip()


def duration(seconds: float) -> str:
    r"""A time in the unit in which people think of it.

    Example:
        >>> duration(3144.65), duration(0.02), duration(1.2e5), duration(3.2e9)
        ('52.4\xa0min', '0.02\xa0s', '33.3\xa0h', '101\xa0years')
    """
    for unit, size in _UNITS_OF_TIME:
        if seconds >= 2 * size:
            return f"{significant(seconds / size, 3)}{_SPACE}{unit}"
    return f"{significant(seconds, 3)}{_SPACE}s"


_UNITS_OF_TIME = (("years", 365.25 * 86400), ("days", 86400.0), ("h", 3600.0), ("min", 60.0))


def _hundredths(value: float) -> str:
    """Two decimals; more where those would show nothing of a value that is not nothing."""
    if value == 0:
        return "0"
    return f"{value:.2f}".replace("-", "−") if abs(value) >= 0.005 else significant(value, 1)


def sentence(text: str) -> str:
    """The same text with a capital first letter; unlike ``capitalize`` it leaves units and names alone.

    Example:
        >>> sentence("rise of RMSE [kcal/mol]")
        'Rise of RMSE [kcal/mol]'
    """
    return text[:1].upper() + text[1:]


def better(direction: str) -> str:
    """Which way is good, in words."""
    return f"{direction} is better"
