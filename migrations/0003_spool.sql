-- What makes storing from the spool idempotent. As in 0001: one text for every database.

-- last_write names the collector's last transaction: one whose answer was lost is found by it. spool_uuid and
-- spool_position say up to which byte of which spool everything is stored. They pass from one collector to the next.
ALTER TABLE collectors ADD COLUMN last_write VARCHAR(36);
ALTER TABLE collectors ADD COLUMN spool_uuid VARCHAR(36);
ALTER TABLE collectors ADD COLUMN spool_position BIGINT;
