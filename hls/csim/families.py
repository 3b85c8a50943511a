"""How the generated C++ of hls4ml's back ends differs where the bridge touches it."""

from __future__ import annotations

from dataclasses import dataclass

from hls.errors import RunDirectoryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Back ends that look alike from outside.

    Attributes:
        bridge: Header of ``hls/cpp`` with the raw bits of its types.
        includes: Folders of the project with its types and helpers.
        stream: Class template of a port in ``io_stream``.
        named_streams: Whether a stream's constructor takes a name, for its warnings.
        shim_defines_arrays: Whether the project only declares its weight arrays, for a bridge to define.
        weights_in_headers: Whether weights are constants of the headers, instead of read from text files.
        ports_in_structs: Whether the top function takes a struct of arrays and returns another.
    """

    bridge: str
    includes: tuple[str, ...]
    stream: str
    named_streams: bool = False
    shim_defines_arrays: bool = False
    weights_in_headers: bool = False
    ports_in_structs: bool = False

    def stream_name(self, name: str) -> str:
        """Argument list of a stream's constructor."""
        return f'("{name}")' if self.named_streams else ""


_AMD = Family(bridge="edgeval_bridge_ap.h", includes=("firmware/ap_types",), stream="hls::stream", named_streams=True)
FAMILIES: dict[str, Family] = {
    "Vitis": _AMD,
    "Vivado": _AMD,
    "Quartus": Family(
        bridge="edgeval_bridge_ac.h",
        includes=("firmware/ac_types",),
        stream="nnet::stream",
        weights_in_headers=True,
        ports_in_structs=True,
    ),
    "Catapult": Family(
        bridge="edgeval_bridge_ac.h",
        includes=(
            "firmware/ac_types/include",
            "firmware/ac_math/include",
            "firmware/ac_simutils/include",
            "firmware/nnet_utils",
        ),
        stream="ac_channel",
        shim_defines_arrays=True,
    ),
}
"""By hls4ml's name of the back end."""


def family_of(backend: str) -> Family:
    """The family of a back end.

    Raises:
        RunDirectoryError: a manifest names a back end that the bridge does not know.
    """
    if backend not in FAMILIES:
        raise RunDirectoryError(
            found=f"a project of back end {backend}",
            allowed=", ".join(FAMILIES),
            where="C-simulation bridge",
            remedy="export again with one of these back ends",
        )
    return FAMILIES[backend]
