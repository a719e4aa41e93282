-- Who acknowledged an alert. As in 0001: one text for every database.

-- The operator's account; NULL where nobody did, or from before. When is in acknowledged_at_ms.
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
