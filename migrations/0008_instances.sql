-- Alerts of one instance of a metric: a mount, an interface, a service. As in 0001: one text for every database.
--
-- An alert is identified by its client, its metric and its instance. The instance is empty for the host as a whole,
-- as it is for everything that was stored before.

ALTER TABLE alerts ADD COLUMN instance VARCHAR(256) NOT NULL DEFAULT '';

-- How often in a row a limit was exceeded, now by instance too. SQLite cannot change a primary key.
ALTER TABLE rule_states RENAME TO host_rule_states;
CREATE TABLE rule_states (
    client_id BIGINT NOT NULL,
    metric VARCHAR(16) NOT NULL,
    instance VARCHAR(256) NOT NULL,
    over_in_a_row BIGINT NOT NULL,
    PRIMARY KEY (client_id, metric, instance),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
INSERT INTO rule_states (client_id, metric, instance, over_in_a_row)
SELECT client_id, metric, '', over_in_a_row
FROM host_rule_states;
DROP TABLE host_rule_states;

-- What reads the view goes on reading it: a view that is replaced keeps who may read it. (For SQLite, which cannot
-- replace a view and knows no accounts, the program drops it first.)
CREATE OR REPLACE VIEW v1_alerts AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    alerts.metric AS type,
    alerts.limit_value AS limit_value,
    alerts.last_value AS value,
    alerts.raised_at_ms AS raised_at_ms,
    alerts.resolved_at_ms AS resolved_at_ms,
    alerts.last_mail_at_ms AS last_mail_at_ms,
    alerts.instance AS instance
FROM alerts
JOIN clients ON clients.id = alerts.client_id;
