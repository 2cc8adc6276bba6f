-- name: lock
-- One key for all of mpsync in a database; held until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('mpsync schema_migration', 0));

-- name: create_table
-- namespace is 'mpsync' for the core, a plugin's name for its own tables.
CREATE TABLE IF NOT EXISTS schema_migration (
    namespace  text        NOT NULL,
    number     integer     NOT NULL,
    name       text        NOT NULL,
    sha256     bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_migration_pkey PRIMARY KEY (namespace, number)
);

-- name: applied
SELECT number, name, sha256 FROM schema_migration WHERE namespace = %(namespace)s;

-- name: insert
INSERT INTO schema_migration (namespace, number, name, sha256)
VALUES (%(namespace)s, %(number)s, %(name)s, %(sha256)s);
