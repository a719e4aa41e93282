-- Counters of clients, and what their differences say. As in 0001: one text for every database.

-- The counters of the last collection of each client, as JSON. The next collection takes the differences.
CREATE TABLE client_counters (
    client_id BIGINT NOT NULL PRIMARY KEY,
    counters TEXT NOT NULL,
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
/*! ALTER TABLE client_counters MODIFY counters MEDIUMTEXT NOT NULL */;

-- The time over which cpu_percent is averaged, and what it does not contain.
ALTER TABLE collections ADD COLUMN cpu_span_ms BIGINT;
ALTER TABLE collections ADD COLUMN steal_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN iowait_percent DOUBLE PRECISION;

-- The worst instance of each metric, or the value of the host.
ALTER TABLE collections ADD COLUMN network_mbit DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN network_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN disk_busy_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN pressure_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN oom_kills DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN restarts DOUBLE PRECISION;

CREATE OR REPLACE VIEW v1_samples AS
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
    collections.disk_percent AS disk_percent,
    collections.cpu_span_ms AS cpu_span_ms,
    collections.steal_percent AS steal_percent,
    collections.iowait_percent AS iowait_percent,
    collections.network_mbit AS network_mbit,
    collections.network_percent AS network_percent,
    collections.disk_busy_percent AS disk_busy_percent,
    collections.pressure_percent AS pressure_percent,
    collections.oom_kills AS oom_kills,
    collections.restarts AS restarts
FROM collections
JOIN clients ON clients.id = collections.client_id
WHERE collections.collected_at_ms IS NOT NULL;

CREATE OR REPLACE VIEW v1_latest AS
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
    collections.disk_percent AS disk_percent,
    collections.cpu_span_ms AS cpu_span_ms,
    collections.steal_percent AS steal_percent,
    collections.iowait_percent AS iowait_percent,
    collections.network_mbit AS network_mbit,
    collections.network_percent AS network_percent,
    collections.disk_busy_percent AS disk_busy_percent,
    collections.pressure_percent AS pressure_percent,
    collections.oom_kills AS oom_kills,
    collections.restarts AS restarts
FROM clients
JOIN collections ON collections.id = clients.latest_collection;
