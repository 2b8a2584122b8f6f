-- An entry is sealed by its chain value, which a keyed hash makes of the entry and the chain value before it. sequence counts the tenant's sealed
-- entries; 0 and NULL stand for one that is not sealed yet. count and first_time are set for an entry that stands for several equal refusals.
ALTER TABLE audit ADD COLUMN count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN first_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN chain BLOB;

-- Retention goes by checkpoints.
DROP INDEX audit_by_time;

-- kind: 'head' is the end of what is sealed, 'cut' the end of what retention removed.
CREATE TABLE audit_seals (
  tenant   TEXT NOT NULL,
  kind     TEXT NOT NULL,
  position INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  chain    BLOB NOT NULL,
  time     INTEGER NOT NULL,
  mac      BLOB NOT NULL,
  PRIMARY KEY (tenant, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoints (
  tenant   TEXT NOT NULL,
  position INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  chain    BLOB NOT NULL,
  time     INTEGER NOT NULL,
  mac      BLOB NOT NULL,
  PRIMARY KEY (tenant, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_checkpoints_by_time ON audit_checkpoints (tenant, time);
