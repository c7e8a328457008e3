// The API's JSON, as far as the dashboard reads it. Times are RFC 3339 UTC texts in plant time.

export type HealthState = "unknown" | "learning" | "acceptable" | "monitor" | "plan" | "act";
export type Operation = "unknown" | "off" | "transient" | "steady";
export type Quality = "good" | "uncertain" | "bad";
export type AssetKind = "pump" | "fan" | "motor" | "gearbox" | "spindle" | "compressor" | "machine";
export type AlarmKind = "machine_anomaly" | "failure_limit" | "sensor_fault" | "no_data";
export type AlarmState = "normal" | "unacked_alarm" | "acked_alarm" | "rtn_unacked";
export type Priority = "low" | "medium" | "high";
export type ConnectorState = "connecting" | "connected" | "degraded" | "backing_off" | "stopped";
export type GatewayState = "ok" | "learning" | "attention";

/** How long there is, in hours of plant time. A quantile is null when it lies at "never". */
export interface RulInterval {
  available: true;
  at: string;
  tag: string;
  p05_h: number | null;
  p50_h: number | null;
  p95_h: number | null;
  no_failure_probability: number;
  onset: string;
  indicator: number;
  limit: number;
  unit: string;
}

/** Why nobody can say how long there is. */
export interface RulRefusal {
  available: false;
  code: string;
  reason: string;
}

export type Rul = RulInterval | RulRefusal;

export interface Asset {
  id: string;
  path: string;
  name: string;
  area: string;
  work_center: string;
  kind: AssetKind;
  state: HealthState;
  since: string | null;
  reason: string;
  health: number;
  operation: Operation;
  learning_ratio: number;
  score: number;
  rul: Rul;
  alarms: number;
  quality: Quality;
  maintained_at: string | null;
  /** Recent health, oldest first; null where there was none. Absent in frames. */
  spark?: (number | null)[];
}

export interface Contribution {
  tag: string;
  signal: string;
  unit: string;
  share: number;
  actual: number;
  expected: number;
  expected_std_dev: number;
}

export interface Operand {
  tag: string;
  signal: string;
  value: number;
  unit: string;
}

export interface Mark {
  at: string;
  kind: "alarm" | "returned" | "repair";
  text: string;
}

export interface TagValue {
  id: string;
  signal: string;
  asset: string;
  unit: string;
  role: "condition" | "driver" | "information";
  value: number | null;
  at: string | null;
  age_s: number | null;
  quality: Quality;
  /** In the server's words, to stand after "because". */
  quality_reason: string | null;
  score: number;
  range: [number, number] | null;
  failure: { above?: number; below?: number } | null;
  source: string;
  /** Where it lies at its source; null for numbers computed from waveforms. */
  address: string | null;
  flags: Flag[];
  is_waveform: boolean;
}

export type FlagCode = "duplicate_address" | "duplicate_time" | "frozen" | "out_of_range";

/** What is suspicious about a tag, in the server's words. */
export interface Flag {
  code: FlagCode;
  words: string;
}

/** A gap in the data. */
export interface Loss {
  /** Null for all sources. */
  source: string | null;
  /** Empty for all tags of the source. */
  tags: string[];
  tag_count: number;
  from: string;
  /** Null while it lasts. */
  to: string | null;
  cause: string;
  /** The cause in the server's words. */
  words: string;
  count: number;
  filled_at: string | null;
}

export interface AssetDetail extends Asset {
  tags: TagValue[];
  contributions: Contribution[];
  condition: Operand[];
  left_out: string[];
  marks: Mark[];
  /** Why the past is missing; absent if it is not. */
  history_error?: string;
}

export interface RulHistoryPoint {
  at: string;
  p05_h: number | null;
  p50_h: number | null;
  p95_h: number | null;
}

export interface HealthHistoryPoint {
  at: string;
  health: number;
  score: number;
}

export type RulReport = Rul & {
  /** Times without an estimate are left out. */
  history: RulHistoryPoint[];
  health: HealthHistoryPoint[];
  /** Why the past is missing; absent if it is not. */
  history_error?: string;
};

export interface TagHistory {
  id: string;
  unit: string;
  /** `raw`, or the width of a bucket such as `10s`. */
  level: string;
  /** Milliseconds since 1970. */
  at: number[];
  min: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
  quality: Quality[];
}

export interface Alarm {
  id: string;
  asset: string;
  asset_name: string;
  tag: string | null;
  kind: AlarmKind;
  state: AlarmState;
  priority: Priority;
  severity: HealthState;
  raised_at: string;
  returned_at: string | null;
  acked_at: string | null;
  acked_by: string | null;
  sentence: string;
  code: string;
  contributions: Contribution[];
}

export interface CertificateInfo {
  sha256: string;
  sha1: string;
  trust: "own" | "trusted" | "rejected";
  subject: string;
  application_uri: string | null;
  hosts: string[];
  not_before: string;
  not_after: string;
  expiry: string | null;
}

export interface Connector {
  name: string;
  protocol: string;
  endpoint: string;
  state: ConnectorState;
  since: string;
  last_error: string | null;
  last_error_at: string | null;
  silent: string[];
  tags: number;
  readings: number;
  dropped: number;
  requests: number;
  timeouts: number;
  refusals: number;
  sessions: number;
  bytes_received: number;
  round_trip_p50_ms: number | null;
  round_trip_p99_ms: number | null;
}

export interface ConnectorSummary extends Connector {
  condition: string;
  requests_per_s: number;
  reconnects: number;
  lateness_p99_ms: number | null;
  unit_count: number;
  flagged: number;
}

export interface Refusal {
  code: number;
  text: string;
  words: string;
  count: number;
}

export interface Unit {
  name: string;
  condition: string;
  requests: number;
  requests_per_s: number;
  timeouts: number;
  refusals: Refusal[];
  bytes_received: number;
  round_trip_p50_ms: number | null;
  round_trip_p99_ms: number | null;
  lateness_p99_ms: number | null;
}

export interface Exchange {
  at: string;
  unit: string;
  request: string;
  request_hex: string;
  answer: string;
  answer_hex: string;
  round_trip_ms: number;
}

export interface ConnectorDetail extends ConnectorSummary {
  at: string;
  units: Unit[];
  exchanges: Exchange[];
  flags: { tag: string; flags: Flag[] }[];
}

export interface UplinkTotals {
  connected: boolean;
  backlog: number;
  sent: number;
  acked: number;
  bytes_sent: number;
  bytes_raw_equivalent: number;
}

export interface Uplink extends UplinkTotals {
  name: string;
  endpoint: string;
  since: string;
  last_error: string | null;
  recent: { at: string; topic: string; bytes: number }[];
}

export interface Store {
  healthy: boolean;
  last_error: string | null;
  core_bytes: number;
  history_bytes: number;
  thinned: number;
  notices: string[];
}

/** What a frame carries of the status; the lists come with `GET /status`. */
export interface StatusHead {
  build: string;
  device: string;
  at: string;
  started_at: string;
  uptime_s: number;
  speed: number;
  state: GatewayState;
  message: string;
  alarms_active: number;
  alarms_unacked: number;
  uplink?: UplinkTotals;
}

export interface Status extends StatusHead {
  assets: number;
  tags: number;
  connectors: Connector[];
  uplink: UplinkTotals;
  uplinks: Uplink[];
  store: Store;
}

/** `[tag, value, quality, age in seconds]`. */
export type TagTuple = [string, number | null, Quality, number | null];

export interface Hello {
  at: string;
  build: string;
}

export interface Frame {
  at: string;
  status: StatusHead;
  assets: Asset[];
  tags: TagTuple[];
  alarms_active: number;
  alarms_version: number;
}

/** RFC 9457 `application/problem+json`. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  code?: string;
}
