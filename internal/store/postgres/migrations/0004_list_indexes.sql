-- serves: 1
--
-- Every list that callers can ask for has an index with all that it asks for and the order of its pages. Lists without statuses, but for those of a
-- customer and of all, merge what there is in each status: so one index serves them with and without.
--
-- What goes goes last: to drop an index keeps readers from the table until the step is done, to build one does not.
CREATE INDEX consents_by_customer_status ON consents (tenant, customer_id, status, id) WHERE deleted = 0;
CREATE INDEX consents_by_reference_status ON consents (tenant, reference, status, id) WHERE reference IS NOT NULL AND deleted = 0;
CREATE INDEX consents_by_customer_reference_status ON consents (tenant, customer_id, reference, status, id)
  WHERE reference IS NOT NULL AND deleted = 0;
DROP INDEX consents_by_reference;
DROP INDEX consents_by_provider;
