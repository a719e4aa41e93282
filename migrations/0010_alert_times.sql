-- Which alerts were open at a time, without looking at the alerts themselves. As in 0001: one text for every database.

-- Each index has both times, so that it alone answers; after the first one the id, by which rows of the same time are
-- listed.
DROP INDEX alerts_by_end /*! ON alerts */;
CREATE INDEX alerts_by_end ON alerts (resolved_at_ms, id, raised_at_ms);
DROP INDEX alerts_by_time /*! ON alerts */;
CREATE INDEX alerts_by_time ON alerts (raised_at_ms, id, resolved_at_ms);
