"""The bench: where the time goes, how far to the floor of this machine, how far ahead of the others.

    python -m bench list | run | peers | compare | report

Flow    upstreams/ (seeded repositories) -> scenarios/ (what is run) -> results/*.json -> report (tables and pictures)
"""
