-- name: lease
-- One sync per repository: a session lock, so that it goes with its holder, however that dies.
SELECT pg_try_advisory_lock(hashtext('mpsync.repository'), %(repository_id)s);

-- name: lease_waiting
SELECT pg_advisory_lock(hashtext('mpsync.repository'), %(repository_id)s);

-- name: release
SELECT pg_advisory_unlock(hashtext('mpsync.repository'), %(repository_id)s);

-- name: take_epoch
-- Whoever held the lease before, and wakes up late, finds another epoch and cannot commit.
UPDATE core.repository SET epoch = epoch + 1 WHERE id = %(repository_id)s RETURNING epoch, latest;

-- name: plan_for_sets
-- The tables grow by whole suites within one run, faster than statistics follow: a nested loop over 60,000 rows takes minutes.
SET enable_nestloop = off;

-- name: plan_as_usual
RESET enable_nestloop;

-- name: create_seen
-- What upstream lists now, and which listings stay as they are because their file was remembered.
CREATE TEMPORARY TABLE seen (content_id bigint NOT NULL, listing_id integer NOT NULL);
CREATE TEMPORARY TABLE carried (listing_id integer NOT NULL);
CREATE TEMPORARY TABLE gone (content_id bigint NOT NULL, listing_id integer NOT NULL, added integer NOT NULL);

-- name: drop_seen
DROP TABLE IF EXISTS pg_temp.seen, pg_temp.carried, pg_temp.gone;

-- name: listing
INSERT INTO core.listing (repository_id, name) VALUES (%(repository_id)s, %(name)s)
ON CONFLICT (repository_id, name) DO UPDATE SET name = excluded.name
RETURNING id;

-- name: carry_own
-- The listing's rows in the latest version, if they are the rows of this very file.
WITH same AS (
    SELECT id, results FROM core.listing
    WHERE repository_id = %(repository_id)s AND name = %(name)s AND parser = %(parser)s AND sha256 = %(sha256)s
), kept AS (
    INSERT INTO pg_temp.carried (listing_id) SELECT id FROM same
)
SELECT (SELECT count(*) FROM core.membership
        WHERE repository_id = %(repository_id)s AND listing_id = same.id AND removed IS NULL), same.results
FROM same;

-- name: carry_from_other
-- The same file, parsed for another repository: its rows, if none of them has URLs of its own. That repository's remote has
-- named the files of all of them, or they have none.
WITH same AS (
    SELECT listing.id, listing.repository_id, listing.results, repository.remote_id
    FROM core.listing
    JOIN core.repository ON repository.id = listing.repository_id
    WHERE listing.parser = %(parser)s AND listing.sha256 = %(sha256)s AND listing.repository_id <> %(repository_id)s
    LIMIT 1
), rows AS (
    SELECT membership.content_id FROM core.membership
    JOIN same ON same.id = membership.listing_id AND same.repository_id = membership.repository_id
    WHERE membership.removed IS NULL
), named AS (
    SELECT remote_artifact.* FROM core.remote_artifact
    JOIN rows ON rows.content_id = remote_artifact.content_id
    JOIN same ON same.remote_id = remote_artifact.remote_id
), usable AS (
    SELECT (SELECT count(*) FROM rows) > 0
        AND CASE (SELECT count(DISTINCT content_id) FROM named)
            WHEN (SELECT count(*) FROM rows) THEN true
            WHEN 0 THEN NOT EXISTS (SELECT FROM core.remote_artifact JOIN rows ON rows.content_id = remote_artifact.content_id)
            ELSE false
        END
        AND NOT EXISTS (SELECT FROM named WHERE urls IS NOT NULL) AS yes
), remote_rows AS (
    INSERT INTO core.remote_artifact (content_id, size_bytes, remote_id, ordinal, path, sha256, digests)
    SELECT named.content_id, named.size_bytes, %(remote_id)s, named.ordinal, named.path, named.sha256, named.digests
    FROM named, usable WHERE usable.yes AND named.remote_id <> %(remote_id)s
    ORDER BY named.content_id
    ON CONFLICT DO NOTHING
), taken AS (
    INSERT INTO pg_temp.seen (content_id, listing_id)
    SELECT rows.content_id, %(listing_id)s FROM rows, usable WHERE usable.yes
    RETURNING 1
)
SELECT (SELECT count(*) FROM taken), (SELECT results FROM same);

-- name: known_keys
-- Ids and keys of the units that a listing holds in the latest version; the same order each time.
SELECT content.id, content.key
FROM core.listing
JOIN core.membership ON membership.repository_id = listing.repository_id AND membership.listing_id = listing.id
JOIN core.content ON content.id = membership.content_id
WHERE listing.repository_id = %(repository_id)s AND listing.name = %(name)s AND membership.removed IS NULL
ORDER BY content.id;

-- name: analyze_seen
ANALYZE pg_temp.seen;

-- name: find_gone
INSERT INTO pg_temp.gone (content_id, listing_id, added)
SELECT membership.content_id, membership.listing_id, membership.added
FROM core.membership
WHERE membership.repository_id = %(repository_id)s AND membership.removed IS NULL
    AND NOT EXISTS (SELECT FROM pg_temp.carried WHERE carried.listing_id = membership.listing_id)
    AND NOT EXISTS (
        SELECT FROM pg_temp.seen
        WHERE seen.content_id = membership.content_id AND seen.listing_id = membership.listing_id
    );

-- name: guard
-- The last look before anything becomes visible.
SELECT latest, epoch FROM core.repository WHERE id = %(repository_id)s FOR UPDATE;

-- name: add_members
INSERT INTO core.membership (content_id, repository_id, listing_id, added)
SELECT DISTINCT seen.content_id, %(repository_id)s::integer, seen.listing_id, %(number)s::integer
FROM pg_temp.seen
WHERE NOT EXISTS (
    SELECT FROM core.membership
    WHERE membership.repository_id = %(repository_id)s AND membership.content_id = seen.content_id
        AND membership.listing_id = seen.listing_id AND membership.removed IS NULL
)
ORDER BY 1, 3;

-- name: remove_members
UPDATE core.membership SET removed = %(number)s
FROM pg_temp.gone
WHERE membership.repository_id = %(repository_id)s AND membership.content_id = gone.content_id
    AND membership.listing_id = gone.listing_id AND membership.added = gone.added;

-- name: counts
-- By kind: how many units came and went. A unit that only moved between listings did neither.
WITH touched AS (
    SELECT DISTINCT content_id FROM core.membership
    WHERE repository_id = %(repository_id)s AND (added = %(number)s OR removed = %(number)s)
), moved AS (
    SELECT membership.content_id,
        bool_or(membership.added < %(number)s
            AND (membership.removed IS NULL OR membership.removed >= %(number)s)) AS was_there,
        bool_or(membership.removed IS NULL) AS is_there
    FROM touched
    JOIN core.membership ON membership.content_id = touched.content_id
        AND membership.repository_id = %(repository_id)s
    GROUP BY membership.content_id
)
SELECT content.kind,
    count(*) FILTER (WHERE moved.is_there AND NOT moved.was_there),
    count(*) FILTER (WHERE moved.was_there AND NOT moved.is_there)
FROM moved
JOIN core.content ON content.id = moved.content_id
GROUP BY content.kind;

-- name: first_counts
-- Of a first version, in which everything came.
SELECT content.kind, count(*), 0
FROM (SELECT DISTINCT content_id FROM core.membership WHERE repository_id = %(repository_id)s) AS member
JOIN core.content ON content.id = member.content_id
GROUP BY content.kind;

-- name: has_twins
-- Whether units of the new version may share kind, name, version and architecture: a sort of hashes, in half the time of one
-- of texts. Two units whose hashes collide are found to be no twins by the next statement.
SELECT EXISTS (
    SELECT FROM core.membership
    JOIN core.content ON content.id = membership.content_id
    WHERE membership.repository_id = %(repository_id)s AND membership.removed IS NULL AND content.kind = ANY(%(kinds)s)
    GROUP BY hashtextextended(concat_ws(' ', content.kind, content.name, content.version, content.arch), 0)
    HAVING min(content.id) <> max(content.id)
);

-- name: twins
-- Units of the new version that share kind, name, version and architecture.
SELECT content.kind, content.name, content.version, content.arch, array_agg(DISTINCT content.id)
FROM core.membership
JOIN core.content ON content.id = membership.content_id
WHERE membership.repository_id = %(repository_id)s AND membership.removed IS NULL AND content.kind = ANY(%(kinds)s)
GROUP BY content.kind, content.name, content.version, content.arch
HAVING count(DISTINCT content.id) > 1;

-- name: first_files
-- What the first files of some units are.
SELECT content_id, encode(sha256, 'hex'), path FROM core.remote_artifact
WHERE content_id = ANY(%(ids)b) AND ordinal = 0 AND sha256 IS NOT NULL;

-- name: previous_counts
SELECT counts FROM core.version WHERE repository_id = %(repository_id)s AND number = %(number)s;

-- name: publish
-- The version exists from here on.
WITH version AS (
    INSERT INTO core.version (repository_id, number, counts)
    VALUES (%(repository_id)s, %(number)s, %(counts)s::jsonb)
)
UPDATE core.repository SET latest = %(number)s WHERE id = %(repository_id)s;

-- name: remember
UPDATE core.listing SET parser = %(parser)s, sha256 = %(sha256)s, results = %(results)s::jsonb WHERE id = %(listing_id)s;

-- name: forget_others
-- Listings that were read, or whose rows changed, without being the rows of one known file.
UPDATE core.listing SET parser = NULL, sha256 = NULL, results = NULL
WHERE repository_id = %(repository_id)s AND parser IS NOT NULL AND id <> ALL(%(keep)s)
    AND id IN (SELECT listing_id FROM pg_temp.seen UNION SELECT listing_id FROM pg_temp.gone);

-- name: save_state
UPDATE core.repository SET state = %(state)s::jsonb WHERE id = %(repository_id)s;
