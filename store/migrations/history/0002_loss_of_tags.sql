-- Gaps of single tags, and gaps that have not ended.

-- Tags that are missing together. The same unit is silent again and again, so its tags are listed once.
-- `members`: their numbers as a JSON array, ascending.
CREATE TABLE tag_set (
  id INTEGER NOT NULL PRIMARY KEY,
  members TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE tag_set_member (
  name_id INTEGER NOT NULL,
  set_id INTEGER NOT NULL REFERENCES tag_set (id) ON DELETE CASCADE,
  PRIMARY KEY (name_id, set_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tag_set_member_by_set ON tag_set_member (set_id);

-- NULL: all tags of the source. An empty source: all sources.
ALTER TABLE loss ADD COLUMN tag_set_id INTEGER REFERENCES tag_set (id);
-- 1 while the gap lasts; `to_us` is then the time of writing.
ALTER TABLE loss ADD COLUMN is_open INTEGER NOT NULL DEFAULT 0;
-- When the gap was filled from the source's own history; NULL if it was not.
ALTER TABLE loss ADD COLUMN filled_us INTEGER;

CREATE INDEX loss_open ON loss (id) WHERE is_open = 1;
CREATE INDEX loss_by_tag_set ON loss (tag_set_id);
