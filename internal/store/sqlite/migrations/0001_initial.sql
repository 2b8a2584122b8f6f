-- Conventions, for this file and those that follow it:
--   * Every table's key begins with tenant, but for what is looked up before the tenant is known (callbacks) and the logs, whose position orders
--     them across tenants.
--   * resource is the message that callers see, in binary protobuf. What is searched for has a column of its own beside it.
--   * What is personal, or a key to act as somebody, is sealed with the data key of its owner: resource, event, state, redirects, response. An
--     owner is a customer, or a shipment that has none. Names of columns and keys of rows are bound into what is sealed: it opens nowhere else.
--   * reference is a keyed hash of what the caller named the row; NULL for none. In idempotency, request is one of the whole request, and key one of
--     the caller's key; in callbacks, hash is one of the token; in webhooks, key is one of account and address.
--   * Instants are microseconds since 1970 in UTC; 0 stands for none.
--   * An id is a UUID of version 7, so that the order of ids is that of creation.
--   * owner and lease_until say who is at work on a row, and until when others leave it alone.

-- The one row's value is made with the database and goes into every copy of it. Cursors carry it.
CREATE TABLE epoch (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  value TEXT NOT NULL
) STRICT;
INSERT INTO epoch (id, value) VALUES (1, lower(hex(randomblob(8))));

-- The keys of hashes, and the key that wraps data keys, wrapped by the store key, which stands nowhere here.
CREATE TABLE working_keys (
  purpose TEXT NOT NULL PRIMARY KEY,
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Without its data key, what an owner has here and in copies of this file cannot be read.
CREATE TABLE data_keys (
  tenant  TEXT NOT NULL,
  owner   TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  PRIMARY KEY (tenant, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE customers (
  tenant    TEXT NOT NULL,
  id        TEXT NOT NULL,
  reference BLOB,
  resource  BLOB NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX customers_by_reference ON customers (tenant, reference) WHERE reference IS NOT NULL;

CREATE TABLE customer_users (
  tenant      TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  provider    TEXT NOT NULL,
  user_id     TEXT NOT NULL,
  PRIMARY KEY (tenant, customer_id, provider),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX customer_users_by_user ON customer_users (tenant, provider, user_id, customer_id);

-- Who is making a customer's user at a provider. A row whose lease is over claims nothing.
CREATE TABLE user_claims (
  tenant      TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  provider    TEXT NOT NULL,
  owner       TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  PRIMARY KEY (tenant, customer_id, provider),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX user_claims_by_owner ON user_claims (owner);

-- Of a deleted consent stays whose it was, until its customer is deleted.
--
-- While a consent is claimed, claim_owner and claim_until say by whom, and next_poll is moved to the claim's end. claim_number counts the claims,
-- so that an owner whose claim ran out is told from the next.
CREATE TABLE consents (
  tenant       TEXT NOT NULL,
  id           TEXT NOT NULL,
  customer_id  TEXT NOT NULL,
  provider     TEXT NOT NULL,
  provider_ref TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  partner_bank TEXT NOT NULL,
  market       TEXT NOT NULL,
  state        BLOB,
  valid_until  INTEGER NOT NULL,
  withdrawals  TEXT NOT NULL, -- where the provider stated a withdrawal when it was last read, in JSON
  asked        BLOB, -- whom it was asked of, as keyed hashes, sealed; NULL once it was compared with who approved
  redirects    BLOB,
  flow         INTEGER NOT NULL,
  reference    BLOB,
  status       INTEGER NOT NULL,
  resource     BLOB NOT NULL,
  next_poll    INTEGER NOT NULL,
  poll_step    INTEGER NOT NULL,
  last_poll    INTEGER NOT NULL,
  ended        INTEGER NOT NULL,
  claim_owner  TEXT NOT NULL DEFAULT '',
  claim_until  INTEGER NOT NULL DEFAULT 0,
  claim_number INTEGER NOT NULL DEFAULT 0,
  deleted      INTEGER NOT NULL DEFAULT 0,
  version      INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
) STRICT;
CREATE INDEX consents_by_customer ON consents (tenant, customer_id, id);
CREATE INDEX consents_by_reference ON consents (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX consents_by_status ON consents (tenant, status, id);
CREATE INDEX consents_by_provider_ref ON consents (tenant, provider, provider_ref) WHERE provider_ref <> '';
CREATE INDEX consents_by_next_poll ON consents (next_poll) WHERE next_poll <> 0;

-- Provider accounts that asked to be left alone.
CREATE TABLE provider_pauses (
  tenant   TEXT NOT NULL,
  provider TEXT NOT NULL,
  until    INTEGER NOT NULL,
  PRIMARY KEY (tenant, provider)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a position is never given twice, not even after the newest entries were deleted.
--
-- A reader who has seen a position has seen all lower ones that will ever be there: SQLite has one writer at a time, whatever number of
-- processes has the file open, so a transaction gets its positions after all that committed before, and is visible as a whole.
CREATE TABLE consent_log (
  position   INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant     TEXT NOT NULL,
  consent_id TEXT NOT NULL,
  sequence   INTEGER NOT NULL,
  type       INTEGER NOT NULL,
  owner      TEXT NOT NULL, -- '' for the stripped entry of a deletion, which is in clear text
  event      BLOB NOT NULL,
  resource   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX consent_log_by_sequence ON consent_log (tenant, consent_id, sequence);
CREATE INDEX consent_log_by_tenant ON consent_log (tenant, position);

CREATE TABLE shipments (
  tenant      TEXT NOT NULL,
  id          TEXT NOT NULL,
  customer_id TEXT,
  provider    TEXT NOT NULL,
  status      INTEGER NOT NULL,
  resource    BLOB NOT NULL,
  version     INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
) STRICT;
CREATE INDEX shipments_by_customer ON shipments (tenant, customer_id, id);
CREATE INDEX shipments_by_status ON shipments (tenant, status, id);

CREATE TABLE shipment_log (
  position    INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant      TEXT NOT NULL,
  shipment_id TEXT NOT NULL,
  owner       TEXT NOT NULL,
  resource    BLOB NOT NULL
) STRICT;
CREATE INDEX shipment_log_by_shipment ON shipment_log (tenant, shipment_id, position);
CREATE INDEX shipment_log_by_tenant ON shipment_log (tenant, position);

CREATE TABLE callbacks (
  hash        BLOB NOT NULL PRIMARY KEY,
  kind        TEXT NOT NULL,
  tenant      TEXT NOT NULL,
  provider    TEXT NOT NULL,
  resource    TEXT NOT NULL,
  flow        INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  expire_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_by_resource ON callbacks (tenant, resource);
CREATE INDEX callbacks_by_expire_time ON callbacks (expire_time) WHERE expire_time <> 0;

CREATE TABLE idempotency (
  tenant      TEXT NOT NULL,
  method      TEXT NOT NULL,
  key         TEXT NOT NULL,
  request     BLOB NOT NULL,
  owner       TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  done        INTEGER NOT NULL,
  customer_id TEXT NOT NULL,
  consent_id  TEXT NOT NULL,
  erased      INTEGER NOT NULL DEFAULT 0,
  response    BLOB,
  failure     BLOB,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (tenant, method, key)
) STRICT;
CREATE INDEX idempotency_by_create_time ON idempotency (create_time);
CREATE INDEX idempotency_by_customer ON idempotency (tenant, customer_id) WHERE customer_id <> '';
CREATE INDEX idempotency_by_consent ON idempotency (tenant, consent_id) WHERE consent_id <> '';
CREATE INDEX idempotency_open ON idempotency (owner) WHERE done = 0;

CREATE TABLE intents (
  tenant             TEXT NOT NULL,
  id                 TEXT NOT NULL,
  provider           TEXT NOT NULL,
  operation          TEXT NOT NULL,
  resource           TEXT NOT NULL,
  customer_id        TEXT NOT NULL,
  idempotency_method TEXT NOT NULL,
  idempotency_key    TEXT NOT NULL,
  state              TEXT NOT NULL,
  owner              TEXT NOT NULL,
  lease_until        INTEGER NOT NULL,
  create_time        INTEGER NOT NULL,
  update_time        INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX intents_by_customer ON intents (tenant, customer_id) WHERE customer_id <> '';
CREATE INDEX intents_open_by_owner ON intents (owner) WHERE state = 'open';
CREATE INDEX intents_open_by_lease ON intents (lease_until) WHERE state = 'open';
CREATE INDEX intents_open_by_record ON intents (tenant, idempotency_method, idempotency_key) WHERE state = 'open';
CREATE INDEX intents_closed ON intents (update_time) WHERE state <> 'open';

CREATE TABLE webhooks (
  tenant      TEXT NOT NULL,
  key         TEXT NOT NULL,
  provider    TEXT NOT NULL,
  registered  INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  position   INTEGER PRIMARY KEY AUTOINCREMENT,
  time       INTEGER NOT NULL,
  tenant     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  method     TEXT NOT NULL,
  resource   TEXT NOT NULL,
  peer       TEXT NOT NULL,
  request_id TEXT NOT NULL,
  outcome    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant, position);
CREATE INDEX audit_by_time ON audit (time);
