-- The one row is written to see whether it can be. time is the latest that a process told.
CREATE TABLE pulse (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  probes INTEGER NOT NULL,
  time   INTEGER NOT NULL
) STRICT;
INSERT INTO pulse (id, probes, time) VALUES (1, 0, 0);
