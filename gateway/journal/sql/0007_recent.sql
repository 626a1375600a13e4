-- By which a byte-equal repeat is known for a short time: kept in memory, read back at the start. For a while these stood
-- in 0001, so there are journals of every earlier number that have them.
ALTER TABLE receipt ADD COLUMN recent BLOB;
ALTER TABLE receipt ADD COLUMN recent_until REAL;
