/** Foreshock's own metrics, which are named here alone: type, what it says and what to do about it, labels. */
export const METRICS = {
  foreshock_envelopes_total: { type: 'counter', help: 'Bodies taken in, by kind', labels: ['kind'] },
  foreshock_samples_total: {
    type: 'counter',
    help: 'Samples taken in, by kind of body; in a fleet once more as `columns` where they are scored',
    labels: ['kind'],
  },
  foreshock_rejects_total: {
    type: 'counter',
    help: 'Records refused, by reason; look at /api/rejects',
    labels: ['reason'],
  },
  foreshock_windows_total: { type: 'counter', help: 'Windows scored', labels: [] },
  foreshock_late_samples_total: {
    type: 'counter',
    help: 'Samples later than the allowed lateness; raise features.lateness if it grows',
    labels: [],
  },
  foreshock_warm_up_progress: {
    type: 'gauge',
    help: 'Share of the configured history that was learned from, 1 when it is done',
    labels: [],
  },
  foreshock_warm_up_samples_total: { type: 'counter', help: 'Samples of history learned from', labels: [] },
  foreshock_warm_up_retries_total: {
    type: 'counter',
    help: 'Questions for history that had to be asked again; look at the log if it grows',
    labels: [],
  },
  foreshock_series: { type: 'gauge', help: 'Series held', labels: [] },
  foreshock_series_limit: {
    type: 'gauge',
    help: 'Most series held; new ones are refused beyond it',
    labels: [],
  },
  foreshock_worker_series: { type: 'gauge', help: 'Series that a thread scores', labels: ['worker'] },
  foreshock_worker_rows: {
    type: 'gauge',
    help: 'Windows of series that a thread has scored since the start',
    labels: ['worker'],
  },
  foreshock_worker_busy_seconds: {
    type: 'gauge',
    help: 'Time that a thread was busy scoring since the start; add detection.workers when it grows by a second a second',
    labels: ['worker'],
  },
  foreshock_worker_waiting: {
    type: 'gauge',
    help: 'Batches that wait for a thread that scores, or are in work there',
    labels: ['worker'],
  },
  foreshock_state_bytes: { type: 'gauge', help: 'Learned state held, by part', labels: ['part'] },
  foreshock_detector_coverage: {
    type: 'gauge',
    help: 'What a detector with a budget covers, and what waits for room (…-waiting); raise detection.multivariate',
    labels: ['detector', 'what'],
  },
  foreshock_tier_unscored: {
    type: 'gauge',
    help: 'Series that a tier of detectors does not look at, and why; no-room: raise detection.richSeries, else detection.pool or the budget named',
    labels: ['tier', 'why'],
  },
  foreshock_series_by_profile: {
    type: 'gauge',
    help: 'Series by memory profile of their daily shape; detection.memory decides who gets a larger one',
    labels: ['profile'],
  },
  foreshock_profile_bytes: {
    type: 'gauge',
    help: 'State of daily shapes held, by memory profile',
    labels: ['profile'],
  },
  foreshock_profile_moves: {
    type: 'gauge',
    help: 'Series given a larger (up) or smaller (down) profile since the start; if both grow fast, raise detection.memory',
    labels: ['direction'],
  },
  foreshock_watermark_seconds: {
    type: 'gauge',
    help: 'Event time up to which windows are complete, Unix seconds',
    labels: [],
  },
  foreshock_queue_bytes: {
    type: 'gauge',
    help: 'Bytes waiting to be processed; 429 is answered above the cap',
    labels: [],
  },
  foreshock_stage_seconds: {
    type: 'histogram',
    help: 'Time spent per pipeline stage and batch',
    labels: ['stage'],
  },
  foreshock_anomalies_total: { type: 'counter', help: 'Anomalies opened, by severity', labels: ['severity'] },
  foreshock_anomalies_open: { type: 'gauge', help: 'Anomalies open now', labels: [] },
  foreshock_suspect_pool: {
    type: 'gauge',
    help: 'Series in the pool for suspects, and what it did since the start; raise detection.pool.size if it refuses',
    labels: ['what'],
  },
  foreshock_disruptions_total: { type: 'counter', help: 'Disruption events, by type', labels: ['type'] },
  foreshock_disruptions_open: { type: 'gauge', help: 'Disruptions open now', labels: [] },
  foreshock_disruption_dropped: {
    type: 'gauge',
    help: 'What disruptions had no room for since the start, by what; raise its limit or look for runaway labels',
    labels: ['what'],
  },
  foreshock_explained_away: {
    type: 'gauge',
    help: 'Strange entity-windows explained by an announcement or by traffic since the start, and told to nobody',
    labels: ['by'],
  },
  foreshock_alerts_promised_per_week: {
    type: 'gauge',
    help: 'Alerts a week that budgets allow, by budget',
    labels: ['budget'],
  },
  foreshock_alerts_achieved_per_week: {
    type: 'gauge',
    help: 'Alerts a week there were over the last four weeks, by budget; above the promise raise it or look at the series',
    labels: ['budget'],
  },
  foreshock_rule_series: {
    type: 'gauge',
    help: 'Series that match each rule of detection.rules; a rule with 0 does nothing',
    labels: ['rule'],
  },
  foreshock_calendar_windows: {
    type: 'gauge',
    help: 'Windows that each calendar entry kept from alerting, or compared with another day, since it was configured',
    labels: ['entry'],
  },
  foreshock_disruptions_held: {
    type: 'gauge',
    help: 'Open disruptions that a maintenance window keeps to the record',
    labels: [],
  },
  foreshock_experiment_events_total: {
    type: 'counter',
    help: 'What happened to experiments with models; a problem is an order that failed, see the log',
    labels: ['what'],
  },
  foreshock_publish_total: {
    type: 'counter',
    help: 'Events delivered or failed, by sink; failed ones are retried',
    labels: ['sink', 'outcome'],
  },
  foreshock_publish_pending: {
    type: 'gauge',
    help: 'Events waiting for delivery, by sink',
    labels: ['sink'],
  },
  foreshock_index_lines_total: {
    type: 'counter',
    help: 'Lines of the record brought into the index that answers queries',
    labels: [],
  },
  foreshock_index_lag: {
    type: 'gauge',
    help: 'Messages of the record that the index does not have yet, by partition; look at PostgreSQL if it grows',
    labels: ['partition'],
  },
  foreshock_index_skipped_total: {
    type: 'counter',
    help: 'Lines of the record that the index could not take; the log names them',
    labels: [],
  },
  foreshock_checkpoint_seconds: { type: 'histogram', help: 'Time to save a checkpoint', labels: [] },
  foreshock_checkpoint_pause_seconds: {
    type: 'gauge',
    help: 'For how long the last checkpoint stopped the pipeline',
    labels: [],
  },
  foreshock_checkpoint_copied_bytes: {
    type: 'gauge',
    help: 'What had to be copied because it changed before the last checkpoint was written; look at the disk if it grows',
    labels: [],
  },
  foreshock_checkpoint_copies_peak_bytes: {
    type: 'gauge',
    help: 'The most that waited in copies at once while the last checkpoint was written; at most checkpoint.copies',
    labels: [],
  },
  foreshock_checkpoint_waited_seconds: {
    type: 'gauge',
    help: 'For how long windows and bodies waited in all while the last checkpoint was written; look at the disk if it grows',
    labels: [],
  },
  foreshock_checkpoints_failed_total: {
    type: 'counter',
    help: 'Checkpoints that could not be written, such as on a full disk; the one before stays, the log says why, and it is tried again',
    labels: [],
  },
  foreshock_checkpoints_given_up_total: {
    type: 'counter',
    help: 'Checkpoints given up because the disk was too slow for what changed; the next one begins anew',
    labels: [],
  },
  foreshock_checkpoint_position: { type: 'gauge', help: 'Position of the last checkpoint', labels: [] },
  foreshock_partition_lag: {
    type: 'gauge',
    help: 'Messages of a samples partition that wait to be scored; add scorers when it grows',
    labels: ['partition'],
  },
  foreshock_partition_watermark_seconds: {
    type: 'gauge',
    help: 'Event time up to which a samples partition has told the disruption stage everything, Unix seconds',
    labels: ['partition'],
  },
  foreshock_partition_series: {
    type: 'gauge',
    help: 'Series held of a samples partition',
    labels: ['partition'],
  },
  foreshock_partition_checkpoint_time_seconds: {
    type: 'gauge',
    help: 'When the state of a samples partition was last saved, Unix seconds; what came since is read again after a crash',
    labels: ['partition'],
  },
  foreshock_partition_checkpoint_bytes: {
    type: 'gauge',
    help: 'State in the last checkpoint of a samples partition, before compression',
    labels: ['partition'],
  },
  foreshock_partition_checkpoint_seconds: {
    type: 'gauge',
    help: 'Time that the last checkpoint of a samples partition took to save',
    labels: ['partition'],
  },
  foreshock_partition_checkpoint_failures_total: {
    type: 'counter',
    help: 'Checkpoints that could not be saved and are tried again; look at Redis if it grows',
    labels: ['partition'],
  },
  foreshock_partition_replayed_windows_total: {
    type: 'counter',
    help: 'Windows scored anew from the log after a samples partition was restored; readers drop those they have',
    labels: ['partition'],
  },
  foreshock_partition_untold_windows_total: {
    type: 'counter',
    help: 'Windows that ended before what a samples partition had told already; they reach no disruption',
    labels: ['partition'],
  },
  foreshock_partition_repeats_total: {
    type: 'counter',
    help: 'Messages dropped because they had been passed on to a samples partition before',
    labels: ['partition'],
  },
  foreshock_partition_model_orders_total: {
    type: 'counter',
    help: 'Orders of models that reached a samples partition, by what became of them; `mended` ones were missing from it',
    labels: ['partition', 'what'],
  },
  foreshock_partition_model_problems: {
    type: 'gauge',
    help: 'Models that have a part in a samples partition and do not score; GET /api/models says why',
    labels: ['partition'],
  },
  foreshock_model_packages_total: {
    type: 'counter',
    help: 'Packages of models that were asked for to be opened, and could be had or not; look at PostgreSQL if it fails',
    labels: ['result'],
  },
  foreshock_partition_passed_on_total: {
    type: 'counter',
    help: 'Messages passed on to the samples partitions that their entities belong to',
    labels: ['partition'],
  },
  foreshock_dead_letters_total: {
    type: 'counter',
    help: 'Messages that could not be read, by topic; look at the dead-letters topic for bytes and reason',
    labels: ['topic'],
  },
  foreshock_stage_lag: {
    type: 'gauge',
    help: 'Messages of an anomalies partition that wait for the disruption stage',
    labels: ['partition'],
  },
  foreshock_stage_watermark_seconds: {
    type: 'gauge',
    help: 'Event time up to which windows of all scorers are grouped, by anomalies partition, Unix seconds',
    labels: ['partition'],
  },
  foreshock_stage_waiting_windows: {
    type: 'gauge',
    help: 'Windows that wait for samples partitions that have not told of them; look for a scorer that is behind',
    labels: ['partition'],
  },
  foreshock_stage_waiting_bytes: {
    type: 'gauge',
    help: 'Bytes of windows that wait for samples partitions',
    labels: ['partition'],
  },
  foreshock_stage_away: {
    type: 'gauge',
    help: 'Samples partitions that windows go on without: they were silent for longer than cluster.patience',
    labels: ['partition'],
  },
  foreshock_stage_history_missing_windows: {
    type: 'gauge',
    help: 'Windows that history lacks since a restart, as the log held them no more; keep anomalies for longer',
    labels: ['partition'],
  },
  foreshock_stage_merged_windows_total: {
    type: 'counter',
    help: 'Windows of all samples partitions that were grouped',
    labels: ['partition'],
  },
  foreshock_stage_late_windows_total: {
    type: 'counter',
    help: 'Windows of one samples partition that grouping had gone on without; raise cluster.patience if it grows',
    labels: ['partition'],
  },
  foreshock_stage_repeats_total: {
    type: 'counter',
    help: 'Reports and changes dropped because they were told before, as after a restart',
    labels: ['partition'],
  },
  foreshock_stage_unknown_rows_total: {
    type: 'counter',
    help: 'Rows of windows left out because their series was not described yet or the table is full',
    labels: ['partition'],
  },
  foreshock_http_seconds: {
    type: 'histogram',
    help: 'HTTP requests, by route and status',
    labels: ['route', 'status'],
  },
} as const satisfies Record<
  string,
  { type: 'counter' | 'gauge' | 'histogram'; help: string; labels: readonly string[] }
>

export type MetricName = keyof typeof METRICS
export type LabelsOf<N extends MetricName> = (typeof METRICS)[N]['labels'][number] extends never
  ? undefined
  : Record<(typeof METRICS)[N]['labels'][number], string>
