"""Repository rows: name, plugin, upstream, options, and what the last sync left for the next probe."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from mpsync.errors import ConfigError
from mpsync.store import remotes
from mpsync.store.db import Connection
from mpsync.store.statements import statements

_SQL = "sql/repositories.sql"


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository.

    options   the plugin's options as plain JSON; credentials are never among them
    state     what the plugin's probe compares with, as the last successful sync left it
    latest    number of the newest version; 0 = none yet
    """

    id: int
    name: str
    plugin: str
    url: str | None
    remote_id: int | None
    options: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    latest: int = 0
    created_at: datetime | None = None


async def find(conn: Connection, name: str) -> Repository | None:
    cursor = await conn.execute(statements("mpsync.store", _SQL)["get"], {"name": name})
    row = await cursor.fetchone()
    return None if row is None else Repository(*row)


async def every(conn: Connection) -> list[Repository]:
    cursor = await conn.execute(statements("mpsync.store", _SQL)["list"])
    return [Repository(*row) async for row in cursor]


async def save(conn: Connection, name: str, plugin: str, url: str, options: dict[str, Any]) -> Repository:
    """Make the repository, or give it other options. Raises ConfigError when it belongs to another plugin."""
    values = {
        "name": name,
        "plugin": plugin,
        "remote_id": await remotes.remote_id(conn, url),
        "options": orjson.dumps(options).decode(),
    }
    cursor = await conn.execute(statements("mpsync.store", _SQL)["save"], values)
    if await cursor.fetchone() is None:
        raise ConfigError(f"repository {name} exists and is not of type {plugin}; choose another --name")
    found = await find(conn, name)
    assert found is not None
    return found


async def save_state(conn: Connection, repository_id: int, state: dict[str, Any]) -> None:
    values = {"id": repository_id, "state": orjson.dumps(state).decode()}
    await conn.execute(statements("mpsync.store", _SQL)["save_state"], values)
