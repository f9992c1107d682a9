-- The fencing token: it counts how often the execution was given to a worker, and only who was
-- given the newest one may append to its log.
ALTER TABLE execution ADD COLUMN epoch integer NOT NULL DEFAULT 1 CHECK (epoch > 0);
ALTER TABLE execution ALTER COLUMN epoch DROP DEFAULT;
