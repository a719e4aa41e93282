-- PostgreSQL: a role that can only read the views in README.md.
--
-- Run it after the first collection, and again after an upgrade with new views, as a superuser, in the database of
-- fleetsweep:
--     psql --set ON_ERROR_STOP=1 --file reader-postgresql.sql DATABASE
-- Then grant the role to the accounts that may read:
--     CREATE ROLE grafana LOGIN PASSWORD '…' IN ROLE fleetsweep_reader;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleetsweep_reader') THEN
        CREATE ROLE fleetsweep_reader NOLOGIN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO fleetsweep_reader', current_database());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO fleetsweep_reader', current_schema());
END
$$;

GRANT SELECT ON
    v1_samples, v1_latest, v1_cores, v1_collections, v1_alerts, v1_events, v1_audit, v1_mails
TO fleetsweep_reader;
GRANT SELECT ON v1_history TO fleetsweep_reader;
GRANT SELECT ON v1_file_systems TO fleetsweep_reader;
GRANT SELECT ON v1_interfaces TO fleetsweep_reader;
GRANT SELECT ON v1_clients TO fleetsweep_reader;
