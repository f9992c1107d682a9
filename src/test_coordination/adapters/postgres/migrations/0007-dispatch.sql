-- compatible-from: 7
-- The oldest schema version whose programs can go on beside those that applied a migration. One
-- that breaks nothing that its predecessors do leaves it at 0, and the largest one counts.
ALTER TABLE schema_version ADD COLUMN compatible_from integer NOT NULL DEFAULT 0;

-- What a worker says of itself again and again. One that offers nothing (NULL) carries out only
-- what it was asked for itself.
ALTER TABLE worker
    ADD COLUMN program text NOT NULL DEFAULT '',
    ADD COLUMN began_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN offers text[],
    ADD COLUMN executions integer NOT NULL DEFAULT 0,
    ADD COLUMN executions_max integer NOT NULL DEFAULT 0,
    ADD COLUMN memory bigint NOT NULL DEFAULT 0,
    ADD COLUMN memory_max bigint,
    ADD COLUMN draining boolean NOT NULL DEFAULT false;

-- One row for each set of requirements that jobs have had of late. A job names its set by the
-- key, and a worker takes the jobs of those keys whose requirements are among its offers.
CREATE TABLE dispatch_route (
    key text PRIMARY KEY,
    requires text[] NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now()
);

-- The release of the job queue that made or last changed its tables; it brings them itself.
CREATE TABLE dispatch_engine (
    version text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX dispatch_engine_once ON dispatch_engine ((true));
