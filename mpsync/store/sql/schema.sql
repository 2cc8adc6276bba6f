-- The whole schema, to be read from top to bottom: what the numbered migrations beside this file add up to. No command runs it;
-- tests/integration/test_migrate.py replays the migrations and compares.
--
-- The store. Content and what remotes say of it are shared by all repositories; membership makes versions of them.
--
-- Hot tables (content, record_block, remote_artifact, membership) carry no foreign keys: a trigger per row would cost more
-- than the row (docs/decisions/0003). Their rows are written by set-based statements of store/ only, and `mpsync check` joins them.
CREATE SCHEMA core;

-- Ids come in blocks: the client numbers its rows itself and COPYs them into every table at once.
CREATE SEQUENCE core.content_id INCREMENT BY 4096;
CREATE SEQUENCE core.block_id INCREMENT BY 256;

-- Raw upstream records, some dozens to a zstd frame. A unit points into the uncompressed frame.
CREATE TABLE core.record_block (
    id bigint CONSTRAINT record_block_pk PRIMARY KEY,
    body bytea NOT NULL
);
ALTER TABLE core.record_block ALTER COLUMN body SET STORAGE EXTERNAL;

-- One row per unit, whatever its kind. key = sha256(kind, NUL, raw record): see model/content.py.
CREATE TABLE core.content (
    id bigint CONSTRAINT content_pk PRIMARY KEY,
    block_id bigint NOT NULL,
    block_offset integer NOT NULL,
    raw_bytes integer NOT NULL,
    key bytea NOT NULL CONSTRAINT content_key_unique UNIQUE,
    kind text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    arch text NOT NULL
);

-- Which other units a unit speaks of, by what they are called: a module names its packages.
CREATE TABLE core.reference (
    content_id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    arch text NOT NULL
);
CREATE INDEX reference_by_content ON core.reference (content_id);

-- Bytes we hold, content-addressed on disk.
CREATE TABLE core.artifact (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT artifact_pk PRIMARY KEY,
    size_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sha256 bytea NOT NULL CONSTRAINT artifact_sha256_unique UNIQUE
);

-- Which artifact is which file of a unit; only for files that we hold.
CREATE TABLE core.content_artifact (
    content_id bigint NOT NULL,
    artifact_id bigint NOT NULL,
    ordinal smallint NOT NULL,
    path text NOT NULL,
    CONSTRAINT content_artifact_pk PRIMARY KEY (content_id, ordinal)
);
CREATE INDEX content_artifact_by_artifact ON core.content_artifact (artifact_id);

CREATE TABLE core.remote (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT remote_pk PRIMARY KEY,
    url text NOT NULL CONSTRAINT remote_url_unique UNIQUE
);

-- Where a remote says that a unit's files are. urls NULL = path below the remote's URL. sha256 NULL = not known before the download.
CREATE TABLE core.remote_artifact (
    content_id bigint NOT NULL,
    size_bytes bigint,
    remote_id integer NOT NULL,
    ordinal smallint NOT NULL,
    path text NOT NULL,
    sha256 bytea,
    urls text[],
    digests jsonb,
    CONSTRAINT remote_artifact_pk PRIMARY KEY (content_id, remote_id, ordinal)
);

CREATE TABLE core.repository (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT repository_pk PRIMARY KEY,
    name text NOT NULL CONSTRAINT repository_name_unique UNIQUE,
    plugin text NOT NULL,
    remote_id integer CONSTRAINT repository_remote_fk REFERENCES core.remote (id),
    options jsonb NOT NULL DEFAULT '{}',
    state jsonb NOT NULL DEFAULT '{}',
    latest integer NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A version exists when its row does. counts = {kind: {total, added, removed}}.
CREATE TABLE core.version (
    repository_id integer NOT NULL CONSTRAINT version_repository_fk REFERENCES core.repository (id) ON DELETE CASCADE,
    number integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    counts jsonb NOT NULL,
    CONSTRAINT version_pk PRIMARY KEY (repository_id, number)
);

-- What lists a unit within a repository: an index such as bookworm/main/binary-amd64. parser, sha256: the index file whose
-- rows the listing's current members are; NULL when they are not exactly those of one file. results: what the parse steps said of it.
CREATE TABLE core.listing (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT listing_pk PRIMARY KEY,
    repository_id integer NOT NULL CONSTRAINT listing_repository_fk REFERENCES core.repository (id) ON DELETE CASCADE,
    name text NOT NULL,
    parser text,
    sha256 bytea,
    results jsonb,
    CONSTRAINT listing_name_unique UNIQUE (repository_id, name)
);
CREATE INDEX listing_by_sha256 ON core.listing (sha256) WHERE sha256 IS NOT NULL;

-- Membership by interval: in the versions added <= v < removed. A version costs what it changes.
CREATE TABLE core.membership (
    content_id bigint NOT NULL,
    repository_id integer NOT NULL,
    listing_id integer NOT NULL,
    added integer NOT NULL,
    removed integer,
    CONSTRAINT membership_pk PRIMARY KEY (repository_id, content_id, listing_id, added)
);
