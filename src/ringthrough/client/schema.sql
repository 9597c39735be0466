-- Local state of one device. The file is 0600; who reads it reads the messages (docs/threat-model.md).
CREATE TABLE profile (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- Private halves of our key packages; a row goes when its Welcome has been used, or at `expires_s`: the end of its
-- lifetime, or for a last-resort one that another has replaced, when no Welcome for it can be under way any more.
CREATE TABLE key_package (
  ref BLOB PRIMARY KEY,
  bundle BLOB NOT NULL,
  last_resort INTEGER NOT NULL,
  expires_s INTEGER NOT NULL,
  published INTEGER NOT NULL
) STRICT;

-- Accounts we have met, with the identity key pinned at first sight and their newest signed device list.
CREATE TABLE account (
  account_id BLOB PRIMARY KEY,
  origin TEXT NOT NULL,
  handle TEXT NOT NULL,
  identity_key BLOB NOT NULL,
  version INTEGER NOT NULL,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT;

CREATE TABLE conversation (
  id INTEGER PRIMARY KEY,
  stream BLOB NOT NULL UNIQUE,
  origin TEXT NOT NULL,
  is_direct INTEGER NOT NULL,
  title TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('creating', 'active', 'left')),
  state BLOB NOT NULL,
  version INTEGER NOT NULL,
  next_seq INTEGER NOT NULL
) STRICT;

-- One row per message, ours and theirs, in the order in which this device learned of them.
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
  seq INTEGER,
  received_s INTEGER,
  status TEXT NOT NULL CHECK (status IN ('queued', 'sealed', 'sent', 'received', 'refused')),
  sender BLOB NOT NULL,
  device BLOB NOT NULL,
  content BLOB NOT NULL,
  message_id BLOB NOT NULL,
  body BLOB,
  body_hash BLOB,
  epoch INTEGER
) STRICT;
CREATE UNIQUE INDEX message_by_seq ON message (conversation, seq) WHERE seq IS NOT NULL;
CREATE INDEX message_unsent ON message (conversation, id) WHERE status IN ('queued', 'sealed');
CREATE INDEX message_by_hash ON message (conversation, body_hash) WHERE body_hash IS NOT NULL;

-- A commit of ours that the server has not accepted yet, and whom to invite once it has.
CREATE TABLE pending_commit (
  conversation INTEGER PRIMARY KEY REFERENCES conversation (id) ON DELETE CASCADE,
  body BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  next_token_hash BLOB NOT NULL,
  welcome BLOB,
  invitees BLOB NOT NULL
) STRICT;

-- Welcomes of accepted commits, and the inboxes that still wait for them. A Welcome too large for a record is
-- uploaded once as a blob; `blob` then holds its hash, key and nonce.
CREATE TABLE welcome (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
  from_seq INTEGER NOT NULL,
  body BLOB NOT NULL,
  blob BLOB
) STRICT;
CREATE TABLE deposit (
  id INTEGER PRIMARY KEY,
  welcome INTEGER NOT NULL REFERENCES welcome (id) ON DELETE CASCADE,
  origin TEXT NOT NULL,
  inbox BLOB NOT NULL,
  inbox_key BLOB NOT NULL
) STRICT;

-- Inbox records that wait for a server to answer, or for a removal that we have not read yet.
CREATE TABLE waiting_invitation (
  id INTEGER PRIMARY KEY,
  body BLOB NOT NULL,
  expires_s INTEGER NOT NULL
) STRICT;

-- Media keys of calls under way, by epoch; rows go when the call ends.
CREATE TABLE call_key (
  conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
  call_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  base_key BLOB NOT NULL,
  expires_s INTEGER NOT NULL,
  PRIMARY KEY (conversation, call_id, epoch)
) STRICT;

-- How far each named reader (the terminal, a bot) has dealt with the messages.
CREATE TABLE read_mark (
  reader TEXT PRIMARY KEY,
  message INTEGER NOT NULL
) STRICT;
