-- What a look back needs: sweeps, how a collection went stage by stage, more than the newest reading, which mail
-- told of which alert; and who holds the database. As in 0001: one text for every database.

-- Every sweep that began. ended_at_ms, duration_ms and last_collection are NULL while it goes on, and for ever
-- where its process was killed. Sweeps from before this table are not in it: what set them off was never stored.
CREATE TABLE sweeps (
    sweep_uuid VARCHAR(36) NOT NULL PRIMARY KEY,
    sweep_number BIGINT NOT NULL,
    set_off_by VARCHAR(16) NOT NULL,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    duration_ms BIGINT,
    client_count BIGINT NOT NULL,
    ok_count BIGINT NOT NULL,
    failed_count BIGINT NOT NULL,
    -- The highest collections.id when it ended: what had been collected by then.
    last_collection BIGINT
);
CREATE INDEX sweeps_by_start ON sweeps (started_at_ms);

-- The stages of the last attempt as a JSON list of pairs, word and time entered (ms); NULL where that was not told.
ALTER TABLE collections ADD COLUMN stages TEXT;
-- Why it failed, as JSON: what stage and error say in words.
ALTER TABLE collections ADD COLUMN failure TEXT;
-- The last collection of a client up to another one.
CREATE INDEX collections_by_client ON collections (client_id, id);

-- The newest readings of each client, whole, as JSON: a ring of numbered slots, so that each new reading takes the
-- place of the oldest. clients.latest_slot is the newest one's; NULL where there is none.
ALTER TABLE clients ADD COLUMN latest_slot BIGINT;
ALTER TABLE readings RENAME TO newest_readings;
CREATE TABLE readings (
    client_id BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    collection_id BIGINT NOT NULL,
    collected_at_ms BIGINT NOT NULL,
    reading TEXT NOT NULL,
    PRIMARY KEY (client_id, slot),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
/*! ALTER TABLE readings MODIFY reading MEDIUMTEXT NOT NULL */;
INSERT INTO readings (client_id, slot, collection_id, collected_at_ms, reading)
SELECT newest_readings.client_id, 0, COALESCE(clients.latest_collection, 0), newest_readings.collected_at_ms,
    newest_readings.reading
FROM newest_readings
JOIN clients ON clients.id = newest_readings.client_id;
DROP TABLE newest_readings;
UPDATE clients SET latest_slot = 0 WHERE id IN (SELECT client_id FROM readings);
CREATE INDEX readings_by_collection ON readings (collection_id);

-- What was last decided about mailing an alert, as JSON. Of those from before, only what follows from the rest.
ALTER TABLE alerts ADD COLUMN notice VARCHAR(64) NOT NULL DEFAULT '';
UPDATE alerts SET notice = CASE
    WHEN resolved_at_ms IS NOT NULL THEN '{"mail":"hold","reason":"no_recovery_mail"}'
    WHEN acknowledged_at_ms IS NOT NULL THEN '{"mail":"hold","reason":"acknowledged"}'
    WHEN last_mail_at_ms IS NOT NULL THEN '{"mail":"hold","reason":"recently_mailed"}'
    ELSE '{"mail":"hold","reason":"no_recipient"}'
END;
CREATE INDEX alerts_by_time ON alerts (raised_at_ms);

-- To which client and sweep a mail belongs; NULL where to none, or from before.
ALTER TABLE mails ADD COLUMN client_id BIGINT;
ALTER TABLE mails ADD COLUMN sweep_uuid VARCHAR(36);

-- Which mails told of which alert.
CREATE TABLE alert_mails (
    alert_id VARCHAR(36) NOT NULL,
    mail_id VARCHAR(36) NOT NULL,
    PRIMARY KEY (alert_id, mail_id),
    FOREIGN KEY (alert_id) REFERENCES alerts (id) ON DELETE CASCADE,
    FOREIGN KEY (mail_id) REFERENCES mails (id) ON DELETE CASCADE
);
CREATE INDEX alert_mails_by_mail ON alert_mails (mail_id);

-- The collector that holds the database, one row. Opening puts a new holder_uuid there, and every transaction of a
-- collector begins by finding its own; the rest is NULL until it has announced itself.
CREATE TABLE collectors (
    holder_uuid VARCHAR(36) NOT NULL PRIMARY KEY,
    host_name TEXT,
    process_id BIGINT,
    account TEXT,
    socket_path TEXT,
    started_at_ms BIGINT,
    program_version TEXT
);
