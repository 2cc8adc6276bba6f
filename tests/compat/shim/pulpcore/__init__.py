"""Stands for pulpcore in front of its own stage tests: see tests/compat/README.md."""
