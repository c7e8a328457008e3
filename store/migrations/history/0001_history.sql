-- What may be lost by one commit interval. `_us` columns are plant time in UTC microseconds.
-- Everything is ordered by time first: a commit then touches the end of each tree only, which spares flash.

CREATE TABLE meta (
  key TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Short numbers for tag names, asset paths and source names.
CREATE TABLE name (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- The open stretch of raw history. `value` is NULL where there is no usable one; `quality`: see codes.rs.
CREATE TABLE raw (
  at_us INTEGER NOT NULL,
  name_id INTEGER NOT NULL,
  value REAL,
  quality INTEGER NOT NULL,
  PRIMARY KEY (at_us, name_id)
) STRICT, WITHOUT ROWID;

-- level: width of the bucket in seconds. `good` values make low, high and sum; `total` counts all.
CREATE TABLE rollup (
  level INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  name_id INTEGER NOT NULL,
  low REAL,
  high REAL,
  sum REAL NOT NULL,
  good INTEGER NOT NULL,
  total INTEGER NOT NULL,
  worst INTEGER NOT NULL,
  PRIMARY KEY (level, at_us, name_id)
) STRICT, WITHOUT ROWID;

-- Sealed raw history: the file is segments/<file>. `tags` (postcard) says which rows belong to which name.
CREATE TABLE segment (
  id INTEGER NOT NULL PRIMARY KEY,
  file TEXT NOT NULL UNIQUE,
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  crc32c INTEGER NOT NULL,
  tags BLOB NOT NULL
) STRICT;

CREATE INDEX segment_by_end ON segment (to_us, from_us);

CREATE TABLE health_point (
  at_us INTEGER NOT NULL,
  name_id INTEGER NOT NULL,
  health REAL NOT NULL,
  score REAL NOT NULL,
  state TEXT NOT NULL,
  rul_p05_h REAL,
  rul_p50_h REAL,
  rul_p95_h REAL,
  no_failure_probability REAL,
  PRIMARY KEY (at_us, name_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE loss (
  id INTEGER NOT NULL PRIMARY KEY,
  source TEXT NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  cause TEXT NOT NULL,
  count INTEGER NOT NULL
) STRICT;

CREATE INDEX loss_by_end ON loss (to_us, from_us);
