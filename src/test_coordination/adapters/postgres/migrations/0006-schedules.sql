-- A schedule, and how far it has come. `format` counts what a program must understand to look after
-- it; `topic` is what it waits to hear of, empty where it goes by time.
CREATE TABLE schedule (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    scenario text NOT NULL,
    version integer,
    parameters jsonb NOT NULL,
    format integer NOT NULL CHECK (format > 0),
    kind text NOT NULL,
    trigger jsonb NOT NULL,
    rules jsonb NOT NULL,
    system text NOT NULL,
    topic text NOT NULL,
    seed bigint NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    paused_at timestamptz,
    paused_because text NOT NULL DEFAULT '',
    over_at timestamptz,
    next_due timestamptz,
    next_moment timestamptz,
    runs integer NOT NULL DEFAULT 0 CHECK (runs >= 0)
);

-- Pages are cut by the bytes of the names: every collation of a database gives the same ones.
CREATE UNIQUE INDEX schedule_in_order ON schedule (name COLLATE "C");
CREATE INDEX schedule_next ON schedule (system, next_moment)
    WHERE paused_at IS NULL AND over_at IS NULL AND next_moment IS NOT NULL;
CREATE INDEX schedule_topic ON schedule (topic) WHERE topic <> '';

-- One row a run that a schedule asked for: its key is why no scheduler can ask for one twice, and the
-- execution that is drawn with it why none can begin it twice.
CREATE TABLE schedule_firing (
    schedule_id uuid NOT NULL REFERENCES schedule ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    cause text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('heard', 'due', 'started', 'ended', 'skipped', 'failed')),
    execution_id uuid,
    decided_at timestamptz,
    taken_until timestamptz NOT NULL DEFAULT '-infinity',
    why text NOT NULL DEFAULT '',
    PRIMARY KEY (schedule_id, due_at, cause),
    CHECK ((state = 'heard') = (decided_at IS NULL)),
    CHECK (state IN ('heard', 'skipped') OR execution_id IS NOT NULL)
);

CREATE UNIQUE INDEX schedule_firing_execution ON schedule_firing (execution_id);
CREATE INDEX schedule_firing_heard ON schedule_firing (schedule_id, due_at) WHERE state = 'heard';
CREATE INDEX schedule_firing_open ON schedule_firing (schedule_id)
    WHERE state IN ('due', 'started');
CREATE INDEX schedule_firing_due ON schedule_firing (taken_until, due_at) WHERE state = 'due';

-- What has happened and no schedule has heard of yet.
CREATE TABLE occurrence (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    cause text NOT NULL UNIQUE,
    at timestamptz NOT NULL,
    data jsonb NOT NULL
);

CREATE TABLE event_position (
    source text PRIMARY KEY,
    position text NOT NULL
);

CREATE TABLE service_sighting (
    system text NOT NULL,
    place text NOT NULL,
    service text NOT NULL,
    mark text NOT NULL,
    build text NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (system, place, service)
);

-- That an execution has ended is heard of because the transaction that says so tells it: whoever
-- looked for it afterwards would have to know which of those that end at once was written last.
CREATE FUNCTION tell_of_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO occurrence (topic, cause, at, data)
    SELECT 'execution.ended/' || NEW.scenario_name, 'execution ' || NEW.id, now(),
        jsonb_build_object('execution', NEW.id, 'verdict', NEW.verdict)
    WHERE EXISTS (
        SELECT FROM schedule
        WHERE topic = 'execution.ended/' || NEW.scenario_name AND topic <> ''
    )
    ON CONFLICT (cause) DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER execution_ended AFTER UPDATE OF status ON execution
    FOR EACH ROW
    WHEN (NEW.status = 'finished' AND OLD.status <> 'finished' AND NEW.parent IS NULL)
    EXECUTE FUNCTION tell_of_end();
