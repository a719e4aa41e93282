-- MariaDB: a role that can only read the views in README.md.
--
-- Run it after the first collection, and again after an upgrade with new views, as an account that may grant, in the
-- database of fleetsweep:
--     mariadb DATABASE < reader-mariadb.sql
-- Then grant the role to the accounts that may read:
--     CREATE USER grafana IDENTIFIED BY '…';
--     GRANT fleetsweep_reader TO grafana;
--     SET DEFAULT ROLE fleetsweep_reader FOR grafana;   (MySQL: TO grafana)
-- The views read the tables with the privileges of the account that fleetsweep uses, so do not delete it.
CREATE ROLE IF NOT EXISTS fleetsweep_reader;

GRANT SELECT ON v1_samples TO fleetsweep_reader;
GRANT SELECT ON v1_latest TO fleetsweep_reader;
GRANT SELECT ON v1_cores TO fleetsweep_reader;
GRANT SELECT ON v1_collections TO fleetsweep_reader;
GRANT SELECT ON v1_alerts TO fleetsweep_reader;
GRANT SELECT ON v1_events TO fleetsweep_reader;
GRANT SELECT ON v1_audit TO fleetsweep_reader;
GRANT SELECT ON v1_mails TO fleetsweep_reader;
GRANT SELECT ON v1_history TO fleetsweep_reader;
GRANT SELECT ON v1_file_systems TO fleetsweep_reader;
GRANT SELECT ON v1_interfaces TO fleetsweep_reader;
GRANT SELECT ON v1_clients TO fleetsweep_reader;
