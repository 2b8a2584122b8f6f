-- serves: 1
--
-- The policies are what they were, in words of which the planner has a better guess. A CASE it takes to be true of every
-- other row; of setting IN (tenant, '*') it believed that it is true of one row in two hundred. Then it read and sorted
-- all that a list could begin with, rather than to go by an index until a page is full.
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'data_keys', 'customers', 'customer_users', 'user_claims', 'consents', 'flow_claims', 'provider_pauses',
    'consent_log', 'shipments', 'shipment_log', 'callbacks', 'idempotency', 'intents', 'webhooks', 'deletion_receipts',
    'audit', 'audit_seals', 'audit_checkpoints', 'quotas'
  ] LOOP
    EXECUTE format(
      'ALTER POLICY tenants ON %I USING (CASE current_setting(''kontor.tenant'', true) '
      'WHEN tenant THEN true WHEN ''*'' THEN true ELSE false END)', name);
  END LOOP;
END $$;
