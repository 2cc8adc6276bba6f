"""``mpsync delete``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mpsync.cli.opened import has_store, known, run_with_storage, settings_of, unknown
from mpsync.cli.output import print_json, size

if TYPE_CHECKING:
    from mpsync.core import Storage
    from mpsync.store.deletion import Deleted


def run_delete(arguments: argparse.Namespace) -> int:
    if not has_store(settings_of(arguments)):
        raise unknown(arguments.name)
    versions, deleted = run_with_storage(arguments, lambda storage: _delete(storage, arguments), ("mpsync.operations",))
    kept = deleted.had - deleted.removed
    if arguments.json:
        print_json(
            {
                "repository": arguments.name,
                "deleted": True,
                "versions": versions,
                "artifacts": {
                    "removed": {"files": deleted.removed, "bytes": deleted.removed_bytes},
                    "kept": {"files": kept, "bytes": deleted.had_bytes - deleted.removed_bytes},
                },
            }
        )
        return 0
    print(f"{arguments.name}: deleted, with {versions} version{'' if versions == 1 else 's'}")
    if arguments.artifacts:
        print(f"  {deleted.removed:,} files removed ({size(deleted.removed_bytes)})")
        if kept:
            print(f"  {kept:,} files kept: other repositories have them")
    elif kept:
        print(
            f"  its {kept:,} files ({size(deleted.had_bytes)}) are kept until a clean-up; --artifacts would have removed them"
        )
    return 0


async def _delete(storage: Storage, arguments: argparse.Namespace) -> tuple[int, Deleted]:
    from mpsync.operations import delete
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        repository = await known(conn, arguments.name)
        versions = len(await queries.versions(conn, repository))
    return versions, await delete(repository, storage, with_artifacts=arguments.artifacts, wait=arguments.wait)
