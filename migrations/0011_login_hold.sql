-- Logins that are held after a refusal. As in 0001: one text for every database.

-- As JSON: since when, how often refused, and salted marks by which the credentials are recognised; NULL if none is held.
ALTER TABLE clients ADD COLUMN login_hold TEXT;
