CREATE TABLE stream (
  sid INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
  expired_to INTEGER NOT NULL DEFAULT 0,
  kept_period INTEGER NOT NULL
) STRICT;

CREATE INDEX stream_by_period ON stream (kept_period);

CREATE TABLE capability (
  sid INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
  read_to INTEGER,
  PRIMARY KEY (sid, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX capability_by_hash ON capability (sid, token_hash);

CREATE TABLE record (
  position INTEGER PRIMARY KEY,
  sid INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  received_s INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX record_by_stream ON record (sid, seq);

CREATE TABLE account (
  account_id BLOB PRIMARY KEY CHECK (length(account_id) = 16),
  handle TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key_package (
  number INTEGER PRIMARY KEY,
  account_id BLOB NOT NULL,
  device_id BLOB NOT NULL CHECK (length(device_id) = 16),
  last_resort INTEGER NOT NULL CHECK (last_resort IN (0, 1)),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  body BLOB NOT NULL,
  UNIQUE (account_id, device_id, last_resort, hash)
) STRICT;

CREATE TABLE liveness (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  commits INTEGER NOT NULL
) STRICT;

INSERT INTO liveness (id, commits) VALUES (1, 0);
