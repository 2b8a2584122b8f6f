-- serves: 1
--
-- What clients have left of their quotas, and what they wanted lately: see store.Quotas and quotas.go. client is a keyed
-- hash. At full_time the row is as good as none.
--
-- UNLOGGED: gateways write here once a second, and nothing is lost with it. So no such write waits for a disk or a
-- standby; after a crash, and on a standby that takes over, the table is empty.
CREATE UNLOGGED TABLE quotas (
  tenant    TEXT COLLATE "C" NOT NULL,
  client    BYTEA NOT NULL,
  level     DOUBLE PRECISION NOT NULL,
  wanted    DOUBLE PRECISION NOT NULL,
  time      BIGINT NOT NULL, -- when level and wanted were so, by the server's clock
  full_time BIGINT NOT NULL,
  PRIMARY KEY (tenant, client)
) WITH (fillfactor = 50); -- no index has what changes, so that a row's next version finds room beside it

ALTER TABLE quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE quotas FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON quotas USING (current_setting('kontor.tenant', true) IN (tenant, '*'));
