"""What is changed in the copy of a project's firmware that is compiled; the project itself stays as hls4ml wrote it.

No change is one of meaning: weights become variables, so that they can be read and poked; a function of ap_types
loses a needless ``volatile``; shift registers become rings.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from hls.csim.families import Family

# Same numbers and conversion, in a loop: a compiler takes minutes for an initializer of 50,000 ac_fixed.
_CONSTANT = re.compile(r"static const (\w+) (\w+)\[(\d+)\] = \{(.*?)\};", re.DOTALL)
_VARIABLE = """\
static const double \\2_values[\\3] = {\\4};
\\1 \\2[\\3];
static const bool \\2_filled = [] {
    for (unsigned i = 0; i < \\3; i++) \\2[i] = \\1(\\2_values[i]);
    return true;
}();"""

# Called on every result, it makes the compiler keep each word in memory: four to five times the time of a network.
_VOLATILE = "INLINE void clearUnusedBits(void) volatile\n"
_BOTH = """\
INLINE void clearUnusedBits(void) volatile { const_cast<ap_private*>(this)->clearUnusedBits(); }
  INLINE void clearUnusedBits(void)
"""


_SHIFT_REGISTER = "ap_shift_reg.h"


def adapt_headers(firmware: Path, family: Family, bridge: Path) -> None:
    """Change a copied ``firmware`` folder in place.

    Args:
        firmware: The copy.
        family: Of the project's back end.
        bridge: Folder of edgeval's own headers.
    """
    if family.weights_in_headers:
        for header in sorted((firmware / "weights").glob("*.h")):
            _substitute(header, lambda text: _CONSTANT.sub(_VARIABLE, text))
    for header in firmware.rglob(_SHIFT_REGISTER):
        shutil.copyfile(bridge / "edgeval_shift_reg.h", header)
    types = firmware / "ap_types" / "etc" / "ap_private.h"
    if types.exists():
        _substitute(types, lambda text: text.replace(_VOLATILE, _BOTH))


def _substitute(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
