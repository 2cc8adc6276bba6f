-- name: dump
-- One line per thing, sorted by bytes. Things of PostgreSQL itself, of extensions and of the migration table are left out.
WITH ours AS (
    SELECT n.oid, n.nspname
    FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reloptions, quote_ident(o.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_class c
    JOIN ours o ON o.oid = c.relnamespace
    WHERE c.relname NOT IN ('schema_migration', 'schema_migration_pkey')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), line AS (
    SELECT 'schema ' || quote_ident(nspname) AS text FROM ours
    UNION ALL
    SELECT 'extension ' || quote_ident(extname) FROM pg_extension
    UNION ALL
    SELECT CASE relkind WHEN 'p' THEN 'partitioned table ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || name
        || CASE relpersistence WHEN 'u' THEN ' unlogged' ELSE '' END
        || coalesce(' with ' || array_to_string(reloptions, ', '), '')
    FROM relation WHERE relkind IN ('r', 'p', 'f')
    UNION ALL
    SELECT 'view ' || name || ' as ' || pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 'column ' || r.name || '.' || quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || CASE a.attidentity WHEN 'a' THEN ' identity always' WHEN 'd' THEN ' identity by default' ELSE '' END
        || CASE a.attgenerated WHEN 's' THEN ' generated stored' WHEN 'v' THEN ' generated virtual' ELSE '' END
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
        || CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN ' collate ' || quote_ident(l.collname) ELSE '' END
        || CASE WHEN a.attstorage <> t.typstorage THEN ' storage ' || a.attstorage::text ELSE '' END
        || CASE WHEN a.attcompression <> '' THEN ' compression ' || a.attcompression::text ELSE '' END
    FROM relation r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f')
    UNION ALL
    SELECT 'constraint ' || r.name || ' ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
    FROM relation r
    JOIN pg_constraint k ON k.conrelid = r.oid
    WHERE k.contype <> 'n'
    UNION ALL
    SELECT 'index ' || pg_get_indexdef(oid) FROM relation WHERE relkind IN ('i', 'I')
    UNION ALL
    SELECT 'sequence ' || r.name || ' ' || format_type(s.seqtypid, NULL) || ' start ' || s.seqstart || ' by ' || s.seqincrement
        || ' from ' || s.seqmin || ' to ' || s.seqmax || ' cache ' || s.seqcache || CASE WHEN s.seqcycle THEN ' cycle' ELSE '' END
    FROM relation r
    JOIN pg_sequence s ON s.seqrelid = r.oid
    UNION ALL
    SELECT CASE p.prokind WHEN 'a' THEN 'aggregate ' || p.oid::regprocedure::text ELSE 'function ' || pg_get_functiondef(p.oid) END
    FROM pg_proc p
    JOIN ours o ON o.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'trigger ' || pg_get_triggerdef(t.oid)
    FROM pg_trigger t
    JOIN relation r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'enum ' || quote_ident(o.nspname) || '.' || quote_ident(t.typname) || ' '
        || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
    FROM pg_type t
    JOIN ours o ON o.oid = t.typnamespace
    WHERE t.typtype = 'e'
    UNION ALL
    SELECT 'domain ' || quote_ident(o.nspname) || '.' || quote_ident(t.typname) || ' ' || format_type(t.typbasetype, t.typtypmod)
        || CASE WHEN t.typnotnull THEN ' not null' ELSE '' END || coalesce(' default ' || t.typdefault, '')
        || coalesce((SELECT string_agg(' ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), '' ORDER BY k.conname)
                     FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
    FROM pg_type t
    JOIN ours o ON o.oid = t.typnamespace
    WHERE t.typtype = 'd'
)
SELECT text FROM line ORDER BY text COLLATE "C";
