// Encoders for the tests, made by protobufjs from the published schemas, apart from the readers under test.
import protobuf from 'protobufjs'
import { compress } from 'snappyjs'
import type { Envelope, EnvelopeKind, Receipt } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { IngestIntake } from '../../src/ingest/intake.ts'
import type { IntakeOptions } from '../../src/ingest/options.ts'

const REMOTE_WRITE_1 = `syntax = "proto3";
message WriteRequest { repeated TimeSeries timeseries = 1; repeated Metadata metadata = 3; }
message Metadata { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; }
message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
message BucketSpan { sint32 offset = 1; uint32 length = 2; }
message Histogram {
  oneof count { uint64 count_int = 1; double count_float = 2; }
  double sum = 3; sint32 schema = 4; double zero_threshold = 5;
  oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; }
  repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9; repeated double negative_counts = 10;
  repeated BucketSpan positive_spans = 11; repeated sint64 positive_deltas = 12; repeated double positive_counts = 13;
  int32 reset_hint = 14; int64 timestamp = 15; repeated double custom_values = 16;
}
message Request { repeated string symbols = 4; repeated TimeSeries2 timeseries = 5; }
message TimeSeries2 { repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3; repeated Exemplar2 exemplars = 4; Metadata2 metadata = 5; int64 created_timestamp = 6; }
message Exemplar2 { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
message Metadata2 { int32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }`

const OTLP = `syntax = "proto3";
message Export { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; }
message Scope { string name = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message Metric { string name = 1; string description = 2; string unit = 3; oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; Summary summary = 11; } }
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
message ExponentialHistogram { repeated ExponentialDataPoint data_points = 1; int32 aggregation_temporality = 2; }
message Summary { repeated SummaryDataPoint data_points = 1; }
message NumberDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated KeyValue attributes = 7; uint32 flags = 8; }
message HistogramDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated KeyValue attributes = 9; uint32 flags = 10; }
message ExponentialDataPoint { repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9; uint32 flags = 10; double zero_threshold = 14; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message SummaryDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5; repeated Quantile quantile_values = 6; repeated KeyValue attributes = 7; uint32 flags = 8; }
message Quantile { double quantile = 1; double value = 2; }`

const prometheus = protobuf.parse(REMOTE_WRITE_1, { keepCase: true }).root
const otlp = protobuf.parse(OTLP, { keepCase: true }).root

export type Json = Record<string, unknown>

export function encode(type: string, body: Json): Uint8Array {
  const root = type === 'Export' ? otlp : prometheus
  const message = root.lookupType(type)
  return message.encode(message.fromObject(body)).finish()
}

/** Labels, metric name first, as remote write sends them: sorted. */
export function labelList(metric: string, labels: Record<string, string> = {}): Json[] {
  return Object.entries({ __name__: metric, ...labels })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value }))
}

export function remoteWrite1(body: Json): Uint8Array {
  return compress(encode('WriteRequest', body))
}

export function remoteWrite2(body: Json): Uint8Array {
  return compress(encode('Request', body))
}

export interface Seen {
  readonly key: string
  readonly timeMs: number
  readonly value: number
}

/** An intake with everything it gave out, by series key. */
export class Bench {
  readonly rejects = new Rejects()
  readonly series: SeriesTable
  readonly intake: IngestIntake
  seen: Seen[] = []

  constructor(options: Partial<IntakeOptions> = {}, series = new SeriesTable()) {
    this.series = series
    this.intake = new IngestIntake(options, { series, rejects: this.rejects })
  }

  send(kind: EnvelopeKind, bytes: Uint8Array, more: Partial<Envelope> = {}): Receipt {
    const encoding = kind.startsWith('remote') ? 'snappy' : 'identity'
    const envelope: Envelope = { kind, encoding, arrivalMs: 2e12, tenant: 'default', bytes, ...more }
    return this.intake.decode(envelope, batch => {
      for (let i = 0; i < batch.length; i++) {
        const { key } = this.series.meta(batch.series[i])
        this.seen.push({ key, timeMs: batch.timeMs[i], value: batch.value[i] })
      }
    })
  }

  lines(...lines: unknown[]): Receipt {
    return this.send(
      'json-lines',
      new TextEncoder().encode(lines.map(line => JSON.stringify(line)).join('\n')),
    )
  }

  values(key: string): number[] {
    return this.seen.filter(sample => sample.key === key).map(sample => sample.value)
  }

  keys(): string[] {
    return [...new Set(this.seen.map(sample => sample.key))].sort()
  }

  meta(key: string) {
    return this.series.meta(this.series.row(key))
  }
}
