"""hls4ml's generated C++, compiled once and run in worker processes, behind the executor protocol."""

from hls.csim.bridge import CSimulation, open_csim
from hls.csim.build import Build, build_csim

__all__ = ["Build", "CSimulation", "build_csim", "open_csim"]
