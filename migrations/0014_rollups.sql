-- History that lasts years, and the newest values of each file system and interface. As in 0001: one text for every
-- database. INTEGER and FLOAT(24) are 4 bytes on servers; SQLite stores whole numbers as short as they are.

-- A series is one metric of one instance of a client. The 12 series of a group share a row per bucket, each in its slot:
-- what a row costs (24 bytes on PostgreSQL, and two index entries) is paid once for all of them.
CREATE TABLE history_series (
    client_id BIGINT NOT NULL,
    metric VARCHAR(16) NOT NULL,
    instance VARCHAR(256) NOT NULL,
    group_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    PRIMARY KEY (client_id, metric, instance),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX history_series_by_group ON history_series (group_id);

-- Buckets of 300, 3600 and 86400 seconds (tier_seconds). Values are thousandths of the unit of the metric, whole numbers, so
-- that sums are exact in whatever order they are made. A slot without a value is NULL.
--
-- The rows of the buckets that are filled now are in history_open, where they are changed with every collection. A row
-- moves to history_buckets when the next bucket of its group begins, and is not changed there any more. So the large table
-- is only appended to, and a bucket is in one of them.
--
-- The primary key is by time: rows are appended and deleted at its ends.
CREATE TABLE history_buckets (
    start_ms BIGINT NOT NULL,
    sum_00 DOUBLE PRECISION, sum_01 DOUBLE PRECISION, sum_02 DOUBLE PRECISION, sum_03 DOUBLE PRECISION,
    sum_04 DOUBLE PRECISION, sum_05 DOUBLE PRECISION, sum_06 DOUBLE PRECISION, sum_07 DOUBLE PRECISION,
    sum_08 DOUBLE PRECISION, sum_09 DOUBLE PRECISION, sum_10 DOUBLE PRECISION, sum_11 DOUBLE PRECISION,
    minimum_00 FLOAT(24), minimum_01 FLOAT(24), minimum_02 FLOAT(24), minimum_03 FLOAT(24),
    minimum_04 FLOAT(24), minimum_05 FLOAT(24), minimum_06 FLOAT(24), minimum_07 FLOAT(24),
    minimum_08 FLOAT(24), minimum_09 FLOAT(24), minimum_10 FLOAT(24), minimum_11 FLOAT(24),
    maximum_00 FLOAT(24), maximum_01 FLOAT(24), maximum_02 FLOAT(24), maximum_03 FLOAT(24),
    maximum_04 FLOAT(24), maximum_05 FLOAT(24), maximum_06 FLOAT(24), maximum_07 FLOAT(24),
    maximum_08 FLOAT(24), maximum_09 FLOAT(24), maximum_10 FLOAT(24), maximum_11 FLOAT(24),
    last_00 FLOAT(24), last_01 FLOAT(24), last_02 FLOAT(24), last_03 FLOAT(24),
    last_04 FLOAT(24), last_05 FLOAT(24), last_06 FLOAT(24), last_07 FLOAT(24),
    last_08 FLOAT(24), last_09 FLOAT(24), last_10 FLOAT(24), last_11 FLOAT(24),
    count_00 INTEGER, count_01 INTEGER, count_02 INTEGER, count_03 INTEGER,
    count_04 INTEGER, count_05 INTEGER, count_06 INTEGER, count_07 INTEGER,
    count_08 INTEGER, count_09 INTEGER, count_10 INTEGER, count_11 INTEGER,
    group_id INTEGER NOT NULL,
    tier_seconds INTEGER NOT NULL,
    PRIMARY KEY (tier_seconds, start_ms, group_id)
);
-- Charts of one client.
CREATE INDEX history_buckets_by_group ON history_buckets (group_id, tier_seconds, start_ms);

CREATE TABLE history_open (
    start_ms BIGINT NOT NULL,
    sum_00 DOUBLE PRECISION, sum_01 DOUBLE PRECISION, sum_02 DOUBLE PRECISION, sum_03 DOUBLE PRECISION,
    sum_04 DOUBLE PRECISION, sum_05 DOUBLE PRECISION, sum_06 DOUBLE PRECISION, sum_07 DOUBLE PRECISION,
    sum_08 DOUBLE PRECISION, sum_09 DOUBLE PRECISION, sum_10 DOUBLE PRECISION, sum_11 DOUBLE PRECISION,
    minimum_00 FLOAT(24), minimum_01 FLOAT(24), minimum_02 FLOAT(24), minimum_03 FLOAT(24),
    minimum_04 FLOAT(24), minimum_05 FLOAT(24), minimum_06 FLOAT(24), minimum_07 FLOAT(24),
    minimum_08 FLOAT(24), minimum_09 FLOAT(24), minimum_10 FLOAT(24), minimum_11 FLOAT(24),
    maximum_00 FLOAT(24), maximum_01 FLOAT(24), maximum_02 FLOAT(24), maximum_03 FLOAT(24),
    maximum_04 FLOAT(24), maximum_05 FLOAT(24), maximum_06 FLOAT(24), maximum_07 FLOAT(24),
    maximum_08 FLOAT(24), maximum_09 FLOAT(24), maximum_10 FLOAT(24), maximum_11 FLOAT(24),
    last_00 FLOAT(24), last_01 FLOAT(24), last_02 FLOAT(24), last_03 FLOAT(24),
    last_04 FLOAT(24), last_05 FLOAT(24), last_06 FLOAT(24), last_07 FLOAT(24),
    last_08 FLOAT(24), last_09 FLOAT(24), last_10 FLOAT(24), last_11 FLOAT(24),
    count_00 INTEGER, count_01 INTEGER, count_02 INTEGER, count_03 INTEGER,
    count_04 INTEGER, count_05 INTEGER, count_06 INTEGER, count_07 INTEGER,
    count_08 INTEGER, count_09 INTEGER, count_10 INTEGER, count_11 INTEGER,
    group_id INTEGER NOT NULL,
    tier_seconds INTEGER NOT NULL,
    PRIMARY KEY (group_id, tier_seconds)
);

-- The file systems and interfaces of each client in its newest reading. Rows that have not changed are not written again.
CREATE TABLE file_systems (
    client_id BIGINT NOT NULL,
    mount VARCHAR(256) NOT NULL,
    kind TEXT NOT NULL,
    total_bytes BIGINT NOT NULL,
    used_bytes BIGINT NOT NULL,
    available_bytes BIGINT NOT NULL,
    PRIMARY KEY (client_id, mount),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE TABLE interfaces (
    client_id BIGINT NOT NULL,
    interface VARCHAR(256) NOT NULL,
    received_bytes BIGINT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    PRIMARY KEY (client_id, interface),
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);

-- The newest collection of each client that is not in its history yet: samples from before this table. The program adds
-- them afterwards, newest first. NULL once there are none.
ALTER TABLE clients ADD COLUMN unrolled_collection BIGINT;
UPDATE clients SET unrolled_collection = latest_collection;

-- The index alone answers a chart.
CREATE INDEX collections_by_chart ON collections (client_id, collected_at_ms, cpu_percent, memory_percent);

-- SQLite keeps the order of a CROSS JOIN, and so finds the rows of a client by their index.
CREATE VIEW v1_history AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    history_series.metric AS metric,
    history_series.instance AS instance,
    history_buckets.start_ms AS bucket_start_ms,
    history_buckets.tier_seconds AS bucket_seconds,
    CASE history_series.slot 
        WHEN 0 THEN history_buckets.count_00 WHEN 1 THEN history_buckets.count_01 WHEN 2 THEN history_buckets.count_02
        WHEN 3 THEN history_buckets.count_03 WHEN 4 THEN history_buckets.count_04 WHEN 5 THEN history_buckets.count_05
        WHEN 6 THEN history_buckets.count_06 WHEN 7 THEN history_buckets.count_07 WHEN 8 THEN history_buckets.count_08
        WHEN 9 THEN history_buckets.count_09 WHEN 10 THEN history_buckets.count_10 WHEN 11 THEN history_buckets.count_11
    END AS count,
    CASE history_series.slot 
        WHEN 0 THEN history_buckets.minimum_00 WHEN 1 THEN history_buckets.minimum_01 WHEN 2 THEN history_buckets.minimum_02
        WHEN 3 THEN history_buckets.minimum_03 WHEN 4 THEN history_buckets.minimum_04 WHEN 5 THEN history_buckets.minimum_05
        WHEN 6 THEN history_buckets.minimum_06 WHEN 7 THEN history_buckets.minimum_07 WHEN 8 THEN history_buckets.minimum_08
        WHEN 9 THEN history_buckets.minimum_09 WHEN 10 THEN history_buckets.minimum_10 WHEN 11 THEN history_buckets.minimum_11
    END / 1000.0 AS minimum,
    CASE history_series.slot 
        WHEN 0 THEN history_buckets.sum_00 WHEN 1 THEN history_buckets.sum_01 WHEN 2 THEN history_buckets.sum_02
        WHEN 3 THEN history_buckets.sum_03 WHEN 4 THEN history_buckets.sum_04 WHEN 5 THEN history_buckets.sum_05
        WHEN 6 THEN history_buckets.sum_06 WHEN 7 THEN history_buckets.sum_07 WHEN 8 THEN history_buckets.sum_08
        WHEN 9 THEN history_buckets.sum_09 WHEN 10 THEN history_buckets.sum_10 WHEN 11 THEN history_buckets.sum_11
    END / CASE history_series.slot 
        WHEN 0 THEN history_buckets.count_00 WHEN 1 THEN history_buckets.count_01 WHEN 2 THEN history_buckets.count_02
        WHEN 3 THEN history_buckets.count_03 WHEN 4 THEN history_buckets.count_04 WHEN 5 THEN history_buckets.count_05
        WHEN 6 THEN history_buckets.count_06 WHEN 7 THEN history_buckets.count_07 WHEN 8 THEN history_buckets.count_08
        WHEN 9 THEN history_buckets.count_09 WHEN 10 THEN history_buckets.count_10 WHEN 11 THEN history_buckets.count_11
    END / 1000.0 AS mean,
    CASE history_series.slot 
        WHEN 0 THEN history_buckets.maximum_00 WHEN 1 THEN history_buckets.maximum_01 WHEN 2 THEN history_buckets.maximum_02
        WHEN 3 THEN history_buckets.maximum_03 WHEN 4 THEN history_buckets.maximum_04 WHEN 5 THEN history_buckets.maximum_05
        WHEN 6 THEN history_buckets.maximum_06 WHEN 7 THEN history_buckets.maximum_07 WHEN 8 THEN history_buckets.maximum_08
        WHEN 9 THEN history_buckets.maximum_09 WHEN 10 THEN history_buckets.maximum_10 WHEN 11 THEN history_buckets.maximum_11
    END / 1000.0 AS maximum
FROM clients
CROSS JOIN history_series
CROSS JOIN history_buckets
WHERE history_series.client_id = clients.id
    AND history_buckets.group_id = history_series.group_id
    AND CASE history_series.slot 
        WHEN 0 THEN history_buckets.count_00 WHEN 1 THEN history_buckets.count_01 WHEN 2 THEN history_buckets.count_02
        WHEN 3 THEN history_buckets.count_03 WHEN 4 THEN history_buckets.count_04 WHEN 5 THEN history_buckets.count_05
        WHEN 6 THEN history_buckets.count_06 WHEN 7 THEN history_buckets.count_07 WHEN 8 THEN history_buckets.count_08
        WHEN 9 THEN history_buckets.count_09 WHEN 10 THEN history_buckets.count_10 WHEN 11 THEN history_buckets.count_11
    END > 0
UNION ALL
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    history_series.metric AS metric,
    history_series.instance AS instance,
    history_open.start_ms AS bucket_start_ms,
    history_open.tier_seconds AS bucket_seconds,
    CASE history_series.slot 
        WHEN 0 THEN history_open.count_00 WHEN 1 THEN history_open.count_01 WHEN 2 THEN history_open.count_02
        WHEN 3 THEN history_open.count_03 WHEN 4 THEN history_open.count_04 WHEN 5 THEN history_open.count_05
        WHEN 6 THEN history_open.count_06 WHEN 7 THEN history_open.count_07 WHEN 8 THEN history_open.count_08
        WHEN 9 THEN history_open.count_09 WHEN 10 THEN history_open.count_10 WHEN 11 THEN history_open.count_11
    END AS count,
    CASE history_series.slot 
        WHEN 0 THEN history_open.minimum_00 WHEN 1 THEN history_open.minimum_01 WHEN 2 THEN history_open.minimum_02
        WHEN 3 THEN history_open.minimum_03 WHEN 4 THEN history_open.minimum_04 WHEN 5 THEN history_open.minimum_05
        WHEN 6 THEN history_open.minimum_06 WHEN 7 THEN history_open.minimum_07 WHEN 8 THEN history_open.minimum_08
        WHEN 9 THEN history_open.minimum_09 WHEN 10 THEN history_open.minimum_10 WHEN 11 THEN history_open.minimum_11
    END / 1000.0 AS minimum,
    CASE history_series.slot 
        WHEN 0 THEN history_open.sum_00 WHEN 1 THEN history_open.sum_01 WHEN 2 THEN history_open.sum_02
        WHEN 3 THEN history_open.sum_03 WHEN 4 THEN history_open.sum_04 WHEN 5 THEN history_open.sum_05
        WHEN 6 THEN history_open.sum_06 WHEN 7 THEN history_open.sum_07 WHEN 8 THEN history_open.sum_08
        WHEN 9 THEN history_open.sum_09 WHEN 10 THEN history_open.sum_10 WHEN 11 THEN history_open.sum_11
    END / CASE history_series.slot 
        WHEN 0 THEN history_open.count_00 WHEN 1 THEN history_open.count_01 WHEN 2 THEN history_open.count_02
        WHEN 3 THEN history_open.count_03 WHEN 4 THEN history_open.count_04 WHEN 5 THEN history_open.count_05
        WHEN 6 THEN history_open.count_06 WHEN 7 THEN history_open.count_07 WHEN 8 THEN history_open.count_08
        WHEN 9 THEN history_open.count_09 WHEN 10 THEN history_open.count_10 WHEN 11 THEN history_open.count_11
    END / 1000.0 AS mean,
    CASE history_series.slot 
        WHEN 0 THEN history_open.maximum_00 WHEN 1 THEN history_open.maximum_01 WHEN 2 THEN history_open.maximum_02
        WHEN 3 THEN history_open.maximum_03 WHEN 4 THEN history_open.maximum_04 WHEN 5 THEN history_open.maximum_05
        WHEN 6 THEN history_open.maximum_06 WHEN 7 THEN history_open.maximum_07 WHEN 8 THEN history_open.maximum_08
        WHEN 9 THEN history_open.maximum_09 WHEN 10 THEN history_open.maximum_10 WHEN 11 THEN history_open.maximum_11
    END / 1000.0 AS maximum
FROM clients
CROSS JOIN history_series
CROSS JOIN history_open
WHERE history_series.client_id = clients.id
    AND history_open.group_id = history_series.group_id
    AND CASE history_series.slot 
        WHEN 0 THEN history_open.count_00 WHEN 1 THEN history_open.count_01 WHEN 2 THEN history_open.count_02
        WHEN 3 THEN history_open.count_03 WHEN 4 THEN history_open.count_04 WHEN 5 THEN history_open.count_05
        WHEN 6 THEN history_open.count_06 WHEN 7 THEN history_open.count_07 WHEN 8 THEN history_open.count_08
        WHEN 9 THEN history_open.count_09 WHEN 10 THEN history_open.count_10 WHEN 11 THEN history_open.count_11
    END > 0;

CREATE VIEW v1_file_systems AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    file_systems.mount AS mount,
    file_systems.kind AS kind,
    file_systems.total_bytes AS total_bytes,
    file_systems.used_bytes AS used_bytes,
    file_systems.available_bytes AS available_bytes,
    collections.collected_at_ms AS collected_at_ms
FROM file_systems
JOIN clients ON clients.id = file_systems.client_id
LEFT JOIN collections ON collections.id = clients.latest_collection;

CREATE VIEW v1_interfaces AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    interfaces.interface AS interface,
    interfaces.received_bytes AS received_bytes,
    interfaces.sent_bytes AS sent_bytes,
    collections.collected_at_ms AS collected_at_ms
FROM interfaces
JOIN clients ON clients.id = interfaces.client_id
LEFT JOIN collections ON collections.id = clients.latest_collection;

CREATE VIEW v1_clients AS
SELECT
    clients.ip AS client_ip,
    clients.port AS client_port,
    clients.name AS client_name,
    collections.host_name AS host_name,
    collections.collected_at_ms AS last_collected_at_ms,
    clients.failed_in_a_row AS failed_in_a_row
FROM clients
LEFT JOIN collections ON collections.id = clients.latest_collection;
