-- The mean of a roll-up is rounded to thousandths of its unit, like its lowest and highest value. As in 0001: one text for
-- every database.

-- SQLite keeps the order of a CROSS JOIN, and so finds the rows of a client by their index.
CREATE OR REPLACE VIEW v1_history AS
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
    ROUND(CASE history_series.slot
        WHEN 0 THEN history_buckets.sum_00 WHEN 1 THEN history_buckets.sum_01 WHEN 2 THEN history_buckets.sum_02
        WHEN 3 THEN history_buckets.sum_03 WHEN 4 THEN history_buckets.sum_04 WHEN 5 THEN history_buckets.sum_05
        WHEN 6 THEN history_buckets.sum_06 WHEN 7 THEN history_buckets.sum_07 WHEN 8 THEN history_buckets.sum_08
        WHEN 9 THEN history_buckets.sum_09 WHEN 10 THEN history_buckets.sum_10 WHEN 11 THEN history_buckets.sum_11
    END / CASE history_series.slot
        WHEN 0 THEN history_buckets.count_00 WHEN 1 THEN history_buckets.count_01 WHEN 2 THEN history_buckets.count_02
        WHEN 3 THEN history_buckets.count_03 WHEN 4 THEN history_buckets.count_04 WHEN 5 THEN history_buckets.count_05
        WHEN 6 THEN history_buckets.count_06 WHEN 7 THEN history_buckets.count_07 WHEN 8 THEN history_buckets.count_08
        WHEN 9 THEN history_buckets.count_09 WHEN 10 THEN history_buckets.count_10 WHEN 11 THEN history_buckets.count_11
    END) / 1000.0 AS mean,
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
    ROUND(CASE history_series.slot
        WHEN 0 THEN history_open.sum_00 WHEN 1 THEN history_open.sum_01 WHEN 2 THEN history_open.sum_02
        WHEN 3 THEN history_open.sum_03 WHEN 4 THEN history_open.sum_04 WHEN 5 THEN history_open.sum_05
        WHEN 6 THEN history_open.sum_06 WHEN 7 THEN history_open.sum_07 WHEN 8 THEN history_open.sum_08
        WHEN 9 THEN history_open.sum_09 WHEN 10 THEN history_open.sum_10 WHEN 11 THEN history_open.sum_11
    END / CASE history_series.slot
        WHEN 0 THEN history_open.count_00 WHEN 1 THEN history_open.count_01 WHEN 2 THEN history_open.count_02
        WHEN 3 THEN history_open.count_03 WHEN 4 THEN history_open.count_04 WHEN 5 THEN history_open.count_05
        WHEN 6 THEN history_open.count_06 WHEN 7 THEN history_open.count_07 WHEN 8 THEN history_open.count_08
        WHEN 9 THEN history_open.count_09 WHEN 10 THEN history_open.count_10 WHEN 11 THEN history_open.count_11
    END) / 1000.0 AS mean,
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
