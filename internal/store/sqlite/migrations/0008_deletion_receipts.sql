-- What was deleted with a customer: kept when the customer is gone. It holds nothing personal, so it is not sealed.
CREATE TABLE deletion_receipts (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL, -- the customer's
  resource BLOB NOT NULL, -- kontor.customer.v1.DeletionReceipt
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
