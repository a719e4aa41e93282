-- What a collector tells of itself beyond its process number, and what is left of a client's daily allowance. As in
-- 0001: one text for every database.

-- run_mode is `once`, `headless` or `dashboard`. process_mark names the process among all that ever had its number on
-- any machine of that name. is_ending is 1 once it is about to give up the database. All NULL where that is not known.
ALTER TABLE collectors ADD COLUMN run_mode VARCHAR(16);
ALTER TABLE collectors ADD COLUMN process_mark VARCHAR(128);
ALTER TABLE collectors ADD COLUMN is_ending BIGINT;

-- The security events of one UTC day, days since the epoch: how many of this client were stored, how large they were,
-- and how many more were left out. NULL before the first.
ALTER TABLE clients ADD COLUMN events_day BIGINT;
ALTER TABLE clients ADD COLUMN events_stored BIGINT;
ALTER TABLE clients ADD COLUMN events_bytes BIGINT;
ALTER TABLE clients ADD COLUMN events_left_out BIGINT;
