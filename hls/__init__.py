"""The network as hardware computes it: integer graph, exact engine, hls4ml project, C-simulation."""
