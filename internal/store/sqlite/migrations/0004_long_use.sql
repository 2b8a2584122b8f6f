-- The one row is written to see whether it can be. time is the latest that a process told.
CREATE TABLE pulse (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  probes INTEGER NOT NULL,
  time   INTEGER NOT NULL
) STRICT;
INSERT INTO pulse (id, probes, time) VALUES (1, 0, 0);

-- What is due of all accounts together, and what has to be planned anew when the clock went back.
CREATE INDEX consents_planned ON consents (next_poll) WHERE next_poll <> 0;

-- An event that is settled stays in its consent's history, and no longer bears on how the consent stands.
ALTER TABLE consent_log ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
CREATE INDEX consent_log_unsettled ON consent_log (tenant, consent_id, sequence) WHERE settled = 0;

-- Where a log ended at a time: entries up to there are as old.
CREATE TABLE log_marks (
  log      TEXT NOT NULL,
  time     INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (log, time)
) STRICT, WITHOUT ROWID;

-- Up to floor a log is no longer followed: a cursor before it has expired. Up to trimmed, entries are gone from it. What belongs to the history
-- of a consent that exists stays in consent_log, without the resource.
CREATE TABLE log_floors (
  log     TEXT PRIMARY KEY,
  floor   INTEGER NOT NULL,
  trimmed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO log_floors (log, floor, trimmed) VALUES ('consents', 0, 0), ('shipments', 0, 0);
