-- What becomes of mails that are not taken at once. As in 0001: one text for every database.

-- How long a mail has waited, counted up to waited_at_ms; from its creation where that is NULL. A stretch in which the
-- clock leaped is counted only in part.
ALTER TABLE mails ADD COLUMN waited_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mails ADD COLUMN waited_at_ms BIGINT;
-- The ids of the mails that it belongs under, a space between them; NULL where there are none, or from before.
ALTER TABLE mails ADD COLUMN thread_ids TEXT;
-- The command that prints what is attached; NULL where nothing is, or from before.
ALTER TABLE mails ADD COLUMN export_command TEXT;
-- How often it was split because the server did not take its size.
ALTER TABLE mails ADD COLUMN splits BIGINT NOT NULL DEFAULT 0;
-- The first mail of a kind about a client.
CREATE INDEX mails_by_client ON mails (client_id, kind, id);
