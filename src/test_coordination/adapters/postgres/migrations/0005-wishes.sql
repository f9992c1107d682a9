-- What somebody wants of executions. One that is for all of them has no execution of its own, and
-- is spread once over those that there are: those that come later are not meant.
CREATE TABLE wish (
    id uuid PRIMARY KEY,
    desire text NOT NULL CHECK (desire IN ('abort', 'pause', 'resume')),
    execution_id uuid,
    reason text NOT NULL,
    requested_by text NOT NULL,
    undo boolean NOT NULL,
    spread boolean NOT NULL DEFAULT false,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX wish_made_at ON wish (made_at);

-- No foreign key to the execution: a wish must not wait for anybody who works on that table.
CREATE TABLE execution_wish (
    execution_id uuid NOT NULL,
    wish_id uuid NOT NULL REFERENCES wish,
    PRIMARY KEY (execution_id, wish_id)
);

CREATE TABLE wish_answer (
    wish_id uuid NOT NULL REFERENCES wish,
    worker uuid NOT NULL,
    executions uuid[] NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (wish_id, worker)
);

-- One that is stopped in the queue has ended, and has never begun.
ALTER TABLE execution
    DROP CONSTRAINT execution_check,
    ADD CHECK (status <> 'pending' OR started_at IS NULL),
    ADD CHECK (status <> 'running' OR started_at IS NOT NULL);
