// Shows that names as exporters really write them, with their labels, get the kind a person would give.
import { describe, expect, it } from 'vitest'
import { type MetricKind, metricKind, unitOf } from '../../src/core/metric-kind.ts'

const NAMES: Record<MetricKind, string> = {
  cpu: 'container_cpu_usage_seconds_total:rate node_cpu_seconds_total:rate node_load1 process_cpu_seconds_total:rate container_cpu_cfs_throttled_seconds_total:rate cpu_usage CpuUsageRate(%) NodeCpuUsage container-cpu-usage',
  network:
    'node_network_receive_bytes_total:rate node_network_transmit_packets_total:rate container_network_receive_bytes_total:rate network_in',
  error:
    'node_network_receive_errs_total:rate node_network_receive_drop_total:rate kube_pod_container_status_restarts_total:rate pg_stat_database_deadlocks:rate envoy_cluster_upstream_rq_5xx:rate http_client_errors_total:rate error_rate error_ratio node_netstat_Tcp_RetransSegs:rate http_5xx_ratio http_401_unauthorized_ratio http_status_503_total:rate access_denied_total:rate pod_crash_count',
  traffic:
    'http_requests_total:rate http_request_duration_seconds:count http_server_requests_seconds:count grpc_server_handled_total:rate mysql_global_status_queries:rate redis_commands_processed_total:rate nginx_http_requests_total:rate istio_requests_total:rate checkout_orders_total:rate requests_per_second PodWorkload(Ops) pg_stat_database_xact_commit:rate',
  latency:
    'http_server_requests_seconds:p99 http_request_duration_seconds:p95 grpc_server_handling_seconds:p99 probe_duration_seconds istio_request_duration_milliseconds:p99 http_server_request_duration:p99 latency_p99 response_time nodejs_eventloop_lag_seconds envoy_cluster_upstream_rq_time:p99 PodClientLatencyP99(s)',
  availability: 'up probe_success availability cache_hit_ratio PodSuccessRate(%)',
  memory:
    'process_resident_memory_bytes node_memory_MemAvailable_bytes container_memory_working_set_bytes container_memory_rss go_memstats_heap_inuse_bytes jvm_memory_used_bytes go_gc_duration_seconds:p50 redis_memory_used_bytes memory_usage',
  io: 'node_filesystem_avail_bytes node_filesystem_files_free kubelet_volume_stats_available_bytes node_disk_read_bytes_total:rate node_disk_io_time_seconds_total:rate container_fs_writes_bytes_total:rate disk_usage SyscallRead',
  saturation:
    'go_goroutines jvm_threads_live_threads kafka_consumergroup_lag rabbitmq_queue_messages nginx_connections_active db_client_connections_usage http_server_active_requests process_open_fds node_procs_running redis_connected_clients',
  other: 'node_boot_time_seconds process_uptime_seconds process_start_time_seconds temperature',
}

describe('metricKind', () => {
  for (const [kind, names] of Object.entries(NAMES)) {
    it(`knows ${kind}`, () => {
      for (const name of names.split(' ')) expect(metricKind(name, unitOf(name)), name).toBe(kind)
    })
  }

  it('calls a count of failed requests an error', () => {
    const requests = (labels: Record<string, string>) => metricKind('http_requests_total:rate', '1/s', labels)
    const failed = [
      { status: '500' },
      { code: '5xx' },
      { outcome: 'error' },
      { error: 'true' },
      { exception: 'IOError' },
    ]
    for (const labels of failed) expect(requests(labels as never), JSON.stringify(labels)).toBe('error')
    const fine = [
      { status: '200' },
      { code: '2xx' },
      { outcome: 'success' },
      { exception: 'None' },
      { port: '500' },
    ]
    for (const labels of fine) expect(requests(labels as never), JSON.stringify(labels)).toBe('traffic')
    expect(metricKind('http_request_duration_seconds:p99', 's', { status: '500' })).toBe('latency')
    expect(metricKind('http_request_duration_seconds:count', '1/s', { status: '500' })).toBe('error')
  })

  it('reads units from names', () => {
    const units = {
      a_seconds: 's',
      a_seconds_total: 's',
      'a_ms:p99': 'ms',
      a_bytes: 'By',
      a_ratio: 'ratio',
      a_percent: 'percent',
      a: '',
    }
    for (const [name, unit] of Object.entries(units)) expect(unitOf(name), name).toBe(unit)
  })
})
