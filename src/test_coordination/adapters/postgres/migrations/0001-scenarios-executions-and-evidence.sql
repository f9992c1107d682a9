-- One row a name; it is what two who store under the same name at once must wait for.
CREATE TABLE scenario (
    name text PRIMARY KEY,
    newest integer NOT NULL DEFAULT 0 CHECK (newest >= 0)
);

CREATE TABLE scenario_version (
    id uuid PRIMARY KEY,
    name text NOT NULL REFERENCES scenario,
    version integer NOT NULL CHECK (version > 0),
    digest text NOT NULL,
    source text NOT NULL,
    file text NOT NULL,
    stored_at timestamptz NOT NULL,
    UNIQUE (name, version)
);

-- All but the plan and what was asked for is a fold of the log, kept in step by whoever appends.
-- Rows are updated with every append: the room left in each page keeps the new version of a row
-- beside the old one, so that no index has to be told.
CREATE TABLE execution (
    id uuid PRIMARY KEY,
    scenario_id uuid NOT NULL REFERENCES scenario_version,
    scenario_name text NOT NULL,
    scenario_version integer NOT NULL,
    plan jsonb NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    worker uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'finished')),
    verdict text,
    started_at timestamptz,
    ended_at timestamptz,
    log_end integer NOT NULL CHECK (log_end >= 0),
    outstanding integer NOT NULL CHECK (outstanding >= 0),
    CHECK ((status = 'pending') = (started_at IS NULL)),
    CHECK ((status = 'finished') = (ended_at IS NOT NULL)),
    CHECK ((status = 'finished') = (verdict IS NOT NULL))
) WITH (fillfactor = 70);

CREATE INDEX execution_unsettled ON execution (id) WHERE status <> 'finished' OR outstanding > 0;

-- Identifiers begin with the time, so a range of them is a range of time; see decision 0002.
-- No foreign key: it would cost a look-up for each event, and log_end already says whose log it is.
CREATE TABLE execution_event (
    execution_id uuid NOT NULL,
    position integer NOT NULL CHECK (position > 0),
    at timestamptz NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (execution_id, position)
) PARTITION BY RANGE (execution_id);

CREATE INDEX execution_event_at ON execution_event USING brin (at);
CREATE TABLE execution_event_default PARTITION OF execution_event DEFAULT;

CREATE TABLE probe_sample (
    execution_id uuid NOT NULL,
    probe text NOT NULL,
    at timestamptz NOT NULL,
    took interval NOT NULL,
    fields jsonb NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (execution_id, at, probe)
) PARTITION BY RANGE (execution_id);

CREATE INDEX probe_sample_at ON probe_sample USING brin (at);
CREATE TABLE probe_sample_default PARTITION OF probe_sample DEFAULT;

CREATE TABLE system_snapshot (
    id uuid PRIMARY KEY,
    taken_at timestamptz NOT NULL,
    execution_id uuid,
    step text,
    state jsonb NOT NULL,
    problems text[] NOT NULL
);

CREATE INDEX system_snapshot_execution ON system_snapshot (execution_id);

CREATE TABLE worker (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL CHECK (pid > 0),
    born text NOT NULL,
    lease_ends timestamptz NOT NULL
);

-- Make a partition for identifiers from low up to high; what of them has already fallen into the
-- default partition is moved over. The default's lock lets in one maker at a time, and keeps out
-- nobody who writes to another partition. Returns whether there was anything to do.
CREATE FUNCTION add_partition(parent text, suffix text, low uuid, high uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    part text := parent || '_' || suffix;
    rest text := parent || '_default';
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE execution_id >= $1 AND execution_id < $2 RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', rest, part
    ) USING low, high;
    -- Attached, not created in place: so the parent can be read and written meanwhile.
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, low, high
    );
    RETURN true;
END
$$;
