-- name: ids_by_sha256
-- Artifacts we hold among the digests asked for; order is not promised.
SELECT id, sha256 FROM core.artifact WHERE sha256 = ANY(%(sha256)b);

-- name: has_any
SELECT EXISTS (SELECT FROM core.artifact);

-- name: insert
-- New artifacts in the order of their digests, so that concurrent syncs take locks in one order.
INSERT INTO core.artifact (sha256, size_bytes)
SELECT sha256, size_bytes FROM unnest(%(sha256)b::bytea[], %(size_bytes)b::bigint[]) AS given (sha256, size_bytes)
ORDER BY sha256
ON CONFLICT DO NOTHING
RETURNING id, sha256;

-- name: known_sha256
-- Of the digests given, those that have a row.
SELECT sha256 FROM core.artifact WHERE sha256 = ANY(%(sha256)b);

-- name: share
-- Whoever counts on artifacts staying where they are holds this, for as long as its session lives.
SELECT pg_advisory_lock_shared(hashtext('mpsync.artifacts'), 0);

-- name: unshare
SELECT pg_advisory_unlock_shared(hashtext('mpsync.artifacts'), 0);
