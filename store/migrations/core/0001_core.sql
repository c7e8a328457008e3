-- What must not be lost. `_us` columns are plant time in UTC microseconds; words are those of bellwether-domain.

CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row an occurrence, as it was after its last transition.
CREATE TABLE alarm (
  id INTEGER NOT NULL PRIMARY KEY,
  asset TEXT NOT NULL,
  tag TEXT,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  priority TEXT NOT NULL,
  severity TEXT NOT NULL,
  raised_at_us INTEGER NOT NULL,
  returned_at_us INTEGER,
  acked_at_us INTEGER,
  acked_by TEXT,
  code TEXT NOT NULL,
  sentence TEXT NOT NULL,
  -- JSON: {"v":1,"condition":[…],"contributions":[…]}
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX alarm_by_time ON alarm (raised_at_us, id);
CREATE INDEX alarm_active ON alarm (raised_at_us, id) WHERE state <> 'normal';
CREATE INDEX alarm_by_asset ON alarm (asset, raised_at_us, id);

-- Every transition, never changed.
CREATE TABLE alarm_journal (
  id INTEGER NOT NULL PRIMARY KEY,
  alarm_id INTEGER NOT NULL REFERENCES alarm (id) ON DELETE CASCADE,
  asset TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  transition TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  actor TEXT,
  sentence TEXT NOT NULL,
  -- A commit that is repeated because nobody knows whether it succeeded adds nothing.
  UNIQUE (alarm_id, at_us, transition)
) STRICT;

CREATE INDEX alarm_journal_by_asset ON alarm_journal (asset, at_us);

CREATE TABLE maintenance (
  id INTEGER NOT NULL PRIMARY KEY,
  asset TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  note TEXT NOT NULL,
  UNIQUE (asset, at_us, actor, note)
) STRICT;

-- Next number of each stream. Rows are never deleted, so that no number is given twice.
CREATE TABLE stream_sequence (
  uplink TEXT NOT NULL,
  stream TEXT NOT NULL,
  next INTEGER NOT NULL,
  PRIMARY KEY (uplink, stream)
) STRICT, WITHOUT ROWID;

-- Messages until their acknowledgement. AUTOINCREMENT: a late acknowledgement must never meet another row's id.
CREATE TABLE outbox (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  uplink TEXT NOT NULL,
  class INTEGER NOT NULL,
  stream TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  topic TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  body TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  UNIQUE (uplink, stream, sequence)
) STRICT;

CREATE INDEX outbox_in_order ON outbox (uplink, class, id);

-- The outbox row says that messages of its stream were dropped; here in numbers, so that the next one can take them over.
CREATE TABLE outbox_gap (
  outbox_id INTEGER NOT NULL PRIMARY KEY REFERENCES outbox (id) ON DELETE CASCADE,
  count INTEGER NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL
) STRICT;

-- What waits, kept by triggers, so that the bounds cost nothing to check.
CREATE TABLE outbox_total (
  uplink TEXT NOT NULL,
  class INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (uplink, class)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER outbox_added AFTER INSERT ON outbox BEGIN
  INSERT INTO outbox_total (uplink, class, count, bytes)
  VALUES (new.uplink, new.class, 1, new.bytes)
  ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + new.bytes;
END;

CREATE TRIGGER outbox_removed AFTER DELETE ON outbox BEGIN
  UPDATE outbox_total SET count = count - 1, bytes = bytes - old.bytes
  WHERE uplink = old.uplink AND class = old.class;
END;

-- The engine's working state; the two newest.
CREATE TABLE snapshot (
  id INTEGER NOT NULL PRIMARY KEY,
  at_us INTEGER NOT NULL,
  length INTEGER NOT NULL,
  crc32c INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
