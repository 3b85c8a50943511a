"""Faults in stored bits: sites, fault models, campaigns and their outcomes."""
