-- Reading what the store holds. A unit is in version v when added <= v < removed for one of its listings.

-- name: overview
-- Every repository with its newest version; version columns are NULL before the first.
SELECT repository.name, repository.plugin, remote.url, repository.latest, version.created_at, version.counts
FROM core.repository
LEFT JOIN core.remote ON remote.id = repository.remote_id
LEFT JOIN core.version ON version.repository_id = repository.id AND version.number = repository.latest
ORDER BY repository.name COLLATE "C";

-- name: versions
SELECT number, created_at, counts FROM core.version WHERE repository_id = %(repository_id)s ORDER BY number;

-- name: content
-- The units of one version, with the listings they stand in, how many of their files we hold, and which units of the version they
-- speak of, or are spoken of by.
WITH speaker AS (
    SELECT DISTINCT reference.content_id, reference.kind, reference.name, reference.version, reference.arch
    FROM core.reference
    JOIN core.membership ON membership.content_id = reference.content_id
    WHERE membership.repository_id = %(repository_id)s AND membership.added <= %(number)s
        AND (membership.removed IS NULL OR membership.removed > %(number)s)
), relation AS (
    SELECT DISTINCT speaker.content_id AS speaker_id, content.id AS named_id
    FROM speaker
    JOIN core.content ON content.kind = speaker.kind AND content.name = speaker.name
        AND content.version = speaker.version AND content.arch = speaker.arch
    JOIN core.membership ON membership.content_id = content.id
    WHERE membership.repository_id = %(repository_id)s AND membership.added <= %(number)s
        AND (membership.removed IS NULL OR membership.removed > %(number)s)
), refers AS (
    SELECT relation.speaker_id AS id,
        array_agg(concat_ws(' ', nullif(content.kind, ''), content.name, nullif(content.version, ''), nullif(content.arch, ''))
            ORDER BY content.name COLLATE "C", content.version COLLATE "C", content.arch COLLATE "C") AS labels
    FROM relation
    JOIN core.content ON content.id = relation.named_id
    GROUP BY relation.speaker_id
), referred AS (
    SELECT relation.named_id AS id,
        array_agg(concat_ws(' ', nullif(content.kind, ''), content.name, nullif(content.version, ''), nullif(content.arch, ''))
            ORDER BY content.name COLLATE "C", content.version COLLATE "C", content.arch COLLATE "C") AS labels
    FROM relation
    JOIN core.content ON content.id = relation.speaker_id
    GROUP BY relation.named_id
)
SELECT unit.id, unit.kind, unit.name, unit.version, unit.arch, unit.listings,
    (SELECT count(DISTINCT ordinal) FROM core.remote_artifact WHERE content_id = unit.id),
    (SELECT count(*) FROM core.content_artifact WHERE content_id = unit.id),
    coalesce(refers.labels, '{}'), coalesce(referred.labels, '{}')
FROM (
    SELECT content.id, content.kind, content.name, content.version, content.arch, member.listings
    FROM (
        SELECT membership.content_id, array_agg(listing.name ORDER BY listing.name COLLATE "C") AS listings
        FROM core.membership
        JOIN core.listing ON listing.id = membership.listing_id
        WHERE membership.repository_id = %(repository_id)s AND membership.added <= %(number)s
            AND (membership.removed IS NULL OR membership.removed > %(number)s)
        GROUP BY membership.content_id
    ) AS member
    JOIN core.content ON content.id = member.content_id
    WHERE content.kind = ANY(%(kinds)s) AND content.name LIKE %(pattern)s
) AS unit
LEFT JOIN refers ON refers.id = unit.id
LEFT JOIN referred ON referred.id = unit.id
ORDER BY unit.kind COLLATE "C", unit.name COLLATE "C", unit.version COLLATE "C", unit.arch COLLATE "C", unit.id;

-- name: diff
-- Units that are in one of two versions and not in the other. true = it came.
WITH state AS (
    SELECT content_id,
        bool_or(added <= %(old)s AND (removed IS NULL OR removed > %(old)s)) AS was_there,
        bool_or(added <= %(new)s AND (removed IS NULL OR removed > %(new)s)) AS is_there
    FROM core.membership
    WHERE repository_id = %(repository_id)s
    GROUP BY content_id
)
SELECT state.is_there, content.kind, content.name, content.version, content.arch
FROM state
JOIN core.content ON content.id = state.content_id
WHERE state.was_there <> state.is_there
ORDER BY content.kind COLLATE "C", content.name COLLATE "C", state.is_there, content.version COLLATE "C", content.arch COLLATE "C",
    content.id;

-- name: files
-- Files of a version's units: how many we hold and how many were deferred, and their bytes as far as they are known.
WITH member AS (
    SELECT DISTINCT membership.content_id
    FROM core.membership
    JOIN core.content ON content.id = membership.content_id
    WHERE membership.repository_id = %(repository_id)s AND membership.added <= %(number)s
        AND (membership.removed IS NULL OR membership.removed > %(number)s)
        AND content.kind = ANY(%(kinds)s) AND content.name LIKE %(pattern)s
), promised AS (
    SELECT remote_artifact.content_id, remote_artifact.ordinal, max(remote_artifact.size_bytes) AS size_bytes
    FROM member
    JOIN core.remote_artifact ON remote_artifact.content_id = member.content_id
    GROUP BY remote_artifact.content_id, remote_artifact.ordinal
)
SELECT count(content_artifact.content_id),
    coalesce(sum(promised.size_bytes) FILTER (WHERE content_artifact.content_id IS NOT NULL), 0)::bigint,
    count(*) FILTER (WHERE content_artifact.content_id IS NULL),
    coalesce(sum(promised.size_bytes) FILTER (WHERE content_artifact.content_id IS NULL), 0)::bigint
FROM promised
LEFT JOIN core.content_artifact ON content_artifact.content_id = promised.content_id
    AND content_artifact.ordinal = promised.ordinal;

-- name: deferred_page
-- The next units, by id, that lack a file: one row per file of theirs, held or not, in order. Where the repository's own
-- remote never named the unit (it moved to another URL), what another remote said of it serves: ``base`` is that one's URL.
WITH page AS (
    SELECT DISTINCT membership.content_id
    FROM core.membership
    JOIN core.content ON content.id = membership.content_id
    WHERE membership.repository_id = %(repository_id)s AND membership.content_id > %(after)s
        AND membership.added <= %(number)s AND (membership.removed IS NULL OR membership.removed > %(number)s)
        AND content.kind = ANY(%(kinds)s) AND content.name LIKE %(pattern)s
        AND EXISTS (
            SELECT FROM core.remote_artifact
            WHERE remote_artifact.content_id = membership.content_id AND NOT EXISTS (
                SELECT FROM core.content_artifact
                WHERE content_artifact.content_id = remote_artifact.content_id
                    AND content_artifact.ordinal = remote_artifact.ordinal
            )
        )
    ORDER BY membership.content_id
    LIMIT %(rows)s
), said_by AS (
    SELECT DISTINCT ON (remote_artifact.content_id) remote_artifact.content_id, remote_artifact.remote_id
    FROM page
    JOIN core.remote_artifact ON remote_artifact.content_id = page.content_id
    ORDER BY remote_artifact.content_id, remote_artifact.remote_id <> %(remote_id)s, remote_artifact.remote_id DESC
)
SELECT content.id, content.key, content.kind, content.name, content.version, content.arch,
    remote_artifact.ordinal, remote_artifact.path, remote_artifact.sha256, remote_artifact.size_bytes, remote_artifact.urls,
    remote_artifact.digests, CASE WHEN said_by.remote_id <> %(remote_id)s THEN remote.url END, content_artifact.artifact_id
FROM said_by
JOIN core.content ON content.id = said_by.content_id
JOIN core.remote_artifact ON remote_artifact.content_id = said_by.content_id AND remote_artifact.remote_id = said_by.remote_id
JOIN core.remote ON remote.id = said_by.remote_id
LEFT JOIN core.content_artifact ON content_artifact.content_id = remote_artifact.content_id
    AND content_artifact.ordinal = remote_artifact.ordinal
ORDER BY content.id, remote_artifact.ordinal;
