-- name: ids_by_key
-- Units we have among the keys asked for; order is not promised.
SELECT id, key FROM core.content WHERE key = ANY(%(keys)b);

-- name: has_any
SELECT EXISTS (SELECT FROM core.content);

-- name: content_ids
-- Starts of blocks of 4096 ids, enough for the number of rows asked for.
SELECT nextval('core.content_id') FROM generate_series(1, %(blocks)s);

-- name: block_ids
-- Starts of blocks of 256 ids.
SELECT nextval('core.block_id') FROM generate_series(1, %(blocks)s);

-- name: fill_artifacts
-- Files of known units that have arrived meanwhile.
INSERT INTO core.content_artifact (content_id, ordinal, path, artifact_id)
SELECT content_id, ordinal, path, artifact_id
FROM unnest(%(content_id)s::bigint[], %(ordinal)s::smallint[], %(path)s::text[], %(artifact_id)s::bigint[])
    AS given (content_id, ordinal, path, artifact_id)
ORDER BY content_id, ordinal
ON CONFLICT DO NOTHING;

-- name: raw
-- Where the raw records of units lie: block body, offset, length.
SELECT content.id, content.block_id, content.block_offset, content.raw_bytes, record_block.body
FROM core.content
JOIN core.record_block ON record_block.id = content.block_id
WHERE content.id = ANY(%(ids)b)
ORDER BY content.block_id;
