-- name: written
-- Bytes of WAL since initdb, commits in all databases, size of this one.
SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, sum(xact_commit), pg_database_size(current_database()) FROM pg_stat_database;
