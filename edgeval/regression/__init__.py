"""The regression gate: what a run was when it was locked, what it is now, and why that differs."""
