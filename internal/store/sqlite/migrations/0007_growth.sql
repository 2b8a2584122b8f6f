-- deleted: 0 for a consent that is there, 2 for one that is deleted while entries, tokens and answers of it are still to be erased, 1 for one of
-- which nothing is left but whose it was.
DROP INDEX consents_by_customer;
CREATE INDEX consents_by_customer ON consents (tenant, customer_id, deleted, id);
CREATE INDEX consents_erasing ON consents (tenant, id) WHERE deleted = 2;
DROP INDEX idempotency_by_consent;
CREATE INDEX idempotency_by_consent ON idempotency (tenant, consent_id) WHERE consent_id <> '' AND erased = 0;

-- Lists page by an index of what they ask for, and pass by no consents that were deleted.
CREATE INDEX consents_present ON consents (tenant, id) WHERE deleted = 0;
DROP INDEX consents_by_status;
CREATE INDEX consents_by_status ON consents (tenant, status, id) WHERE deleted = 0;
CREATE INDEX consents_by_provider ON consents (tenant, provider, id) WHERE deleted = 0;
CREATE INDEX consents_by_provider_status ON consents (tenant, provider, status, id) WHERE deleted = 0;

-- What a process that ended had claimed.
CREATE INDEX consents_claimed ON consents (claim_until) WHERE claim_until <> 0;

-- key is a keyed hash of the event's key: whether a consent has an event is told without reading its history. It is NULL in the stripped entry of a
-- deletion, and in entries from before this column, which are never settled.
ALTER TABLE consent_log ADD COLUMN key BLOB;
CREATE INDEX consent_log_by_key ON consent_log (tenant, consent_id, key) WHERE key IS NOT NULL;
