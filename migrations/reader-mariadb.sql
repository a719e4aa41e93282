-- MariaDB: a role that may read the views of README.md beside this file, and nothing else.
--
-- Run it after the first collection, and once more after an upgrade that brings new views, as an account that may
-- grant, in the database that fleetsweep collects into:
--     mariadb DATABASE < reader-mariadb.sql
-- Then let those read who shall:
--     CREATE USER grafana IDENTIFIED BY '…';
--     GRANT fleetsweep_reader TO grafana;
--     SET DEFAULT ROLE fleetsweep_reader FOR grafana;   (MySQL: TO grafana)
-- The views read the tables with the rights of the account that fleetsweep uses: they need it to stay.
CREATE ROLE IF NOT EXISTS fleetsweep_reader;

GRANT SELECT ON v1_samples TO fleetsweep_reader;
GRANT SELECT ON v1_latest TO fleetsweep_reader;
GRANT SELECT ON v1_cores TO fleetsweep_reader;
GRANT SELECT ON v1_collections TO fleetsweep_reader;
GRANT SELECT ON v1_alerts TO fleetsweep_reader;
GRANT SELECT ON v1_events TO fleetsweep_reader;
GRANT SELECT ON v1_audit TO fleetsweep_reader;
GRANT SELECT ON v1_mails TO fleetsweep_reader;
