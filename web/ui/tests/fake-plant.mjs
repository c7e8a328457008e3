// A small invented plant for the fake API: canned, but it moves. Everything is a function of plant time, so that a
// picture can be made twice.

const HOUR = 3_600_000;
const SITE = "acme.lyon";

/** Cheap repeatable noise in -1..1. */
function noise(key, step) {
  let hash = 2166136261 ^ step;
  for (const letter of key) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 13), 1274126177);
  return ((hash >>> 0) % 20_001) / 10_000 - 1;
}

const iso = (ms) => new Date(ms).toISOString();

const ASSETS = [
  { place: "utilities.water", name: "pump-1", kind: "pump", source: "plc-utilities" },
  { place: "utilities.water", name: "pump-2", kind: "pump", source: "plc-utilities" },
  { place: "utilities.air", name: "fan-1", kind: "fan", source: "plc-utilities" },
  { place: "utilities.air", name: "compressor-1", kind: "compressor", source: "plc-utilities" },
  { place: "machining.cell-3", name: "spindle-1", kind: "spindle", source: "cell-3" },
  { place: "machining.cell-3", name: "spindle-2", kind: "spindle", source: "cell-3" },
  { place: "machining.cell-4", name: "gearbox-4", kind: "gearbox", source: "cell-3" },
  { place: "machining.cell-4", name: "motor-4", kind: "motor", source: "cell-3" },
];

/** Units behind the one Modbus connection. */
const UNITS = { "pump-1": 1, "pump-2": 2, "fan-1": 3, "compressor-1": 4 };

const SIGNALS = {
  pump: [
    ["speed", "1/min", "driver", 1480, 12, [0, 3000]],
    ["flow", "m3/h", "condition", 62, 1.2, [0, 120]],
    ["discharge_pressure", "bar", "condition", 4.3, 0.06, [0, 10]],
    ["motor_current", "A", "condition", 21.4, 0.35, [0, 60]],
    ["vibration", "mm/s", "condition", 2.1, 0.14, [0, 50], { above: 7.1 }],
    ["bearing_temperature", "Cel", "condition", 54, 0.5, [-20, 150]],
  ],
  fan: [
    ["speed", "1/min", "driver", 960, 6, [0, 1500]],
    ["static_pressure", "Pa", "condition", 820, 9, [0, 2000]],
    ["motor_current", "A", "condition", 12.6, 0.2, [0, 40]],
    ["vibration", "mm/s", "condition", 1.6, 0.1, [0, 50], { above: 7.1 }],
    ["bearing_temperature", "Cel", "condition", 41, 0.3, [-20, 150]],
  ],
  spindle: [
    ["speed", "1/min", "driver", 11800, 60, [0, 24000]],
    ["load", "%", "driver", 46, 6, [0, 150]],
    ["current", "A", "condition", 17.8, 0.8, [0, 80]],
    ["temperature", "Cel", "condition", 38.5, 0.4, [0, 120]],
    ["vibration", "mm/s", "condition", 0.9, 0.06, [0, 50], { above: 4.5 }],
    ["waveform", "m/s2", "information", 0, 0, null],
  ],
};
SIGNALS.compressor = SIGNALS.fan;
SIGNALS.gearbox = SIGNALS.pump;
SIGNALS.motor = SIGNALS.fan;

const words = (name) => name.replaceAll("_", " ");

/** How far the pump's bearing has gone, 0 to 1, at this time. */
function wear(at, end) {
  return Math.min(1, Math.exp((at - end) / (5 * HOUR)));
}

function refusal(code) {
  return { available: false, code, reason: code.replaceAll("_", " ") };
}

export class FakePlant {
  constructor({ scenario = "busy", speed = 60 } = {}) {
    this.scenario = scenario;
    this.speed = speed;
    this.base = Date.UTC(2026, 10, 23, 14, 3, 20);
    this.startedWall = Date.now();
    this.acked = new Map();
    this.repaired = new Map();
    this.trusted = new Set();
    this.version = 1;
    this.assetList = scenario === "empty" ? [] : ASSETS;
  }

  now() {
    return this.base + (Date.now() - this.startedWall) * this.speed;
  }

  /** Pictures want a plant that stands still at its most telling moment. */
  get busy() {
    return this.scenario === "busy" || this.scenario === "hostile";
  }

  id(asset) {
    return `${SITE}.${asset.place}.${asset.name}`;
  }

  stateOf({ name }) {
    if (this.scenario === "learning") return "learning";
    if (!this.busy) return "acceptable";
    return { "pump-1": "plan", "gearbox-4": "monitor", "compressor-1": "learning", "motor-4": "unknown" }[name] ?? "acceptable";
  }

  valueAt({ name }, signal, at) {
    const [key, , , level, spread] = signal;
    const step = Math.floor(at / 60_000);
    const daily = Math.sin((at / (24 * HOUR)) * 2 * Math.PI) * spread;
    let value = level + spread * noise(name + key, step) + daily;
    if (!this.busy) return value;
    const end = this.base + 9 * HOUR;
    if (name === "pump-1" && key === "vibration") value += 5 * wear(at, end);
    if (name === "pump-1" && key === "bearing_temperature") value += 22 * wear(at, end);
    if (name === "pump-1" && key === "motor_current") value += 1.2 * wear(at, end);
    if (name === "gearbox-4" && key === "vibration") value += 1.3;
    if (name === "fan-1" && key === "bearing_temperature" && at > this.base - 5 * HOUR) value = 41.2;
    return value;
  }

  qualityOf({ name }, [key], at) {
    if (!this.busy) return ["good", null];
    if (name === "fan-1" && key === "bearing_temperature" && at > this.base - 5 * HOUR) return ["uncertain", "the value is stuck"];
    if (name === "motor-4") return ["bad", "the device does not answer"];
    if (name === "spindle-2" && key === "temperature") return ["uncertain", "the value is too old"];
    return ["good", null];
  }

  tagsOf(asset) {
    const at = this.now();
    return SIGNALS[asset.kind].map((signal) => {
      const [key, unit, role, , , range, failure] = signal;
      const [quality, reason] = this.qualityOf(asset, signal, at);
      const age = quality === "bad" ? 4_260 : reason === "the value is too old" ? 1_900 : Math.floor((at / 1_000) % 60);
      return {
        id: `${asset.name}.${key}`,
        signal: words(key),
        asset: this.id(asset),
        unit,
        role,
        value: quality === "bad" || key === "waveform" ? null : this.valueAt(asset, signal, at),
        at: iso(at - age * 1_000),
        age_s: age,
        quality,
        quality_reason: reason,
        score: 0.1,
        range,
        failure: failure ?? null,
        source: asset.source,
        address: asset.source === "cell-3" ? `nsu=urn:cell;s=${asset.name}.${key}` : `unit ${UNITS[asset.name]}, holding ${256 + 2 * SIGNALS[asset.kind].indexOf(signal)}, f32`,
        flags: this.flagsOf(asset, signal),
        is_waveform: key === "waveform",
        text: null,
        states: null,
      };
    });
  }

  flagsOf({ name }, [key]) {
    if (!this.busy) return [];
    if (name === "fan-1" && key === "bearing_temperature") {
      return [{ code: "frozen", words: "the value has not changed for far longer than it ever did: check the sensor" }];
    }
    if (name === "pump-2" && (key === "flow" || key === "discharge_pressure")) {
      const other = key === "flow" ? "discharge_pressure" : "flow";
      return [{ code: "duplicate_address", words: `reads the same address as pump-2.${other} (unit 2, holding 258, f32): correct one of them` }];
    }
    return [];
  }

  /** Two short gaps, one long one, and one that lasts. */
  gaps(query) {
    if (!this.busy) return [];
    const gap = (source, tags, from, to, cause, words, count) => ({
      source, tags, tag_count: tags.length, from: iso(this.base - from * HOUR), to: to === null ? null : iso(this.base - to * HOUR), cause, words, count, filled_at: null,
    });
    const of = (name) => SIGNALS[ASSETS.find((asset) => asset.name === name).kind].map(([key]) => `${name}.${key}`);
    const all = [
      gap("cell-3", of("motor-4"), 1.2, null, "silent", "the device does not answer", 21_600),
      gap("plc-utilities", [], 4.4, 4.1, "disconnected", "the device is not connected", 23_760),
      gap("plc-utilities", ["pump-1.flow"], 7.5, 6.9, "refused", "the device refuses the address or the item", 2_160),
      gap(null, [], 15, 13.8, "gateway_stopped", "the gateway was not running", 0),
    ];
    const tag = query.get("tag");
    const source = query.get("source") ?? (tag && ASSETS.find(({ name }) => tag.startsWith(`${name}.`))?.source);
    return all.filter((loss) => (!source || loss.source === null || loss.source === source) && (!tag || loss.tags.length === 0 || loss.tags.includes(tag)));
  }

  /** What is missing has no points either. */
  isMissing(tag, at) {
    return this.gaps(new URLSearchParams({ tag })).some(({ from, to }) => at > Date.parse(from) && (to === null || at < Date.parse(to)));
  }

  rulOf(asset) {
    const state = this.stateOf(asset);
    if (state === "plan" && !this.repaired.has(this.id(asset))) return { available: true, ...this.estimateAt(this.now()), ...PUMP_RUL(this) };
    if (state === "learning") return refusal("learning");
    if (state === "monitor") return refusal("no_trend");
    if (state === "unknown") return refusal("not_running");
    return refusal("no_degradation");
  }

  /** Narrows as the end comes nearer. */
  estimateAt(at) {
    const left = Math.max(0.4, (this.base + 9.4 * HOUR - at) / HOUR);
    const width = 0.22 + 0.02 * left;
    return { p05_h: left * (1 - width), p50_h: left * (1 + 0.03 * noise("rul", Math.floor(at / 1_200_000))), p95_h: left * (1 + 1.5 * width) };
  }

  reasonOf(asset) {
    switch (this.stateOf(asset)) {
      case "plan":
        return "vibration of pump-1 is 4.2 mm/s at speed 1,480 rpm, expected 2.1 ± 0.3; largest contributions: vibration 68 %, bearing temperature 24 %";
      case "monitor":
        return "vibration of gearbox-4 is 3.4 mm/s at speed 1,480 rpm, expected 2.1 ± 0.3";
      case "learning":
        return "still learning what healthy looks like";
      case "unknown":
        return "no data from any of its sensors since 12:52";
      default:
        return "everything is as learnt";
    }
  }

  asset(asset) {
    const state = this.stateOf(asset);
    const at = this.now();
    const health = { plan: 0.46, monitor: 0.78, unknown: 0, learning: 1 }[state] ?? 0.97;
    const id = this.id(asset);
    return {
      id,
      path: id.replaceAll(".", "/"),
      name: asset.name,
      area: asset.place.split(".")[0],
      work_center: asset.place.split(".")[1],
      kind: asset.kind,
      state,
      since: iso(this.base - { plan: 2, monitor: 31, unknown: 1.2, learning: 3 }[state] * HOUR || this.base - 80 * HOUR),
      reason: this.reasonOf(asset),
      health,
      operation: state === "unknown" ? "unknown" : asset.name === "pump-2" ? "off" : "steady",
      learning_ratio: state === "learning" ? 0.35 + 0.4 * Math.abs(noise(asset.name, 3)) : 1,
      score: { plan: 0.86, monitor: 0.58 }[state] ?? 0.16,
      rul: this.rulOf(asset),
      alarms: this.alarms("active").filter((alarm) => alarm.asset === id).length,
      quality: asset.name === "fan-1" && this.busy ? "uncertain" : state === "unknown" ? "bad" : "good",
      maintained_at: this.repaired.has(id) ? iso(this.repaired.get(id)) : asset.name === "fan-1" ? iso(at - 41 * 24 * HOUR) : null,
      spark: this.spark(asset, state, health),
    };
  }

  spark(asset, state, health) {
    return Array.from({ length: 30 }, (_, index) => {
      if (state === "unknown" && index > 22) return null;
      if (state === "learning" && index < 18) return null;
      const jitter = 0.012 * noise(asset.name, index);
      if (state === "plan") return Math.min(1, 0.99 - (0.99 - health) * Math.exp((index - 29) / 7)) + jitter;
      if (state === "monitor") return (index > 14 ? health : 0.97) + jitter;
      return 0.975 + jitter;
    });
  }

  contributions(asset) {
    const state = this.stateOf(asset);
    if (state === "learning" || state === "unknown") return [];
    const shares = { plan: [0.68, 0.24, 0.05, 0.02, 0.01], monitor: [0.81, 0.09, 0.05, 0.03, 0.02] }[state] ?? [0.31, 0.26, 0.2, 0.13, 0.1];
    const order = ["vibration", "bearing_temperature", "temperature", "motor_current", "current", "discharge_pressure", "static_pressure", "flow"];
    const judged = SIGNALS[asset.kind].filter(([key, , role]) => role === "condition" && key !== "waveform");
    judged.sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
    const sigmas = { plan: [7, 3.4, 1.1, -0.6, 0.3], monitor: [4.3, 0.8, -0.5, 0.4, 0.2] }[state] ?? [0.9, -0.8, 0.6, 0.5, -0.3];
    return judged.slice(0, 5).map(([key, unit, , level, spread], index) => ({
      tag: `${asset.name}.${key}`,
      signal: words(key),
      unit,
      share: shares[index],
      actual: level + sigmas[index] * spread * 2,
      expected: level,
      expected_std_dev: spread * 2,
    }));
  }

  detail(asset) {
    return {
      ...this.asset(asset),
      tags: this.tagsOf(asset),
      contributions: this.contributions(asset),
      condition: SIGNALS[asset.kind]
        .filter(([, , role]) => role === "driver")
        .map(([key, unit, , level]) => ({ tag: `${asset.name}.${key}`, signal: words(key), value: level, unit })),
      left_out: asset.name === "spindle-1" ? ["spindle-1.temperature"] : [],
      marks: this.marks(asset),
    };
  }

  marks(asset) {
    if (!this.busy || asset.name !== "pump-1") return [];
    const marks = [
      { at: iso(this.base - 20 * HOUR), kind: "repair", text: "Coupling aligned" },
      { at: iso(this.base - 11 * HOUR), kind: "alarm", text: "vibration of pump-1" },
      { at: iso(this.base - 9.5 * HOUR), kind: "returned", text: "vibration of pump-1" },
      { at: iso(this.base - 2 * HOUR), kind: "alarm", text: "vibration of pump-1" },
    ];
    const repaired = this.repaired.get(this.id(asset));
    return repaired ? [...marks, { at: iso(repaired), kind: "repair", text: "" }] : marks;
  }

  rulReport(asset) {
    const at = this.now();
    const rul = this.rulOf(asset);
    const from = this.base - 8 * HOUR;
    const history = rul.available
      ? Array.from({ length: 60 }, (_, index) => from + ((at - from) * index) / 60).map((time) => ({ at: iso(time), ...this.estimateAt(time) }))
      : [];
    const { health } = this.asset(asset);
    const points = Array.from({ length: 120 }, (_, index) => {
      const time = at - 24 * HOUR + (index * 24 * HOUR) / 119;
      const level = rul.available ? 0.98 - (0.98 - health) * wear(time, at) : health;
      return { at: iso(time), health: level + 0.006 * noise(asset.name, index), score: 0.2 };
    });
    return { ...rul, history, health: points };
  }

  history(tagId, from, to, points) {
    const asset = this.assetList.find(({ name }) => tagId.startsWith(`${name}.`));
    const signal = SIGNALS[asset.kind].find(([key]) => `${asset.name}.${key}` === tagId);
    const step = Math.max(60_000, Math.ceil((to - from) / points / 60_000) * 60_000);
    const answer = { id: tagId, unit: signal[1], level: step > 60_000 ? `${step / 60_000}min` : "raw", at: [], min: [], max: [], mean: [], quality: [] };
    const end = Math.min(to, this.now());
    for (let time = Math.max(from, this.base - 60 * HOUR); time < end; time += step) {
      if (this.isMissing(tagId, time)) continue;
      const values = Array.from({ length: Math.min(8, step / 60_000) }, (_, index) => this.valueAt(asset, signal, time + index * 60_000));
      answer.at.push(time);
      answer.min.push(Math.min(...values));
      answer.max.push(Math.max(...values));
      answer.mean.push(values.reduce((sum, value) => sum + value, 0) / values.length);
      answer.quality.push(this.qualityOf(asset, signal, time)[0]);
    }
    return answer;
  }

  alarms(state) {
    if (!this.busy) return [];
    const list = [
      this.alarm("1042", "pump-1", "vibration", "machine_anomaly", "high", "plan", 2, null, this.reasonOf(ASSETS[0])),
      this.alarm("1041", "motor-4", null, "no_data", "medium", "unknown", 1.2, null, "no data from motor-4 for 71 min: the device does not answer"),
      this.alarm("1040", "fan-1", "bearing_temperature", "sensor_fault", "low", "acceptable", 4.6, null, "the sensor bearing temperature of fan-1 is not to be believed: the value is stuck at 41.2 °C; fan-1 is judged without it"),
      this.alarm("1039", "gearbox-4", "vibration", "machine_anomaly", "medium", "monitor", 31, null, this.reasonOf(ASSETS[6])),
      this.alarm("1031", "pump-1", "vibration", "machine_anomaly", "medium", "monitor", 11, 9.5, "vibration of pump-1 is 3.1 mm/s at speed 1,480 rpm, expected 2.1 ± 0.3"),
    ];
    const gearbox = list[3];
    gearbox.state = "acked_alarm";
    gearbox.acked_at ??= iso(this.base - 30 * HOUR);
    gearbox.acked_by ??= "M. Laurent";
    const old = list[4];
    old.state = "normal";
    old.acked_at = iso(this.base - 9 * HOUR);
    old.acked_by = "A. Roche";
    return state === "active" ? list.filter((alarm) => alarm.state !== "normal") : list;
  }

  alarm(id, name, tag, kind, priority, severity, raised, returned, sentence) {
    const asset = ASSETS.find((one) => one.name === name);
    const ack = this.acked.get(id);
    const text = this.scenario === "hostile" ? `${sentence} <img src=x onerror="window.pwned=1"><script>window.pwned=1</script>` : sentence;
    return {
      id,
      asset: this.id(asset),
      asset_name: name,
      tag: tag ? `${name}.${tag}` : null,
      kind,
      state: ack ? "acked_alarm" : "unacked_alarm",
      priority,
      severity,
      raised_at: iso(this.base - raised * HOUR),
      returned_at: returned === null ? null : iso(this.base - returned * HOUR),
      acked_at: ack?.at ?? null,
      acked_by: ack?.by ?? null,
      sentence: text,
      code: "unlike_learnt",
      contributions: [],
    };
  }

  connectors() {
    const wall = (Date.now() - this.startedWall) / 1_000 + 5_400;
    const sick = this.busy;
    return [
      {
        name: "plc-utilities", protocol: "modbus", endpoint: "10.0.3.15:502", state: sick ? "degraded" : "connected",
        since: iso(this.base - 1.2 * HOUR), last_error: sick ? "unit 4 did not answer within 800 ms: check its wiring and its address" : null,
        last_error_at: sick ? iso(this.base - 1.2 * HOUR) : null, silent: sick ? ["unit 4"] : [], tags: 22, readings: Math.round(wall * 220),
        dropped: 0, requests: Math.round(wall * 40), timeouts: sick ? 71 : 0, refusals: 0, sessions: 2, bytes_received: Math.round(wall * 1_960),
        round_trip_p50_ms: 2.4, round_trip_p99_ms: 11.8,
      },
      {
        name: "cell-3", protocol: "opcua", endpoint: "opc.tcp://10.0.3.40:4840", state: "connected", since: iso(this.base - 90 * HOUR),
        last_error: null, last_error_at: null, silent: [], tags: 22, readings: Math.round(wall * 96), dropped: 0, requests: Math.round(wall * 2),
        timeouts: 0, refusals: 0, sessions: 1, bytes_received: Math.round(wall * 3_100), round_trip_p50_ms: 4.1, round_trip_p99_ms: 18.3,
      },
    ];
  }

  /** The gateway's own, and a server that nobody has decided about. */
  certificates() {
    if (!this.busy) return [];
    const one = (trust, subject, digit, expiry = null) => {
      const sha256 = `3fa1${digit}`.repeat(13).slice(0, 64);
      return {
        sha256, sha1: sha256.slice(0, 40), trust: this.trusted.has(sha256) ? "trusted" : trust, subject,
        application_uri: "urn:cell-3:server", hosts: ["10.0.3.40"], not_before: "2026-01-01T00:00:00.000Z", not_after: "2027-01-01T00:00:00.000Z", expiry,
      };
    };
    return [one("own", "CN=Bellwether gw-lyon-1", 7), one("rejected", "CN=Cell 3 server, O=Example", 9, "it expires in 25 days")];
  }

  connectorList() {
    if (this.scenario === "empty") return [];
    return this.connectors().map((connector) => {
      const modbus = connector.protocol === "modbus";
      const names = modbus ? ["unit 1", "unit 2", "unit 3", "unit 4"] : ["server"];
      const units = names.map((name, index) => {
        const silent = connector.silent.includes(name);
        return {
          name,
          condition: silent ? "silent, asked again in 12 s" : "answers",
          requests: Math.round(connector.requests / names.length),
          requests_per_s: silent ? 0.1 : modbus ? 10 : 2,
          timeouts: silent ? 71 : 0,
          refusals: index === 1 && this.busy ? [{ code: 2, text: "02", words: "illegal data address: the device has no such register", count: 14 }] : [],
          bytes_received: Math.round(connector.bytes_received / names.length),
          round_trip_p50_ms: silent ? null : 2.1 + index * 0.3,
          round_trip_p99_ms: silent ? null : 9.8 + index,
          lateness_p99_ms: modbus ? 14 + index : null,
        };
      });
      const tags = this.assetList.filter(({ source }) => source === connector.name).flatMap((asset) => this.tagsOf(asset));
      const flags = tags.filter((tag) => tag.flags.length > 0).map((tag) => ({ tag: tag.id, flags: tag.flags }));
      return {
        ...connector,
        condition: connector.silent.length > 0 ? `connected, but without an answer from ${connector.silent.join(", ")}` : "data flows",
        requests_per_s: units.reduce((sum, unit) => sum + unit.requests_per_s, 0),
        reconnects: connector.sessions - 1,
        lateness_p99_ms: modbus ? 17 : null,
        unit_count: units.length,
        flagged: flags.length,
        units,
        exchanges: modbus ? this.exchanges(units) : [],
        flags,
      };
    });
  }

  exchanges(units) {
    const second = Math.floor(this.now() / 1_000) * 1_000;
    return Array.from({ length: 20 }, (_, index) => {
      const unit = units[index % units.length];
      const silent = unit.round_trip_p50_ms === null;
      const refused = unit.refusals.length > 0 && index % 8 === 1;
      return {
        at: iso(second - index * 100),
        unit: unit.name,
        request: "read 12 holding registers from 256",
        request_hex: "1A 2B 00 00 00 06 01 03 01 00 00 0C",
        answer: silent ? "nothing within 800 ms" : refused ? "exception 02: illegal data address" : "12 registers",
        answer_hex: silent ? "" : refused ? "1A 2B 00 00 00 03 01 83 02" : "1A 2B 00 00 00 1B 01 03 18 40 86 66 66 42 78 00 00 40 89 99 9A 41 AB 33 33 40 06 66 66 42 58 00 00",
        round_trip_ms: silent ? 800 : 2.1,
      };
    });
  }

  uplink() {
    const wall = (Date.now() - this.startedWall) / 1_000 + 5_400;
    const recent = ["alert", "summary", "summary", "status", "summary"].map((kind, index) => ({
      at: iso(this.now() - index * 780_000),
      topic: `acme/lyon/utilities/${index % 2 ? "air/fan-1" : "water/pump-1"}/bellwether/${kind}`,
      bytes: { alert: 1_240, summary: 1_820, status: 212 }[kind],
    }));
    return {
      name: "scada", endpoint: "mqtts://broker.example:8883", connected: this.busy || this.scenario === "quiet", since: iso(this.base - 70 * HOUR),
      last_error: null, backlog: 0, sent: Math.round(wall / 7), acked: Math.round(wall / 7), bytes_sent: Math.round(wall * 240),
      bytes_raw_equivalent: Math.round(wall * 316 * 41), recent,
    };
  }

  head() {
    const active = this.alarms("active");
    return {
      build: "0.1.0 (fake)",
      device: "gw-lyon-1",
      at: iso(this.now()),
      started_at: iso(this.base - 90 * HOUR),
      uptime_s: Math.round((Date.now() - this.startedWall) / 1_000) + 5_400,
      speed: this.speed,
      state: this.busy ? "attention" : this.scenario === "learning" ? "learning" : "ok",
      message: this.busy ? "4 of 8 assets need attention" : this.scenario === "learning" ? "learning what healthy looks like" : "all well",
      alarms_active: active.length,
      alarms_unacked: active.filter(({ state }) => state === "unacked_alarm").length,
    };
  }

  status() {
    const uplink = this.uplink();
    const { name: _name, endpoint: _endpoint, since: _since, last_error: _error, recent: _recent, ...totals } = uplink;
    const empty = this.scenario === "empty";
    return {
      ...this.head(),
      assets: this.assetList.length,
      tags: this.assetList.flatMap((asset) => SIGNALS[asset.kind]).length,
      connectors: empty ? [] : this.connectors(),
      uplink: empty ? { connected: false, backlog: 0, sent: 0, acked: 0, bytes_sent: 0, bytes_raw_equivalent: 0 } : totals,
      uplinks: empty ? [] : [uplink],
      store: { healthy: true, last_error: null, core_bytes: 480_000, history_bytes: 18_400_000, thinned: 0, notices: [] },
    };
  }

  frame() {
    return {
      at: iso(this.now()),
      status: this.head(),
      assets: this.assetList.map((asset) => {
        const { spark: _spark, ...rest } = this.asset(asset);
        return rest;
      }),
      tags: this.assetList.flatMap((asset) => this.tagsOf(asset)).map((tag) => [tag.id, tag.value, tag.quality, tag.age_s]),
      alarms_active: this.alarms("active").length,
      alarms_version: this.version,
    };
  }

  acknowledge(ids, actor) {
    for (const id of ids) this.acked.set(id, { at: iso(this.now()), by: actor });
    this.version += 1;
    return ids.length;
  }

  repair(id) {
    this.repaired.set(id, this.now());
    this.version += 1;
  }
}

function PUMP_RUL(plant) {
  return {
    at: iso(plant.now()),
    tag: "pump-1.vibration",
    no_failure_probability: 0.02,
    onset: iso(plant.base - 12 * HOUR),
    indicator: 4.2,
    limit: 7.1,
    unit: "mm/s",
  };
}
