-- name: get
SELECT repository.id, repository.name, repository.plugin, remote.url, repository.remote_id, repository.options, repository.state,
    repository.latest, repository.created_at
FROM core.repository
LEFT JOIN core.remote ON remote.id = repository.remote_id
WHERE repository.name = %(name)s;

-- name: list
SELECT repository.id, repository.name, repository.plugin, remote.url, repository.remote_id, repository.options, repository.state,
    repository.latest, repository.created_at
FROM core.repository
LEFT JOIN core.remote ON remote.id = repository.remote_id
ORDER BY repository.name;

-- name: save
INSERT INTO core.repository (name, plugin, remote_id, options)
VALUES (%(name)s, %(plugin)s, %(remote_id)s, %(options)s::jsonb)
ON CONFLICT (name) DO UPDATE SET remote_id = excluded.remote_id, options = excluded.options
WHERE repository.plugin = excluded.plugin
RETURNING id;

-- name: save_state
UPDATE core.repository SET state = %(state)s::jsonb WHERE id = %(id)s;
