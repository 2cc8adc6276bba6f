-- What only the whole of a version shows. pg_temp.draft and pg_temp.drafting: see store/draft.py.

-- name: news
-- The repository's listings: whether each was read now, whether upstream has it now (read, or known to be unchanged), and
-- whether the version equals upstream.
WITH read AS MATERIALIZED (
    SELECT DISTINCT listing_id FROM pg_temp.seen
)
SELECT listing.id, listing.name, drafting.is_exact,
    listing.id IN (SELECT listing_id FROM read),
    listing.id IN (SELECT listing_id FROM read UNION ALL SELECT listing_id FROM pg_temp.carried)
FROM pg_temp.drafting
JOIN core.listing ON listing.repository_id = drafting.repository_id;

-- name: twins
-- Units of one listing that share kind, name, version and architecture; those that upstream lists now are told apart.
-- Ordered as they lie in the store, which is the order of upstream's file for units that came together.
SELECT unit.kind, unit.listing_id, unit.name, unit.version, unit.arch,
    array_agg(unit.id ORDER BY unit.is_new, unit.block_id, unit.block_offset),
    array_agg(unit.is_new ORDER BY unit.is_new, unit.block_id, unit.block_offset)
FROM (
    SELECT content.kind, draft.listing_id, content.name, content.version, content.arch, content.id,
        content.block_id, content.block_offset, bool_or(draft.is_new) AS is_new
    FROM pg_temp.draft
    JOIN core.content ON content.id = draft.content_id
    WHERE draft.listing_id = ANY(%(listing_ids)s) AND content.kind = ANY(%(kinds)s)
    GROUP BY draft.listing_id, content.id
) AS unit
GROUP BY unit.kind, unit.listing_id, unit.name, unit.version, unit.arch
HAVING count(*) > 1;

-- name: crowded
-- Packages of which a listing holds more than %(count)s of one name and architecture.
SELECT unit.id, unit.listing_id, unit.name, unit.version, unit.arch
FROM (
    SELECT content.id, draft.listing_id, content.name, content.version, content.arch,
        count(*) OVER (PARTITION BY draft.listing_id, content.name, content.arch) AS crowd
    FROM (SELECT DISTINCT content_id, listing_id FROM pg_temp.draft WHERE listing_id = ANY(%(listing_ids)s)) AS draft
    JOIN core.content ON content.id = draft.content_id
    WHERE content.kind = 'rpm.package'
) AS unit
WHERE unit.crowd > %(count)s
ORDER BY unit.listing_id, unit.name, unit.arch;

-- name: members
-- All units of a kind in some listings.
SELECT DISTINCT draft.content_id, draft.listing_id
FROM pg_temp.draft
JOIN core.content ON content.id = draft.content_id
WHERE draft.listing_id = ANY(%(listing_ids)s) AND content.kind = %(kind)s
ORDER BY draft.content_id;

-- name: outdated
-- What stays from before in some listings, though upstream lists something else there now.
SELECT DISTINCT draft.content_id, draft.listing_id
FROM pg_temp.draft
WHERE draft.listing_id = ANY(%(listing_ids)s) AND NOT draft.is_new
    AND NOT EXISTS (
        SELECT FROM pg_temp.seen
        WHERE seen.content_id = draft.content_id AND seen.listing_id = draft.listing_id
    );

-- name: strays
-- File lists and changelogs whose package is not in the version.
SELECT DISTINCT draft.content_id, draft.listing_id
FROM pg_temp.draft
JOIN core.content AS record ON record.id = draft.content_id
WHERE draft.listing_id = ANY(%(listing_ids)s)
    AND (record.name, record.version, record.arch) NOT IN (
        SELECT package.name, package.version, package.arch
        FROM pg_temp.draft AS packages
        JOIN core.content AS package ON package.id = packages.content_id
        WHERE packages.listing_id = %(primary_id)s
    );

-- name: listings_named
SELECT listing.id FROM core.listing
JOIN pg_temp.drafting ON drafting.repository_id = listing.repository_id
WHERE listing.name = %(name)s;

-- name: listings_like
-- A role's listings in all folders.
SELECT listing.id FROM core.listing
JOIN pg_temp.drafting ON drafting.repository_id = listing.repository_id
WHERE listing.name = %(role)s OR listing.name LIKE '%%/' || %(role)s;
