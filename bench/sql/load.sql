-- The floor of saving: the same rows into the same tables and keys as mpsync's, by COPY and sets, in one backend.

-- name: stage_content
CREATE TEMPORARY TABLE stage_content (LIKE core.content);

-- name: stage_remote_artifact
CREATE TEMPORARY TABLE stage_remote_artifact (LIKE core.remote_artifact);

-- name: analyze
ANALYZE stage_content, stage_remote_artifact;

-- name: content
INSERT INTO core.content SELECT * FROM stage_content ORDER BY key ON CONFLICT DO NOTHING;

-- name: remote_artifact
INSERT INTO core.remote_artifact SELECT * FROM stage_remote_artifact ORDER BY content_id ON CONFLICT DO NOTHING;

-- name: membership
INSERT INTO core.membership (content_id, repository_id, listing_id, added)
SELECT content.id, 1, 1, 1
FROM core.content
JOIN stage_content ON stage_content.key = content.key
ORDER BY content.id
ON CONFLICT DO NOTHING;

-- name: count
SELECT (SELECT count(*) FROM core.content), (SELECT count(*) FROM core.remote_artifact), (SELECT count(*) FROM core.membership);
