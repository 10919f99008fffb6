-- How many sessions of the table are active, of those that have expired all that were not cleaned up.
ALTER TABLE nanobrain_tables ADD COLUMN active_count INTEGER NOT NULL DEFAULT 0;
