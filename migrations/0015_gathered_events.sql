-- Security logs that wait for a mail that gathers several of them. As in 0001: one text for every database.

-- Since when this is gathered, in how many logs, and how many events they have; NULL if nothing is gathered.
ALTER TABLE clients ADD COLUMN gathering_since_ms BIGINT;
ALTER TABLE clients ADD COLUMN gathered_logs BIGINT;
ALTER TABLE clients ADD COLUMN gathered_events BIGINT;

-- The logs. Their events are those of security_events from first_event on. The login of the collector is by the clock of
-- the client; NULL if it is not known.
CREATE TABLE gathered_logs (
    collection_uuid VARCHAR(36) NOT NULL PRIMARY KEY,
    client_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    channel TEXT NOT NULL,
    access VARCHAR(16) NOT NULL,
    is_truncated BIGINT NOT NULL,
    first_event BIGINT NOT NULL,
    events BIGINT NOT NULL,
    login_from_ms BIGINT,
    login_to_ms BIGINT,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX gathered_logs_by_client ON gathered_logs (client_id, at_ms);
