-- All tenants that ever had an entry of the audit sealed, as a JSON list in order, with a keyed hash. The row is made
-- with the working keys: from then on it is there.
CREATE TABLE audit_roll (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  tenants TEXT NOT NULL,
  mac     BLOB NOT NULL
) STRICT;
