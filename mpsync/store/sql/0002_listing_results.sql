-- What the parse steps said of the index file that a listing's rows are of: remembered with it, and given back with its rows.
ALTER TABLE core.listing ADD COLUMN results jsonb;
