-- Values of clients that are no counters: inodes, committed memory, units, the clock, updates and temperature. As in 0001:
-- one text for every database.
--
-- Of a metric with a value for each mount, the worst is stored; of units, their number.

ALTER TABLE collections ADD COLUMN inodes_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN commit_percent DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN failed_units DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN clock_offset_seconds DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN security_updates DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN reboot_required DOUBLE PRECISION;
ALTER TABLE collections ADD COLUMN temperature_celsius DOUBLE PRECISION;

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
    collections.restarts AS restarts,
    collections.inodes_percent AS inodes_percent,
    collections.commit_percent AS commit_percent,
    collections.failed_units AS failed_units,
    collections.clock_offset_seconds AS clock_offset_seconds,
    collections.security_updates AS security_updates,
    collections.reboot_required AS reboot_required,
    collections.temperature_celsius AS temperature_celsius
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
    collections.restarts AS restarts,
    collections.inodes_percent AS inodes_percent,
    collections.commit_percent AS commit_percent,
    collections.failed_units AS failed_units,
    collections.clock_offset_seconds AS clock_offset_seconds,
    collections.security_updates AS security_updates,
    collections.reboot_required AS reboot_required,
    collections.temperature_celsius AS temperature_celsius
FROM clients
JOIN collections ON collections.id = clients.latest_collection;
