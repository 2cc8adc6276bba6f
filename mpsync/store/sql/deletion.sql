-- A repository goes, and what only it had. Rows first, then files: a file without a row is adopted or cleaned up later.

-- name: own_artifacts
-- Only while nobody shares them may artifacts be removed.
SELECT pg_try_advisory_lock(hashtext('mpsync.artifacts'), 0);

-- name: own_files
-- Artifacts of the repository's units, in any of its versions: what it had.
SELECT count(*), coalesce(sum(artifact.size_bytes), 0)::bigint
FROM core.artifact
WHERE EXISTS (
    SELECT FROM core.content_artifact
    JOIN core.membership ON membership.content_id = content_artifact.content_id
    WHERE content_artifact.artifact_id = artifact.id AND membership.repository_id = %(repository_id)s
);

-- name: create_doomed
CREATE TEMPORARY TABLE doomed (id bigint NOT NULL, size_bytes bigint NOT NULL, sha256 bytea NOT NULL);

-- name: find_doomed
-- Artifacts of this repository's units that no unit of another repository has.
INSERT INTO pg_temp.doomed (id, size_bytes, sha256)
SELECT artifact.id, artifact.size_bytes, artifact.sha256
FROM core.artifact
JOIN (
    SELECT content_artifact.artifact_id
    FROM core.content_artifact
    JOIN core.membership ON membership.content_id = content_artifact.content_id
    GROUP BY content_artifact.artifact_id
    HAVING bool_and(membership.repository_id = %(repository_id)s)
) AS own ON own.artifact_id = artifact.id
ORDER BY artifact.sha256;

-- name: remove_doomed_links
DELETE FROM core.content_artifact USING pg_temp.doomed WHERE content_artifact.artifact_id = doomed.id;

-- name: remove_doomed
DELETE FROM core.artifact USING pg_temp.doomed WHERE artifact.id = doomed.id;

-- name: doomed_page
SELECT sha256 FROM pg_temp.doomed WHERE sha256 > %(after)s ORDER BY sha256 LIMIT %(rows)s;

-- name: doomed_size
SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM pg_temp.doomed;

-- name: delete_members
DELETE FROM core.membership WHERE repository_id = %(repository_id)s;

-- name: delete_repository
-- Its versions and listings go with it.
DELETE FROM core.repository WHERE id = %(repository_id)s;
