-- When file systems will be full. As in 0001: one text for every database.

-- The days until the file system is full that is full first. One without a date within a year has 365.
ALTER TABLE collections ADD COLUMN disk_full_days DOUBLE PRECISION;

-- How the used space of each file system changes, bytes a day, with its bounds; whether that is steady, 1 or 0; and what
-- it means for the space that was left at the newest reading. NULL if the history is too short.
ALTER TABLE file_systems ADD COLUMN trend_low BIGINT;
ALTER TABLE file_systems ADD COLUMN trend_middle BIGINT;
ALTER TABLE file_systems ADD COLUMN trend_high BIGINT;
ALTER TABLE file_systems ADD COLUMN trend_is_steady BIGINT;
ALTER TABLE file_systems ADD COLUMN outlook VARCHAR(16);
ALTER TABLE file_systems ADD COLUMN full_in_days DOUBLE PRECISION;
ALTER TABLE file_systems ADD COLUMN full_earliest_days DOUBLE PRECISION;
ALTER TABLE file_systems ADD COLUMN full_latest_days DOUBLE PRECISION;

-- When these trends were estimated, so that another run of the program knows whether they are still good.
ALTER TABLE clients ADD COLUMN trends_at_ms BIGINT;

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
    collections.temperature_celsius AS temperature_celsius,
    collections.disk_full_days AS disk_full_days
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
    collections.temperature_celsius AS temperature_celsius,
    collections.disk_full_days AS disk_full_days
FROM clients
JOIN collections ON collections.id = clients.latest_collection;

-- A rate that is not steady is no forecast, so the view has none.
CREATE OR REPLACE VIEW v1_file_systems AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    file_systems.mount AS mount,
    file_systems.kind AS kind,
    file_systems.total_bytes AS total_bytes,
    file_systems.used_bytes AS used_bytes,
    file_systems.available_bytes AS available_bytes,
    collections.collected_at_ms AS collected_at_ms,
    file_systems.outlook AS outlook,
    CASE WHEN file_systems.trend_is_steady = 1 THEN file_systems.trend_middle END AS growth_bytes_per_day,
    file_systems.full_in_days AS full_in_days,
    file_systems.full_earliest_days AS full_earliest_days,
    file_systems.full_latest_days AS full_latest_days
FROM file_systems
JOIN clients ON clients.id = file_systems.client_id
LEFT JOIN collections ON collections.id = clients.latest_collection;
