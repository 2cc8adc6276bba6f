"""Chunks made ahead by a thread: decoders and hashes let go of the GIL, so that a file is unpacked while it is parsed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

CHUNKS = 4


def ahead(chunks: Iterator[bytes], count: int = CHUNKS) -> Iterator[bytes]:
    """The same chunks, at most ``count`` of them waiting. Raises what ``chunks`` raises, in its place.

    Closed early, it ends its thread before it returns.
    """
    made: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(count)
    given_up = threading.Event()

    def fill() -> None:
        try:
            for chunk in chunks:
                room.acquire()
                if given_up.is_set():
                    return
                made.put(chunk)
            made.put(None)
        except BaseException as error:  # for the one who reads
            made.put(error)

    thread = threading.Thread(target=fill, name="unpack ahead", daemon=True)
    thread.start()
    try:
        while (chunk := made.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            room.release()
            yield chunk
    finally:
        given_up.set()
        room.release()
        thread.join()
