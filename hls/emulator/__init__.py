"""The C-simulation of a network as a shared library of its own, for software that knows neither edgeval nor hls4ml.

``package``: the folder, written, built, audited, tried and put in place. ``firmware``: the project's sources with the
stored words inside. ``source``: the generated files. ``build``: make and the loader program. ``symbols``: what the
library may export. ``manifest``: what a package says about itself. ``names``: what it is called.
"""

from hls.emulator.build import Check
from hls.emulator.manifest import EmulatorManifest, load_package
from hls.emulator.names import EmulatorName, name_from
from hls.emulator.package import Golden, Origin, PackageResult, require_replaceable, write_package

__all__ = [
    "Check",
    "EmulatorManifest",
    "EmulatorName",
    "Golden",
    "Origin",
    "PackageResult",
    "load_package",
    "name_from",
    "require_replaceable",
    "write_package",
]
