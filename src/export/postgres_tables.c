/*
 * postgres_tables.c - the collectors of the postgres exporter: one query and its columns each.
 *
 * Names, types and help are those of postgres_exporter 0.17; a column that ends in _ is shown
 * without it, where label and metric have the same name.
 */
// SPDX-License-Identifier: Apache-2.0
#include "export/postgres_priv.h"

static const struct pg_column columns_0[] = {
    { "datname", PG_LABEL, NULL },
    { "size_bytes", PG_GAUGE, "Disk space used by the database" },
    { "connection_limit", PG_GAUGE, "Connection limit set for the database" },
};
static const struct pg_column columns_1[] = {
    { "datname", PG_LABEL, NULL },
    { "mode", PG_LABEL, NULL },
    { "count", PG_GAUGE, "Number of locks" },
};
static const struct pg_column columns_2[] = {
    { "lag_seconds", PG_GAUGE, "Replication lag behind master in seconds" },
    { "is_replica", PG_GAUGE, "Indicates if the server is a replica" },
    { "last_replay_seconds", PG_GAUGE, "Age of last replay in seconds" },
};
static const struct pg_column columns_3[] = {
    { "slot_name", PG_LABEL, NULL },
    { "database", PG_LABEL, NULL },
    { "active", PG_GAUGE, "Flag indicating if the slot is active" },
    { "pg_wal_lsn_diff", PG_SKIP_NULL, "Replication lag in bytes" },
};
static const struct pg_column columns_4[] = {
    { "slot_name", PG_LABEL, NULL },
    { "slot_type", PG_LABEL, NULL },
    { "slot_current_wal_lsn", PG_GAUGE, "current wal lsn value" },
    { "slot_confirmed_flush_lsn", PG_SKIP_NULL,
      "last lsn confirmed flushed to the replication slot" },
    { "slot_is_active", PG_GAUGE, "whether the replication slot is active or not" },
};
static const struct pg_column columns_5[] = {
    { "slot_name", PG_LABEL, NULL },
    { "slot_type", PG_LABEL, NULL },
    { "safe_wal_size_bytes", PG_SKIP_NULL,
      "number of bytes that can be written to WAL such that this slot is not in danger "
      "of getting in state lost" },
};
static const struct pg_column columns_6[] = {
    { "slot_name", PG_LABEL, NULL },
    { "slot_type", PG_LABEL, NULL },
    { "wal_status", PG_LABEL, NULL },
    { "wal_status_", PG_GAUGE, "availability of WAL files claimed by this slot" },
};
static const struct pg_column columns_7[] = {
    { "rolname", PG_LABEL, NULL },
    { "connection_limit", PG_GAUGE, "Connection limit set for the role" },
};
static const struct pg_column columns_8[] = {
    { "datname", PG_LABEL, NULL },
    { "state", PG_LABEL, NULL },
    { "usename", PG_LABEL, NULL },
    { "application_name", PG_LABEL, NULL },
    { "backend_type", PG_LABEL, NULL },
    { "wait_event_type", PG_LABEL, NULL },
    { "wait_event", PG_LABEL, NULL },
    { "count", PG_GAUGE, "number of connections in this state" },
    { "max_tx_duration", PG_GAUGE,
      "max duration in seconds any active transaction has been running" },
};
static const struct pg_column columns_9[] = {
    { "archived_count", PG_COUNTER, "Number of WAL files that have been successfully archived" },
    { "failed_count", PG_COUNTER, "Number of failed attempts for archiving WAL files" },
    { "last_archive_age", PG_GAUGE_OR_NAN,
      "Time in seconds since last WAL segment was successfully archived" },
};
static const struct pg_column columns_10[] = {
    { "checkpoints_timed_total", PG_COUNTER,
      "Number of scheduled checkpoints that have been performed" },
    { "checkpoints_req_total", PG_COUNTER,
      "Number of requested checkpoints that have been performed" },
    { "checkpoint_write_time_total", PG_COUNTER,
      "Total amount of time that has been spent in the portion of checkpoint "
      "processing where files are written to disk, in milliseconds" },
    { "checkpoint_sync_time_total", PG_COUNTER,
      "Total amount of time that has been spent in the portion of checkpoint "
      "processing where files are synchronized to disk, in milliseconds" },
    { "buffers_checkpoint_total", PG_COUNTER, "Number of buffers written during checkpoints" },
    { "buffers_clean_total", PG_COUNTER, "Number of buffers written by the background writer" },
    { "maxwritten_clean_total", PG_COUNTER,
      "Number of times the background writer stopped a cleaning scan because it had "
      "written too many buffers" },
    { "buffers_backend_total", PG_COUNTER, "Number of buffers written directly by a backend" },
    { "buffers_backend_fsync_total", PG_COUNTER,
      "Number of times a backend had to execute its own fsync call (normally the "
      "background writer handles those even when the backend does its own write)" },
    { "buffers_alloc_total", PG_COUNTER, "Number of buffers allocated" },
    { "stats_reset_total", PG_COUNTER, "Time at which these statistics were last reset" },
};
static const struct pg_column columns_11[] = {
    { "buffers_clean_total", PG_COUNTER, "Number of buffers written by the background writer" },
    { "maxwritten_clean_total", PG_COUNTER,
      "Number of times the background writer stopped a cleaning scan because it had "
      "written too many buffers" },
    { "buffers_alloc_total", PG_COUNTER, "Number of buffers allocated" },
    { "stats_reset_total", PG_COUNTER, "Time at which these statistics were last reset" },
};
static const struct pg_column columns_12[] = {
    { "num_timed_total", PG_COUNTER, "Number of scheduled checkpoints due to timeout" },
    { "num_requested_total", PG_COUNTER,
      "Number of requested checkpoints that have been performed" },
    { "restartpoints_timed_total", PG_COUNTER,
      "Number of scheduled restartpoints due to timeout or after a failed attempt to "
      "perform it" },
    { "restartpoints_req_total", PG_COUNTER, "Number of requested restartpoints" },
    { "restartpoints_done_total", PG_COUNTER, "Number of restartpoints that have been performed" },
    { "write_time_total", PG_COUNTER,
      "Total amount of time that has been spent in the portion of processing "
      "checkpoints and restartpoints where files are written to disk, in milliseconds" },
    { "sync_time_total", PG_COUNTER,
      "Total amount of time that has been spent in the portion of processing "
      "checkpoints and restartpoints where files are synchronized to disk, in "
      "milliseconds" },
    { "buffers_written_total", PG_COUNTER,
      "Number of buffers written during checkpoints and restartpoints" },
    { "stats_reset_total", PG_COUNTER, "Time at which these statistics were last reset" },
};
static const struct pg_column columns_13[] = {
    { "datid", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "numbackends", PG_GAUGE,
      "Number of backends currently connected to this database. This is the only "
      "column in this view that returns a value reflecting current state; all other "
      "columns return the accumulated values since the last reset." },
    { "xact_commit", PG_COUNTER,
      "Number of transactions in this database that have been committed" },
    { "xact_rollback", PG_COUNTER,
      "Number of transactions in this database that have been rolled back" },
    { "blks_read", PG_COUNTER, "Number of disk blocks read in this database" },
    { "blks_hit", PG_COUNTER,
      "Number of times disk blocks were found already in the buffer cache, so that a "
      "read was not necessary (this only includes hits in the PostgreSQL buffer cache, "
      "not the operating system's file system cache)" },
    { "tup_returned", PG_COUNTER, "Number of rows returned by queries in this database" },
    { "tup_fetched", PG_COUNTER, "Number of rows fetched by queries in this database" },
    { "tup_inserted", PG_COUNTER, "Number of rows inserted by queries in this database" },
    { "tup_updated", PG_COUNTER, "Number of rows updated by queries in this database" },
    { "tup_deleted", PG_COUNTER, "Number of rows deleted by queries in this database" },
    { "conflicts", PG_COUNTER,
      "Number of queries canceled due to conflicts with recovery in this database. "
      "(Conflicts occur only on standby servers; see pg_stat_database_conflicts for "
      "details.)" },
    { "temp_files", PG_COUNTER,
      "Number of temporary files created by queries in this database. All temporary "
      "files are counted, regardless of why the temporary file was created (e.g., "
      "sorting or hashing), and regardless of the log_temp_files setting." },
    { "temp_bytes", PG_COUNTER,
      "Total amount of data written to temporary files by queries in this database. "
      "All temporary files are counted, regardless of why the temporary file was "
      "created, and regardless of the log_temp_files setting." },
    { "deadlocks", PG_COUNTER, "Number of deadlocks detected in this database" },
    { "blk_read_time", PG_COUNTER,
      "Time spent reading data file blocks by backends in this database, in "
      "milliseconds" },
    { "blk_write_time", PG_COUNTER,
      "Time spent writing data file blocks by backends in this database, in "
      "milliseconds" },
    { "stats_reset", PG_COUNTER, "Time at which these statistics were last reset" },
};
static const struct pg_column columns_14[] = {
    { "datid", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "active_time_seconds_total", PG_COUNTER,
      "Time spent executing SQL statements in this database, in seconds" },
};
static const struct pg_column columns_15[] = {
    { "datid", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "confl_tablespace", PG_COUNTER,
      "Number of queries in this database that have been canceled due to dropped "
      "tablespaces" },
    { "confl_lock", PG_COUNTER,
      "Number of queries in this database that have been canceled due to lock timeouts" },
    { "confl_snapshot", PG_COUNTER,
      "Number of queries in this database that have been canceled due to old snapshots" },
    { "confl_bufferpin", PG_COUNTER,
      "Number of queries in this database that have been canceled due to pinned buffers" },
    { "confl_deadlock", PG_COUNTER,
      "Number of queries in this database that have been canceled due to deadlocks" },
};
static const struct pg_column columns_16[] = {
    { "datname", PG_LABEL, NULL },
    { "relname", PG_LABEL, NULL },
    { "heap_blks", PG_GAUGE, "Total number of heap blocks in the table being vacuumed." },
    { "heap_blks_scanned", PG_GAUGE, "Number of heap blocks scanned so far." },
    { "heap_blks_vacuumed", PG_GAUGE, "Number of heap blocks vacuumed so far." },
    { "index_vacuums", PG_COUNTER, "Number of completed index vacuum cycles." },
    { "max_dead_tuples", PG_GAUGE,
      "Maximum number of dead tuples that can be stored before cleanup is performed." },
    { "num_dead_tuples", PG_GAUGE, "Current number of dead tuples found so far." },
};
static const struct pg_column columns_17[] = {
    { "datname", PG_LABEL, NULL },
    { "relname", PG_LABEL, NULL },
    { "phase", PG_LABEL, NULL },
    { "phase_", PG_GAUGE,
      "Current vacuum phase (1 = active, 0 = inactive). Label 'phase' is "
      "human-readable." },
};
static const struct pg_column columns_18[] = {
    { "application_name", PG_LABEL, NULL },
    { "client_addr", PG_LABEL, NULL },
    { "state", PG_LABEL, NULL },
    { "slot_name", PG_LABEL, NULL },
    { "pid", PG_LABEL, NULL },
    { "pg_current_wal_lsn_bytes", PG_GAUGE, "WAL position in bytes" },
    { "pg_wal_lsn_diff", PG_GAUGE, "Lag in bytes between master and slave" },
};
static const struct pg_column columns_19[] = {
    { "datname", PG_LABEL, NULL },
    { "schemaname", PG_LABEL, NULL },
    { "relname", PG_LABEL, NULL },
    { "seq_scan", PG_COUNTER, "Number of sequential scans initiated on this table" },
    { "seq_tup_read", PG_COUNTER, "Number of live rows fetched by sequential scans" },
    { "idx_scan", PG_COUNTER, "Number of index scans initiated on this table" },
    { "idx_tup_fetch", PG_COUNTER, "Number of live rows fetched by index scans" },
    { "n_tup_ins", PG_COUNTER, "Number of rows inserted" },
    { "n_tup_upd", PG_COUNTER, "Number of rows updated" },
    { "n_tup_del", PG_COUNTER, "Number of rows deleted" },
    { "n_tup_hot_upd", PG_COUNTER,
      "Number of rows HOT updated (i.e., with no separate index update required)" },
    { "n_live_tup", PG_GAUGE, "Estimated number of live rows" },
    { "n_dead_tup", PG_GAUGE, "Estimated number of dead rows" },
    { "n_mod_since_analyze", PG_GAUGE, "Estimated number of rows changed since last analyze" },
    { "last_vacuum", PG_GAUGE,
      "Last time at which this table was manually vacuumed (not counting VACUUM FULL)" },
    { "last_autovacuum", PG_GAUGE,
      "Last time at which this table was vacuumed by the autovacuum daemon" },
    { "last_analyze", PG_GAUGE, "Last time at which this table was manually analyzed" },
    { "last_autoanalyze", PG_GAUGE,
      "Last time at which this table was analyzed by the autovacuum daemon" },
    { "vacuum_count", PG_COUNTER,
      "Number of times this table has been manually vacuumed (not counting VACUUM FULL)" },
    { "autovacuum_count", PG_COUNTER,
      "Number of times this table has been vacuumed by the autovacuum daemon" },
    { "analyze_count", PG_COUNTER, "Number of times this table has been manually analyzed" },
    { "autoanalyze_count", PG_COUNTER,
      "Number of times this table has been analyzed by the autovacuum daemon" },
    { "index_size_bytes", PG_GAUGE, "Total disk space used by this index, in bytes" },
    { "table_size_bytes", PG_GAUGE, "Total disk space used by this table, in bytes" },
};
static const struct pg_column columns_20[] = {
    { "datname", PG_LABEL, NULL },
    { "schemaname", PG_LABEL, NULL },
    { "relname", PG_LABEL, NULL },
    { "heap_blocks_read", PG_COUNTER, "Number of disk blocks read from this table" },
    { "heap_blocks_hit", PG_COUNTER, "Number of buffer hits in this table" },
    { "idx_blocks_read", PG_COUNTER, "Number of disk blocks read from all indexes on this table" },
    { "idx_blocks_hit", PG_COUNTER, "Number of buffer hits in all indexes on this table" },
    { "toast_blocks_read", PG_COUNTER,
      "Number of disk blocks read from this table's TOAST table (if any)" },
    { "toast_blocks_hit", PG_COUNTER,
      "Number of buffer hits in this table's TOAST table (if any)" },
    { "tidx_blocks_read", PG_COUNTER,
      "Number of disk blocks read from this table's TOAST table indexes (if any)" },
    { "tidx_blocks_hit", PG_COUNTER,
      "Number of buffer hits in this table's TOAST table indexes (if any)" },
};
static const struct pg_column columns_21[] = {
    { "schemaname", PG_LABEL, NULL },
    { "relname", PG_LABEL, NULL },
    { "indexrelname", PG_LABEL, NULL },
    { "idx_blks_read_total", PG_COUNTER, "Number of disk blocks read from this index" },
    { "idx_blks_hit_total", PG_COUNTER, "Number of buffer hits in this index" },
};
static const struct pg_column columns_22[] = {
    { "segments", PG_GAUGE, "Number of WAL segments" },
    { "size_bytes", PG_GAUGE, "Total size of WAL segments" },
};
static const struct pg_column columns_23[] = {
    { "long_running_transactions", PG_GAUGE, "Current number of long running transactions" },
    { "long_running_transactions_oldest_timestamp_seconds", PG_GAUGE,
      "The current maximum transaction age in seconds" },
};
static const struct pg_column columns_24[] = {
    { "start_time_seconds", PG_GAUGE, "Time at which postmaster started" },
};
static const struct pg_column columns_25[] = {
    { "datname", PG_LABEL, NULL },
    { "age_datfrozenxid_seconds", PG_GAUGE,
      "Age of the oldest transaction ID that has not been frozen." },
    { "age_datminmxid_seconds", PG_GAUGE,
      "Age of the oldest multi-transaction ID that has been replaced with a "
      "transaction ID." },
};
static const struct pg_column columns_26[] = {
    { "relname", PG_LABEL, NULL },
    { "timestamp_seconds", PG_SKIP_NULL, "Start timestamp of the vacuum process in seconds" },
};
static const struct pg_column columns_27[] = {
    { "user", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "queryid", PG_LABEL, NULL },
    { "calls_total", PG_COUNTER, "Number of times executed" },
    { "seconds_total", PG_COUNTER, "Total time spent in the statement, in seconds" },
    { "rows_total", PG_COUNTER, "Total number of rows retrieved or affected by the statement" },
    { "block_read_seconds_total", PG_COUNTER,
      "Total time the statement spent reading blocks, in seconds" },
    { "block_write_seconds_total", PG_COUNTER,
      "Total time the statement spent writing blocks, in seconds" },
};
static const struct pg_column columns_28[] = {
    { "user", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "queryid", PG_LABEL, NULL },
    { "calls_total", PG_COUNTER, "Number of times executed" },
    { "seconds_total", PG_COUNTER, "Total time spent in the statement, in seconds" },
    { "rows_total", PG_COUNTER, "Total number of rows retrieved or affected by the statement" },
    { "block_read_seconds_total", PG_COUNTER,
      "Total time the statement spent reading blocks, in seconds" },
    { "block_write_seconds_total", PG_COUNTER,
      "Total time the statement spent writing blocks, in seconds" },
};
static const struct pg_column columns_29[] = {
    { "user", PG_LABEL, NULL },
    { "datname", PG_LABEL, NULL },
    { "queryid", PG_LABEL, NULL },
    { "calls_total", PG_COUNTER, "Number of times executed" },
    { "seconds_total", PG_COUNTER, "Total time spent in the statement, in seconds" },
    { "rows_total", PG_COUNTER, "Total number of rows retrieved or affected by the statement" },
    { "block_read_seconds_total", PG_COUNTER,
      "Total time the statement spent reading blocks, in seconds" },
    { "block_write_seconds_total", PG_COUNTER,
      "Total time the statement spent writing blocks, in seconds" },
};

const struct pg_query pg_queries[] = {
    { .collector = "database",
      .space = "database",
      .sql = "SELECT datname, pg_database_size(oid) AS size_bytes, datconnlimit AS "
             "connection_limit FROM pg_database WHERE datname IS NOT NULL",
      .columns = columns_0,
      .column_count = ARRAY_LEN(columns_0) },
    { .collector = "locks",
      .space = "locks",
      .sql = "SELECT d.datname, m.mode, coalesce(l.n, 0) AS count FROM pg_database d CROSS "
             "JOIN (VALUES ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), "
             "('shareupdateexclusivelock'), ('sharelock'), ('sharerowexclusivelock'), "
             "('exclusivelock'), ('accessexclusivelock'), ('sireadlock')) AS m(mode) LEFT "
             "JOIN (SELECT database, lower(mode) AS mode, count(*) AS n FROM pg_locks WHERE "
             "database IS NOT NULL GROUP BY 1, 2) l ON l.database = d.oid AND l.mode = m.mode",
      .columns = columns_1,
      .column_count = ARRAY_LEN(columns_1) },
    { .collector = "replication",
      .space = "replication",
      .sql = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0 WHEN pg_last_wal_receive_lsn() "
             "= pg_last_wal_replay_lsn() THEN 0 ELSE greatest(0, extract(epoch FROM now() - "
             "pg_last_xact_replay_timestamp())) END AS lag_seconds, pg_is_in_recovery()::int "
             "AS is_replica, greatest(0, extract(epoch FROM now() - "
             "pg_last_xact_replay_timestamp())) AS last_replay_seconds",
      .columns = columns_2,
      .column_count = ARRAY_LEN(columns_2),
      .version_min = 100000 },
    { .collector = "replication_slots",
      .space = "replication_slots",
      .sql = "SELECT slot_name, coalesce(database, '') AS database, active::int AS active, "
             "pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() "
             "ELSE pg_current_wal_lsn() END, restart_lsn) AS pg_wal_lsn_diff FROM "
             "pg_replication_slots",
      .columns = columns_3,
      .column_count = ARRAY_LEN(columns_3),
      .version_min = 100000 },
    { .collector = "replication_slots",
      .space = "replication_slot",
      .sql = "SELECT slot_name, slot_type, (CASE WHEN pg_is_in_recovery() THEN "
             "pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END) - '0/0' AS "
             "slot_current_wal_lsn, coalesce(confirmed_flush_lsn, '0/0') - '0/0' AS "
             "slot_confirmed_flush_lsn, active::int AS slot_is_active FROM "
             "pg_replication_slots",
      .columns = columns_4,
      .column_count = ARRAY_LEN(columns_4),
      .version_min = 100000 },
    { .collector = "replication_slots",
      .space = "replication_slot",
      .sql = "SELECT slot_name, slot_type, safe_wal_size AS safe_wal_size_bytes FROM "
             "pg_replication_slots",
      .columns = columns_5,
      .column_count = ARRAY_LEN(columns_5),
      .version_min = 130000 },
    { .collector = "replication_slots",
      .space = "replication_slot",
      .sql = "SELECT slot_name, slot_type, wal_status, 1 AS wal_status_ FROM "
             "pg_replication_slots WHERE wal_status IS NOT NULL",
      .columns = columns_6,
      .column_count = ARRAY_LEN(columns_6),
      .version_min = 130000 },
    { .collector = "roles",
      .space = "roles",
      .sql = "SELECT rolname, rolconnlimit AS connection_limit FROM pg_roles",
      .columns = columns_7,
      .column_count = ARRAY_LEN(columns_7) },
    { .collector = "stat_activity",
      .space = "stat_activity",
      .sql = "SELECT d.datname, s.state, a.usename, a.application_name, a.backend_type, "
             "a.wait_event_type, a.wait_event, coalesce(a.n, 0) AS count, coalesce(a.longest, "
             "0) AS max_tx_duration FROM pg_database d CROSS JOIN (VALUES ('active'), "
             "('idle'), ('idle in transaction'), ('idle in transaction (aborted)'), "
             "('fastpath function call'), ('disabled')) AS s(state) LEFT JOIN (SELECT "
             "datname, state, usename, application_name, backend_type, wait_event_type, "
             "wait_event, count(*) AS n, max(extract(epoch FROM now() - xact_start)) AS "
             "longest FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, "
             "4, 5, 6, 7) a ON a.datname = d.datname AND a.state = s.state",
      .columns = columns_8,
      .column_count = ARRAY_LEN(columns_8),
      .version_min = 100000 },
    { .collector = "stat_archiver",
      .space = "stat_archiver",
      .sql = "SELECT archived_count, failed_count, extract(epoch FROM now() - "
             "last_archived_time) AS last_archive_age FROM pg_stat_archiver",
      .columns = columns_9,
      .column_count = ARRAY_LEN(columns_9) },
    { .collector = "stat_bgwriter",
      .space = "stat_bgwriter",
      .sql = "SELECT checkpoints_timed AS checkpoints_timed_total, checkpoints_req AS "
             "checkpoints_req_total, checkpoint_write_time AS checkpoint_write_time_total, "
             "checkpoint_sync_time AS checkpoint_sync_time_total, buffers_checkpoint AS "
             "buffers_checkpoint_total, buffers_clean AS buffers_clean_total, "
             "maxwritten_clean AS maxwritten_clean_total, buffers_backend AS "
             "buffers_backend_total, buffers_backend_fsync AS buffers_backend_fsync_total, "
             "buffers_alloc AS buffers_alloc_total, extract(epoch FROM stats_reset) AS "
             "stats_reset_total FROM pg_stat_bgwriter",
      .columns = columns_10,
      .column_count = ARRAY_LEN(columns_10),
      .version_max = 170000,
      .alias_end = "_total" },
    { .collector = "stat_bgwriter",
      .space = "stat_bgwriter",
      .sql = "SELECT buffers_clean AS buffers_clean_total, maxwritten_clean AS "
             "maxwritten_clean_total, buffers_alloc AS buffers_alloc_total, extract(epoch "
             "FROM stats_reset) AS stats_reset_total FROM pg_stat_bgwriter",
      .columns = columns_11,
      .column_count = ARRAY_LEN(columns_11),
      .version_min = 170000,
      .alias_end = "_total" },
    { .collector = "stat_checkpointer",
      .space = "stat_checkpointer",
      .sql = "SELECT num_timed AS num_timed_total, num_requested AS num_requested_total, "
             "restartpoints_timed AS restartpoints_timed_total, restartpoints_req AS "
             "restartpoints_req_total, restartpoints_done AS restartpoints_done_total, "
             "write_time AS write_time_total, sync_time AS sync_time_total, buffers_written "
             "AS buffers_written_total, extract(epoch FROM stats_reset) AS stats_reset_total "
             "FROM pg_stat_checkpointer",
      .columns = columns_12,
      .column_count = ARRAY_LEN(columns_12),
      .version_min = 170000,
      .off = true },
    { .collector = "stat_database",
      .space = "stat_database",
      .sql = "SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, "
             "blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, "
             "conflicts, temp_files, temp_bytes, deadlocks, blk_read_time, blk_write_time, "
             "extract(epoch FROM stats_reset) AS stats_reset FROM pg_stat_database WHERE "
             "datname IS NOT NULL",
      .columns = columns_13,
      .column_count = ARRAY_LEN(columns_13) },
    { .collector = "stat_database",
      .space = "stat_database",
      .sql = "SELECT datid, datname, active_time / 1000.0 AS active_time_seconds_total FROM "
             "pg_stat_database WHERE datname IS NOT NULL",
      .columns = columns_14,
      .column_count = ARRAY_LEN(columns_14),
      .version_min = 140000 },
    { .collector = "stat_database",
      .space = "stat_database_conflicts",
      .sql = "SELECT datid, datname, confl_tablespace, confl_lock, confl_snapshot, "
             "confl_bufferpin, confl_deadlock FROM pg_stat_database_conflicts",
      .columns = columns_15,
      .column_count = ARRAY_LEN(columns_15) },
    { .collector = "stat_progress_vacuum",
      .space = "stat_progress_vacuum",
      .sql = "SELECT d.datname, CASE WHEN d.datname = current_database() THEN "
             "s.relid::regclass::text ELSE s.relid::text END AS relname, s.param2 AS "
             "heap_blks, s.param3 AS heap_blks_scanned, s.param4 AS heap_blks_vacuumed, "
             "s.param5 AS index_vacuums, s.param6 AS max_dead_tuples, s.param7 AS "
             "num_dead_tuples FROM pg_stat_get_progress_info('VACUUM') s LEFT JOIN "
             "pg_database d ON d.oid = s.datid",
      .columns = columns_16,
      .column_count = ARRAY_LEN(columns_16),
      .version_min = 120000 },
    { .collector = "stat_progress_vacuum",
      .space = "stat_progress_vacuum",
      .sql = "SELECT d.datname, CASE WHEN d.datname = current_database() THEN "
             "s.relid::regclass::text ELSE s.relid::text END AS relname, p.name AS phase, "
             "(s.param1 = p.n)::int AS phase_ FROM pg_stat_get_progress_info('VACUUM') s LEFT "
             "JOIN pg_database d ON d.oid = s.datid CROSS JOIN (VALUES (0, 'initializing'), "
             "(1, 'scanning heap'), (2, 'vacuuming indexes'), (3, 'vacuuming heap'), (4, "
             "'cleaning up indexes'), (5, 'truncating heap'), (6, 'performing final "
             "cleanup')) AS p(n, name)",
      .columns = columns_17,
      .column_count = ARRAY_LEN(columns_17),
      .version_min = 120000 },
    { .collector = "stat_replication",
      .space = "stat_replication",
      .sql = "SELECT r.application_name, r.client_addr::text AS client_addr, r.state, "
             "s.slot_name, r.pid, pg_wal_lsn_diff(w.now, '0/0') AS pg_current_wal_lsn_bytes, "
             "pg_wal_lsn_diff(w.now, r.replay_lsn) AS pg_wal_lsn_diff FROM "
             "pg_stat_replication r CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN "
             "pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS now) w LEFT JOIN "
             "pg_replication_slots s ON s.active_pid = r.pid",
      .columns = columns_18,
      .column_count = ARRAY_LEN(columns_18),
      .version_min = 100000 },
    { .collector = "stat_user_tables",
      .space = "stat_user_tables",
      .sql = "SELECT current_database() AS datname, schemaname, relname, seq_scan, "
             "seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, "
             "n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, extract(epoch FROM "
             "last_vacuum) AS last_vacuum, extract(epoch FROM last_autovacuum) AS "
             "last_autovacuum, extract(epoch FROM last_analyze) AS last_analyze, "
             "extract(epoch FROM last_autoanalyze) AS last_autoanalyze, vacuum_count, "
             "autovacuum_count, analyze_count, autoanalyze_count, pg_indexes_size(relid) AS "
             "index_size_bytes, pg_table_size(relid) AS table_size_bytes FROM "
             "pg_stat_user_tables",
      .columns = columns_19,
      .column_count = ARRAY_LEN(columns_19) },
    { .collector = "statio_user_tables",
      .space = "statio_user_tables",
      .sql = "SELECT current_database() AS datname, schemaname, relname, heap_blks_read AS "
             "heap_blocks_read, heap_blks_hit AS heap_blocks_hit, idx_blks_read AS "
             "idx_blocks_read, idx_blks_hit AS idx_blocks_hit, toast_blks_read AS "
             "toast_blocks_read, toast_blks_hit AS toast_blocks_hit, tidx_blks_read AS "
             "tidx_blocks_read, tidx_blks_hit AS tidx_blocks_hit FROM pg_statio_user_tables",
      .columns = columns_20,
      .column_count = ARRAY_LEN(columns_20) },
    { .collector = "statio_user_indexes",
      .space = "statio_user_indexes",
      .sql = "SELECT schemaname, relname, indexrelname, idx_blks_read AS idx_blks_read_total, "
             "idx_blks_hit AS idx_blks_hit_total FROM pg_statio_user_indexes",
      .columns = columns_21,
      .column_count = ARRAY_LEN(columns_21),
      .off = true },
    { .collector = "wal",
      .space = "wal",
      .sql = "SELECT count(*) AS segments, coalesce(sum(size), 0) AS size_bytes FROM "
             "pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
      .columns = columns_22,
      .column_count = ARRAY_LEN(columns_22),
      .version_min = 100000 },
    { .collector = "long_running_transactions",
      .space = "",
      .sql = "SELECT count(*) AS long_running_transactions, coalesce(max(extract(epoch FROM "
             "clock_timestamp() - xact_start)), 0) AS "
             "long_running_transactions_oldest_timestamp_seconds FROM pg_stat_activity WHERE "
             "state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%' AND xact_start "
             "IS NOT NULL AND pid <> pg_backend_pid()",
      .columns = columns_23,
      .column_count = ARRAY_LEN(columns_23),
      .off = true },
    { .collector = "postmaster",
      .space = "postmaster",
      .sql = "SELECT extract(epoch FROM pg_postmaster_start_time()) AS start_time_seconds",
      .columns = columns_24,
      .column_count = ARRAY_LEN(columns_24),
      .off = true },
    { .collector = "database_wraparound",
      .space = "database_wraparound",
      .sql = "SELECT datname, age(datfrozenxid) AS age_datfrozenxid_seconds, "
             "mxid_age(datminmxid) AS age_datminmxid_seconds FROM pg_database WHERE "
             "datallowconn",
      .columns = columns_25,
      .column_count = ARRAY_LEN(columns_25),
      .off = true },
    { .collector = "stat_activity_autovacuum",
      .space = "stat_activity_autovacuum",
      .sql = "SELECT split_part(query, '.', 2) AS relname, extract(epoch FROM xact_start) AS "
             "timestamp_seconds FROM pg_stat_activity WHERE query LIKE 'autovacuum:%'",
      .columns = columns_26,
      .column_count = ARRAY_LEN(columns_26),
      .off = true },
    { .collector = "stat_statements",
      .space = "stat_statements",
      .sql = "SELECT pg_get_userbyid(s.userid) AS \"user\", d.datname, s.queryid, s.calls AS "
             "calls_total, s.total_time / 1000.0 AS seconds_total, s.rows AS rows_total, "
             "s.blk_read_time / 1000.0 AS block_read_seconds_total, s.blk_write_time / 1000.0 "
             "AS block_write_seconds_total FROM pg_stat_statements s JOIN pg_database d ON "
             "d.oid = s.dbid ORDER BY s.total_time DESC LIMIT 100",
      .columns = columns_27,
      .column_count = ARRAY_LEN(columns_27),
      .version_max = 130000,
      .off = true },
    { .collector = "stat_statements",
      .space = "stat_statements",
      .sql = "SELECT pg_get_userbyid(s.userid) AS \"user\", d.datname, s.queryid, s.calls AS "
             "calls_total, s.total_exec_time / 1000.0 AS seconds_total, s.rows AS rows_total, "
             "s.blk_read_time / 1000.0 AS block_read_seconds_total, s.blk_write_time / 1000.0 "
             "AS block_write_seconds_total FROM pg_stat_statements s JOIN pg_database d ON "
             "d.oid = s.dbid ORDER BY s.total_exec_time DESC LIMIT 100",
      .columns = columns_28,
      .column_count = ARRAY_LEN(columns_28),
      .version_min = 130000,
      .version_max = 170000,
      .off = true },
    { .collector = "stat_statements",
      .space = "stat_statements",
      .sql = "SELECT pg_get_userbyid(s.userid) AS \"user\", d.datname, s.queryid, s.calls AS "
             "calls_total, s.total_exec_time / 1000.0 AS seconds_total, s.rows AS rows_total, "
             "s.shared_blk_read_time / 1000.0 AS block_read_seconds_total, "
             "s.shared_blk_write_time / 1000.0 AS block_write_seconds_total FROM "
             "pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid ORDER BY "
             "s.total_exec_time DESC LIMIT 100",
      .columns = columns_29,
      .column_count = ARRAY_LEN(columns_29),
      .version_min = 170000,
      .off = true },
};
const size_t pg_query_count = ARRAY_LEN(pg_queries);
