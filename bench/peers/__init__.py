"""The same work by what people use today: ``python -m bench peers``.

One upstream, one machine, the peers taking turns, medians of at least three. Who isn't there is named, with
how to install it.
"""

from bench.peers.run import run

__all__ = ["run"]
