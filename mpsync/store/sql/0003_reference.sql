-- Which other units a unit speaks of, by what they are called: a module names its packages. It follows from the raw record, so it
-- is written once, with the unit; which units these are, a join says, version by version.
CREATE TABLE core.reference (
    content_id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    arch text NOT NULL
);
CREATE INDEX reference_by_content ON core.reference (content_id);
