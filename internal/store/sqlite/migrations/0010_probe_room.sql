-- What a look whether there is room again writes for a moment: as much as calls may.
ALTER TABLE pulse ADD COLUMN room BLOB;
