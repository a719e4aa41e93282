-- How far time is known to have come, so that no single reading of a clock deletes history. As in 0001: one text for
-- every database.

-- clock_ms is the time up to which deleting trusts the clock; it follows the clock only as fast as time has really
-- passed. clock_boot names the boot of the machine that noted it, clock_uptime_ms is how long that had been up. NULL
-- before the first note.
ALTER TABLE collectors ADD COLUMN clock_ms BIGINT;
ALTER TABLE collectors ADD COLUMN clock_boot VARCHAR(64);
ALTER TABLE collectors ADD COLUMN clock_uptime_ms BIGINT;

-- Their numbers grow whatever the clock does.
CREATE INDEX sweeps_by_number ON sweeps (sweep_number);
