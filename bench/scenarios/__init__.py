"""One file each; ``SCENARIO`` in it is found by bench.scenario.discover."""
