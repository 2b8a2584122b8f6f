-- What is due is claimed for each provider account apart, so that one that hangs holds back no other's consents.
DROP INDEX consents_by_next_poll;
CREATE INDEX consents_by_next_poll ON consents (tenant, provider, next_poll) WHERE next_poll <> 0;

-- last_read is when a read in the background last went well. missing_since and missing_count say since when, and how often, the provider has
-- answered that it does not know the consent; 0 as long as it does.
ALTER TABLE consents ADD COLUMN last_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consents ADD COLUMN missing_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE consents ADD COLUMN missing_count INTEGER NOT NULL DEFAULT 0;
CREATE INDEX consents_by_last_read ON consents (tenant, provider, last_read) WHERE last_read <> 0;

-- Who is opening a flow of a consent at its provider. A row whose lease is over claims nothing.
CREATE TABLE flow_claims (
  tenant      TEXT NOT NULL,
  consent_id  TEXT NOT NULL,
  owner       TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  PRIMARY KEY (tenant, consent_id),
  FOREIGN KEY (tenant, consent_id) REFERENCES consents (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_claims_by_owner ON flow_claims (owner);

-- How a customer first came back from a visit, when, and whether what they came with was taken in.
ALTER TABLE callbacks ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE callbacks ADD COLUMN visit_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE callbacks ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
