-- What a new version will hold, while a plugin has its last word on it: the session's own temporary objects.

-- name: open
CREATE TEMPORARY TABLE drafting (repository_id integer NOT NULL, remote_id integer NOT NULL, is_exact boolean NOT NULL);
-- is_new: upstream lists it now. The others stay from the version before. A unit may be there more than once.
CREATE TEMPORARY VIEW draft AS
SELECT content_id, listing_id, true AS is_new FROM pg_temp.seen
UNION ALL
SELECT membership.content_id, membership.listing_id, false
FROM pg_temp.drafting
JOIN core.membership ON membership.repository_id = drafting.repository_id
WHERE membership.removed IS NULL
    AND (NOT drafting.is_exact OR membership.listing_id IN (SELECT listing_id FROM pg_temp.carried))
    AND NOT EXISTS (
        SELECT FROM pg_temp.gone
        WHERE gone.content_id = membership.content_id AND gone.listing_id = membership.listing_id
    );

-- name: describe
INSERT INTO pg_temp.drafting (repository_id, remote_id, is_exact)
VALUES (%(repository_id)s, %(remote_id)s, %(is_exact)s);

-- name: close
DROP VIEW IF EXISTS pg_temp.draft;
DROP TABLE IF EXISTS pg_temp.drafting;

-- name: withdraw_seen
DELETE FROM pg_temp.seen
USING unnest(%(content_ids)s::bigint[], %(listing_ids)s::integer[]) AS given (content_id, listing_id)
WHERE seen.content_id = given.content_id AND seen.listing_id = given.listing_id;

-- name: withdraw_members
INSERT INTO pg_temp.gone (content_id, listing_id, added)
SELECT membership.content_id, membership.listing_id, membership.added
FROM unnest(%(content_ids)s::bigint[], %(listing_ids)s::integer[]) AS given (content_id, listing_id)
JOIN core.membership ON membership.content_id = given.content_id AND membership.listing_id = given.listing_id
WHERE membership.repository_id = %(repository_id)s AND membership.removed IS NULL
    AND NOT EXISTS (
        SELECT FROM pg_temp.gone
        WHERE gone.content_id = membership.content_id AND gone.listing_id = membership.listing_id
    );
