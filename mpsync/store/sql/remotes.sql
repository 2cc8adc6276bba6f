-- name: upsert
INSERT INTO core.remote (url) VALUES (%(url)s) ON CONFLICT (url) DO UPDATE SET url = excluded.url RETURNING id;

-- name: without_rows
-- Of the units given, those whose files this remote has not named yet.
SELECT given.id
FROM unnest(%(ids)b::bigint[]) AS given (id)
WHERE NOT EXISTS (
    SELECT FROM core.remote_artifact
    WHERE remote_artifact.content_id = given.id AND remote_artifact.remote_id = %(remote_id)s
);
