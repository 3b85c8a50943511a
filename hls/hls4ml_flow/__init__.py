"""IntegerGraph → hls4ml project: canonical graph, options, audit. Imports hls4ml only when a project is written."""

from hls.hls4ml_flow.manifest import Manifest, load_manifest
from hls.hls4ml_flow.options import ProjectOptions, apply_overrides, load_overrides

__all__ = ["Manifest", "ProjectOptions", "apply_overrides", "load_manifest", "load_overrides"]
