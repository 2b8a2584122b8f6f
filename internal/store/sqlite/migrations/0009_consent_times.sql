-- When there were last news of a consent: a backup's file of keys tells by it since when a consent is over, without opening it. 0 for a row that was
-- written before this column.
ALTER TABLE consents ADD COLUMN update_time INTEGER NOT NULL DEFAULT 0;
