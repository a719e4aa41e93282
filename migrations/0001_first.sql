-- The first schema. One text for SQLite, PostgreSQL and MariaDB/MySQL: VARCHAR, TEXT, BIGINT and DOUBLE
-- PRECISION only, no quoted and no reserved names, every id made by the program. What stands in /*! */ is
-- read by MariaDB/MySQL alone, where a TEXT holds 64 KiB.
--
-- Times (_ms) are UTC milliseconds since the epoch, sizes bytes, shares percent 0 to 100.
-- NULL is: not measured, or has not happened.

-- Every client ever collected, and what is known of it between two collections.
CREATE TABLE clients (
    id BIGINT NOT NULL PRIMARY KEY,
    ip VARCHAR(255) NOT NULL,
    port BIGINT NOT NULL,
    name TEXT NOT NULL,
    failed_in_a_row BIGINT NOT NULL,
    latest_collection BIGINT,
    bookmark TEXT,
    UNIQUE (ip, port)
);

-- Every collection that ended, with its sample where it succeeded (collected_at_ms is then set).
CREATE TABLE collections (
    id BIGINT NOT NULL PRIMARY KEY,
    collection_uuid VARCHAR(36) NOT NULL,
    sweep_uuid VARCHAR(36) NOT NULL,
    client_id BIGINT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    stage VARCHAR(16),
    error TEXT,
    collected_at_ms BIGINT,
    host_name TEXT,
    cpu_percent DOUBLE PRECISION,
    core_count BIGINT,
    memory_total_bytes BIGINT,
    memory_used_bytes BIGINT,
    memory_percent DOUBLE PRECISION,
    swap_total_bytes BIGINT,
    swap_used_bytes BIGINT,
    swap_percent DOUBLE PRECISION,
    uptime_seconds BIGINT,
    load_1 DOUBLE PRECISION,
    load_5 DOUBLE PRECISION,
    load_15 DOUBLE PRECISION,
    disk_percent DOUBLE PRECISION,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);

-- Charts of one client, newest first; deleting what is old, client by client.
CREATE INDEX collections_by_sample ON collections (client_id, collected_at_ms);
CREATE INDEX collections_by_start ON collections (client_id, started_at_ms);

-- The cores of a sample.
CREATE TABLE cores (
    collection_id BIGINT NOT NULL,
    core BIGINT NOT NULL,
    cpu_percent DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (collection_id, core),
    FOREIGN KEY (collection_id) REFERENCES collections (id) ON DELETE CASCADE
);

-- The newest reading of each client, whole, as JSON.
CREATE TABLE readings (
    client_id BIGINT NOT NULL PRIMARY KEY,
    collected_at_ms BIGINT NOT NULL,
    reading TEXT NOT NULL,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
/*! ALTER TABLE readings MODIFY reading MEDIUMTEXT NOT NULL */;

-- How often in a row a rule was exceeded; absent is never.
CREATE TABLE rule_states (
    client_id BIGINT NOT NULL,
    metric VARCHAR(16) NOT NULL,
    over_in_a_row BIGINT NOT NULL,
    PRIMARY KEY (client_id, metric),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);

-- Alerts, open (resolved_at_ms is NULL) and ended.
CREATE TABLE alerts (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    client_id BIGINT NOT NULL,
    metric VARCHAR(16) NOT NULL,
    limit_value DOUBLE PRECISION NOT NULL,
    last_value DOUBLE PRECISION NOT NULL,
    peak_value DOUBLE PRECISION NOT NULL,
    raised_at_ms BIGINT NOT NULL,
    resolved_at_ms BIGINT,
    last_mail_at_ms BIGINT,
    acknowledged_at_ms BIGINT,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX alerts_by_client ON alerts (client_id, raised_at_ms);
CREATE INDEX alerts_by_end ON alerts (resolved_at_ms);

-- Security events. data_fields is a JSON list of pairs.
CREATE TABLE security_events (
    id BIGINT NOT NULL PRIMARY KEY,
    client_id BIGINT NOT NULL,
    channel TEXT NOT NULL,
    record_id TEXT NOT NULL,
    event_id BIGINT,
    level TEXT NOT NULL,
    occurred_at_ms BIGINT NOT NULL,
    stored_at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    account TEXT,
    message TEXT NOT NULL,
    data_fields TEXT NOT NULL,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
/*! ALTER TABLE security_events MODIFY data_fields MEDIUMTEXT NOT NULL */;
CREATE INDEX security_events_by_time ON security_events (client_id, occurred_at_ms);
CREATE INDEX security_events_by_storing ON security_events (stored_at_ms);

-- The outbox, and what left it. The id makes the Message-ID.
CREATE TABLE mails (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    kind VARCHAR(16) NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    created_at_ms BIGINT NOT NULL,
    next_at_ms BIGINT,
    sent_at_ms BIGINT,
    refused_at_ms BIGINT,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    server_answer TEXT
);
/*! ALTER TABLE mails MODIFY body MEDIUMTEXT NOT NULL */;
CREATE INDEX mails_by_status ON mails (status, next_at_ms);
CREATE INDEX mails_by_time ON mails (created_at_ms);

-- What operators did.
CREATE TABLE audit_entries (
    id BIGINT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_entries_by_time ON audit_entries (at_ms);

-- The contract with other programs: these views, and nothing else of this schema. See README.md beside this file.
CREATE VIEW v1_samples AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    clients.name AS client_name,
    collections.host_name AS host_name,
    collections.collected_at_ms AS collected_at_ms,
    collections.cpu_percent AS cpu_percent,
    collections.memory_total_bytes AS memory_total_bytes,
    collections.memory_used_bytes AS memory_used_bytes,
    collections.memory_percent AS memory_percent,
    collections.swap_total_bytes AS swap_total_bytes,
    collections.swap_used_bytes AS swap_used_bytes,
    collections.swap_percent AS swap_percent,
    collections.uptime_seconds AS uptime_seconds,
    collections.load_1 AS load_1,
    collections.load_5 AS load_5,
    collections.load_15 AS load_15,
    collections.disk_percent AS disk_percent
FROM collections
JOIN clients ON clients.id = collections.client_id
WHERE collections.collected_at_ms IS NOT NULL;

CREATE VIEW v1_latest AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    clients.name AS client_name,
    collections.host_name AS host_name,
    collections.collected_at_ms AS collected_at_ms,
    collections.cpu_percent AS cpu_percent,
    collections.memory_total_bytes AS memory_total_bytes,
    collections.memory_used_bytes AS memory_used_bytes,
    collections.memory_percent AS memory_percent,
    collections.swap_total_bytes AS swap_total_bytes,
    collections.swap_used_bytes AS swap_used_bytes,
    collections.swap_percent AS swap_percent,
    collections.uptime_seconds AS uptime_seconds,
    collections.load_1 AS load_1,
    collections.load_5 AS load_5,
    collections.load_15 AS load_15,
    collections.disk_percent AS disk_percent
FROM clients
JOIN collections ON collections.id = clients.latest_collection;

CREATE VIEW v1_cores AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    collections.collected_at_ms AS collected_at_ms,
    cores.core AS core,
    cores.cpu_percent AS cpu_percent
FROM cores
JOIN collections ON collections.id = cores.collection_id
JOIN clients ON clients.id = collections.client_id;

CREATE VIEW v1_collections AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    collections.sweep_uuid AS sweep_id,
    collections.started_at_ms AS started_at_ms,
    collections.duration_ms AS duration_ms,
    collections.attempts AS attempts,
    collections.status AS status,
    collections.stage AS stage,
    collections.error AS error
FROM collections
JOIN clients ON clients.id = collections.client_id;

CREATE VIEW v1_alerts AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    alerts.metric AS type,
    alerts.limit_value AS limit_value,
    alerts.last_value AS value,
    alerts.raised_at_ms AS raised_at_ms,
    alerts.resolved_at_ms AS resolved_at_ms,
    alerts.last_mail_at_ms AS last_mail_at_ms
FROM alerts
JOIN clients ON clients.id = alerts.client_id;

CREATE VIEW v1_events AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    security_events.channel AS channel,
    security_events.record_id AS record_id,
    security_events.event_id AS event_id,
    security_events.level AS level,
    security_events.occurred_at_ms AS occurred_at_ms,
    security_events.source AS source,
    security_events.message AS message
FROM security_events
JOIN clients ON clients.id = security_events.client_id;

CREATE VIEW v1_audit AS
SELECT at_ms, actor, action, target, detail
FROM audit_entries;

CREATE VIEW v1_mails AS
SELECT recipient, kind, subject, body, status, created_at_ms, sent_at_ms, attempts, last_error
FROM mails;
