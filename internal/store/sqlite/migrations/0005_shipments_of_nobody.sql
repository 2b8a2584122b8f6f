-- Shipments that belong to no customer are removed when they are old; ids tell how old.
CREATE INDEX shipments_of_nobody ON shipments (id) WHERE customer_id IS NULL;
