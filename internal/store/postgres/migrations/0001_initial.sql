-- serves: 1
--
-- The first line of each of these files says which is the lowest version of the tables whose programs can go on with
-- what the step makes of them: so replicas of the version before keep serving while a newer one starts.
--
-- Conventions, for this file and those that follow it:
--   * Every table's key begins with tenant, but for what is looked up before the tenant is known (callbacks), the logs,
--     whose position orders them across tenants, and what belongs to the database as a whole.
--   * resource is the message that callers see, in binary protobuf. What is searched for has a column of its own.
--   * What is personal, or a key to act as somebody, is sealed with the data key of its owner: resource, event, state,
--     redirects, asked, response. An owner is a customer, or a shipment that has none.
--   * reference is a keyed hash of what the caller named the row; NULL for none. In idempotency, request is one of the
--     whole request, and key one of the caller's key; in callbacks, hash is one of the token; in webhooks, key is one
--     of account and address.
--   * Instants are microseconds since 1970 in UTC; 0 stands for none.
--   * An id is a UUID of version 7, so that the order of ids is that of creation. Text is ordered by its bytes.
--   * owner and lease_until say who is at work on a row, and until when others leave it alone.
--   * position is (number of the transaction + base) * 2^20 + number within the transaction: see logs.go.

-- value is made with the database and goes into every copy of it: cursors carry it. base is added to the numbers of
-- transactions, so that positions go on where tables were moved to a server whose numbers are lower.
CREATE TABLE epoch (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  value     TEXT COLLATE "C" NOT NULL,
  base      BIGINT NOT NULL,
  make_time BIGINT NOT NULL
);
INSERT INTO epoch (id, value, base, make_time)
  VALUES (1, left(md5(gen_random_uuid()::text), 16), 0, (extract(epoch FROM now()) * 1000000)::bigint);

-- The keys of hashes, and the key that wraps data keys, wrapped by the store key, which stands nowhere here.
CREATE TABLE working_keys (
  purpose TEXT COLLATE "C" PRIMARY KEY,
  wrapped BYTEA NOT NULL
);

-- Which transactions were committed, or surely never will be: see doubt.go.
CREATE TABLE commits (
  id        UUID PRIMARY KEY,
  committed BOOLEAN NOT NULL
);

-- Without its data key, what an owner has here and in copies of this database cannot be read.
CREATE TABLE data_keys (
  tenant  TEXT COLLATE "C" NOT NULL,
  owner   TEXT COLLATE "C" NOT NULL,
  wrapped BYTEA NOT NULL,
  PRIMARY KEY (tenant, owner)
);

CREATE TABLE customers (
  tenant    TEXT COLLATE "C" NOT NULL,
  id        TEXT COLLATE "C" NOT NULL,
  reference BYTEA,
  resource  BYTEA NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX customers_by_reference ON customers (tenant, reference) WHERE reference IS NOT NULL;

CREATE TABLE customer_users (
  tenant      TEXT COLLATE "C" NOT NULL,
  customer_id TEXT COLLATE "C" NOT NULL,
  provider    TEXT COLLATE "C" NOT NULL,
  user_id     TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, customer_id, provider),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id) ON DELETE CASCADE
);
CREATE INDEX customer_users_by_user ON customer_users (tenant, provider, user_id, customer_id);

-- Who is making a customer's user at a provider. A row whose lease is over claims nothing.
CREATE TABLE user_claims (
  tenant      TEXT COLLATE "C" NOT NULL,
  customer_id TEXT COLLATE "C" NOT NULL,
  provider    TEXT COLLATE "C" NOT NULL,
  owner       TEXT COLLATE "C" NOT NULL,
  lease_until BIGINT NOT NULL,
  PRIMARY KEY (tenant, customer_id, provider),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id) ON DELETE CASCADE
);
CREATE INDEX user_claims_by_owner ON user_claims (owner);

-- deleted: 0 for a consent that is there, 2 for one that is deleted while entries, tokens and answers of it are still
-- to be erased, 1 for one of which nothing is left but whose it was.
--
-- While a consent is claimed, claim_owner and claim_until say by whom, and next_poll is moved to the claim's end.
-- claim_number counts the claims, so that an owner whose claim ran out is told from the next. last_read is when a read
-- in the background last went well. missing_since and missing_count say since when, and how often, the provider has
-- answered that it does not know the consent; 0 as long as it does.
CREATE TABLE consents (
  tenant        TEXT COLLATE "C" NOT NULL,
  id            TEXT COLLATE "C" NOT NULL,
  customer_id   TEXT COLLATE "C" NOT NULL,
  provider      TEXT COLLATE "C" NOT NULL,
  provider_ref  TEXT COLLATE "C" NOT NULL,
  user_id       TEXT COLLATE "C" NOT NULL,
  partner_bank  TEXT COLLATE "C" NOT NULL,
  market        TEXT COLLATE "C" NOT NULL,
  state         BYTEA,
  valid_until   BIGINT NOT NULL,
  withdrawals   TEXT NOT NULL, -- where the provider stated a withdrawal when it was last read, in JSON
  asked         BYTEA, -- whom it was asked of, as keyed hashes, sealed; NULL once compared with who approved
  redirects     BYTEA,
  flow          BIGINT NOT NULL,
  reference     BYTEA,
  status        INTEGER NOT NULL,
  resource      BYTEA NOT NULL,
  next_poll     BIGINT NOT NULL,
  poll_step     BIGINT NOT NULL,
  last_poll     BIGINT NOT NULL,
  last_read     BIGINT NOT NULL,
  missing_since BIGINT NOT NULL,
  missing_count BIGINT NOT NULL,
  ended         BOOLEAN NOT NULL,
  claim_owner   TEXT COLLATE "C" NOT NULL DEFAULT '',
  claim_until   BIGINT NOT NULL DEFAULT 0,
  claim_number  BIGINT NOT NULL DEFAULT 0,
  deleted       INTEGER NOT NULL DEFAULT 0,
  version       BIGINT NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
);
CREATE INDEX consents_by_customer ON consents (tenant, customer_id, deleted, id);
CREATE INDEX consents_by_reference ON consents (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX consents_present ON consents (tenant, id) WHERE deleted = 0;
CREATE INDEX consents_by_status ON consents (tenant, status, id) WHERE deleted = 0;
CREATE INDEX consents_by_provider_status ON consents (tenant, provider, status, id) WHERE deleted = 0;
CREATE INDEX consents_by_provider ON consents (tenant, provider, id) WHERE deleted = 0;
CREATE INDEX consents_by_provider_ref ON consents (tenant, provider, provider_ref) WHERE provider_ref <> '';
CREATE INDEX consents_by_last_read ON consents (tenant, provider, last_read) WHERE last_read <> 0;
CREATE INDEX consents_by_next_poll ON consents (tenant, provider, next_poll) WHERE next_poll <> 0;
CREATE INDEX consents_planned ON consents (next_poll) WHERE next_poll <> 0;
CREATE INDEX consents_claimed ON consents (claim_owner) WHERE claim_owner <> '';
CREATE INDEX consents_erasing ON consents (tenant, id) WHERE deleted = 2;

-- Who is opening a flow of a consent at its provider. A row whose lease is over claims nothing.
CREATE TABLE flow_claims (
  tenant      TEXT COLLATE "C" NOT NULL,
  consent_id  TEXT COLLATE "C" NOT NULL,
  owner       TEXT COLLATE "C" NOT NULL,
  lease_until BIGINT NOT NULL,
  PRIMARY KEY (tenant, consent_id),
  FOREIGN KEY (tenant, consent_id) REFERENCES consents (tenant, id) ON DELETE CASCADE
);
CREATE INDEX flow_claims_by_owner ON flow_claims (owner);

-- Provider accounts that asked to be left alone.
CREATE TABLE provider_pauses (
  tenant   TEXT COLLATE "C" NOT NULL,
  provider TEXT COLLATE "C" NOT NULL,
  until    BIGINT NOT NULL,
  PRIMARY KEY (tenant, provider)
);

-- An event that is settled stays in its consent's history, and no longer bears on how the consent stands. key is a
-- keyed hash of the event's key; NULL in the stripped entry of a deletion.
CREATE TABLE consent_log (
  position   BIGINT PRIMARY KEY,
  tenant     TEXT COLLATE "C" NOT NULL,
  consent_id TEXT COLLATE "C" NOT NULL,
  sequence   BIGINT NOT NULL,
  type       INTEGER NOT NULL,
  owner      TEXT COLLATE "C" NOT NULL, -- '' for the stripped entry of a deletion, which is in clear text
  event      BYTEA NOT NULL,
  resource   BYTEA NOT NULL,
  key        BYTEA,
  settled    BOOLEAN NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX consent_log_by_sequence ON consent_log (tenant, consent_id, sequence);
CREATE INDEX consent_log_by_tenant ON consent_log (tenant, position);
CREATE INDEX consent_log_unsettled ON consent_log (tenant, consent_id, sequence) WHERE NOT settled;
CREATE INDEX consent_log_by_key ON consent_log (tenant, consent_id, key) WHERE key IS NOT NULL;

CREATE TABLE shipments (
  tenant      TEXT COLLATE "C" NOT NULL,
  id          TEXT COLLATE "C" NOT NULL,
  customer_id TEXT COLLATE "C",
  provider    TEXT COLLATE "C" NOT NULL,
  status      INTEGER NOT NULL,
  resource    BYTEA NOT NULL,
  version     BIGINT NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
);
CREATE INDEX shipments_by_customer ON shipments (tenant, customer_id, id);
CREATE INDEX shipments_by_status ON shipments (tenant, status, id);
CREATE INDEX shipments_of_nobody ON shipments (id) WHERE customer_id IS NULL;

CREATE TABLE shipment_log (
  position    BIGINT PRIMARY KEY,
  tenant      TEXT COLLATE "C" NOT NULL,
  shipment_id TEXT COLLATE "C" NOT NULL,
  owner       TEXT COLLATE "C" NOT NULL,
  resource    BYTEA NOT NULL
);
CREATE INDEX shipment_log_by_shipment ON shipment_log (tenant, shipment_id, position);
CREATE INDEX shipment_log_by_tenant ON shipment_log (tenant, position);

-- Where a log ended at a time: entries up to there are as old.
CREATE TABLE log_marks (
  log      TEXT COLLATE "C" NOT NULL,
  time     BIGINT NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (log, time)
);

-- Up to floor a log is no longer followed: a cursor before it has expired. Up to trimmed, entries are gone from it.
-- What belongs to the history of a consent that exists stays in consent_log, without the resource.
CREATE TABLE log_floors (
  log     TEXT COLLATE "C" PRIMARY KEY,
  floor   BIGINT NOT NULL,
  trimmed BIGINT NOT NULL
);
INSERT INTO log_floors (log, floor, trimmed) VALUES ('consents', 0, 0), ('shipments', 0, 0);

-- The highest position of entries that were deleted together: a log's end does not go back with them.
CREATE TABLE log_gone (
  log      TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (log, position)
);

CREATE TABLE callbacks (
  hash        BYTEA PRIMARY KEY,
  kind        TEXT COLLATE "C" NOT NULL,
  tenant      TEXT COLLATE "C" NOT NULL,
  provider    TEXT COLLATE "C" NOT NULL,
  resource    TEXT COLLATE "C" NOT NULL,
  flow        BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  expire_time BIGINT NOT NULL,
  outcome     TEXT COLLATE "C" NOT NULL, -- how a customer first came back from a visit
  visit_time  BIGINT NOT NULL,
  settled     BOOLEAN NOT NULL -- what they came with was taken in
);
CREATE INDEX callbacks_by_resource ON callbacks (tenant, resource);
CREATE INDEX callbacks_by_expire_time ON callbacks (expire_time) WHERE expire_time <> 0;

CREATE TABLE idempotency (
  tenant      TEXT COLLATE "C" NOT NULL,
  method      TEXT COLLATE "C" NOT NULL,
  key         TEXT COLLATE "C" NOT NULL,
  request     BYTEA NOT NULL,
  owner       TEXT COLLATE "C" NOT NULL,
  lease_until BIGINT NOT NULL,
  done        BOOLEAN NOT NULL,
  customer_id TEXT COLLATE "C" NOT NULL,
  consent_id  TEXT COLLATE "C" NOT NULL,
  erased      BOOLEAN NOT NULL DEFAULT false,
  response    BYTEA,
  failure     BYTEA,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (tenant, method, key)
);
CREATE INDEX idempotency_by_create_time ON idempotency (create_time);
CREATE INDEX idempotency_by_customer ON idempotency (tenant, customer_id) WHERE customer_id <> '';
CREATE INDEX idempotency_by_consent ON idempotency (tenant, consent_id) WHERE consent_id <> '' AND NOT erased;
CREATE INDEX idempotency_open ON idempotency (owner) WHERE NOT done;

CREATE TABLE intents (
  tenant             TEXT COLLATE "C" NOT NULL,
  id                 TEXT COLLATE "C" NOT NULL,
  provider           TEXT COLLATE "C" NOT NULL,
  operation          TEXT COLLATE "C" NOT NULL,
  resource           TEXT COLLATE "C" NOT NULL,
  customer_id        TEXT COLLATE "C" NOT NULL,
  idempotency_method TEXT COLLATE "C" NOT NULL,
  idempotency_key    TEXT COLLATE "C" NOT NULL,
  state              TEXT COLLATE "C" NOT NULL,
  owner              TEXT COLLATE "C" NOT NULL,
  lease_until        BIGINT NOT NULL,
  create_time        BIGINT NOT NULL,
  update_time        BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX intents_by_customer ON intents (tenant, customer_id) WHERE customer_id <> '';
CREATE INDEX intents_open_by_owner ON intents (owner) WHERE state = 'open';
CREATE INDEX intents_open_by_lease ON intents (lease_until) WHERE state = 'open';
CREATE INDEX intents_open_by_record ON intents (tenant, idempotency_method, idempotency_key) WHERE state = 'open';
CREATE INDEX intents_closed ON intents (update_time) WHERE state <> 'open';

CREATE TABLE webhooks (
  tenant      TEXT COLLATE "C" NOT NULL,
  key         TEXT COLLATE "C" NOT NULL,
  provider    TEXT COLLATE "C" NOT NULL,
  registered  BOOLEAN NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant, key)
);

-- What was deleted with a customer: kept when the customer is gone. It holds nothing personal, so it is not sealed.
CREATE TABLE deletion_receipts (
  tenant   TEXT COLLATE "C" NOT NULL,
  id       TEXT COLLATE "C" NOT NULL, -- the customer's
  resource BYTEA NOT NULL, -- kontor.customer.v1.DeletionReceipt
  PRIMARY KEY (tenant, id)
);

-- An entry is sealed by its chain value, which a keyed hash makes of the entry and the chain value before it. sequence
-- counts the tenant's sealed entries; 0 and NULL stand for one that is not sealed yet. count and first_time are set for
-- an entry that stands for several equal refusals.
CREATE TABLE audit (
  position   BIGINT PRIMARY KEY,
  time       BIGINT NOT NULL,
  tenant     TEXT COLLATE "C" NOT NULL,
  actor      TEXT NOT NULL,
  method     TEXT NOT NULL,
  resource   TEXT NOT NULL,
  peer       TEXT NOT NULL,
  request_id TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  count      BIGINT NOT NULL,
  first_time BIGINT NOT NULL,
  sequence   BIGINT NOT NULL DEFAULT 0,
  chain      BYTEA
);
CREATE INDEX audit_by_tenant ON audit (tenant, position);

-- kind: 'head' is the end of what is sealed, 'cut' the end of what retention removed.
CREATE TABLE audit_seals (
  tenant   TEXT COLLATE "C" NOT NULL,
  kind     TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  count    BIGINT NOT NULL,
  chain    BYTEA NOT NULL,
  time     BIGINT NOT NULL,
  mac      BYTEA NOT NULL,
  PRIMARY KEY (tenant, kind)
);

CREATE TABLE audit_checkpoints (
  tenant   TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  count    BIGINT NOT NULL,
  chain    BYTEA NOT NULL,
  time     BIGINT NOT NULL,
  mac      BYTEA NOT NULL,
  PRIMARY KEY (tenant, position)
);
CREATE INDEX audit_checkpoints_by_time ON audit_checkpoints (tenant, time);

-- All tenants that ever had an entry of the audit sealed, as a JSON list in order, with a keyed hash. The row is made
-- with the working keys: from then on it is there.
CREATE TABLE audit_roll (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  tenants TEXT NOT NULL,
  mac     BYTEA NOT NULL
);

-- The one row is written to see whether it can be. time is the latest that a process told.
CREATE TABLE pulse (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  probes BIGINT NOT NULL,
  time   BIGINT NOT NULL
);
INSERT INTO pulse (id, probes, time) VALUES (1, 0, 0);

-- A transaction sees the rows of the tenant that it names, or of all when it names '*', whatever its queries ask for.
-- FORCE: this holds for who owns the tables, too, but not for superusers.
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'data_keys', 'customers', 'customer_users', 'user_claims', 'consents', 'flow_claims', 'provider_pauses',
    'consent_log', 'shipments', 'shipment_log', 'callbacks', 'idempotency', 'intents', 'webhooks', 'deletion_receipts',
    'audit', 'audit_seals', 'audit_checkpoints'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
      'CREATE POLICY tenants ON %I USING (current_setting(''kontor.tenant'', true) IN (tenant, ''*''))', name);
  END LOOP;
END $$;

-- Where a log ends for those who follow it, where it begins, and the highest position in it. It looks at the entries of
-- all tenants, whoever asks: a log's end is theirs in common. Positions below bound are settled; those from own_first to
-- own_last are of the transaction that asks.
CREATE FUNCTION log_ends(
  of TEXT, bound BIGINT, own_first BIGINT, own_last BIGINT, OUT head BIGINT, OUT floor BIGINT, OUT top BIGINT
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  settled BIGINT;
  own BIGINT;
  highest BIGINT;
  tenant TEXT := current_setting('kontor.tenant', true);
BEGIN
  PERFORM set_config('kontor.tenant', '*', true);
  SELECT f.floor INTO floor FROM log_floors f WHERE f.log = of;
  IF of = 'consents' THEN
    SELECT max(position) INTO settled FROM consent_log WHERE position < bound;
    SELECT max(position) INTO own FROM consent_log WHERE position BETWEEN own_first AND own_last;
    SELECT max(position) INTO highest FROM consent_log;
  ELSE
    SELECT max(position) INTO settled FROM shipment_log WHERE position < bound;
    SELECT max(position) INTO own FROM shipment_log WHERE position BETWEEN own_first AND own_last;
    SELECT max(position) INTO highest FROM shipment_log;
  END IF;
  head := greatest(floor, settled, own,
    (SELECT max(g.position) FROM log_gone g WHERE g.log = of AND g.position < bound));
  top := greatest(head, highest, (SELECT max(g.position) FROM log_gone g WHERE g.log = of));
  PERFORM set_config('kontor.tenant', tenant, true);
END $$;
