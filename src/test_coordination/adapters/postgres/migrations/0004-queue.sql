-- An execution is created, waits in the queue, is let in, and holds what it claims until it has
-- ended and nothing that it did is outstanding. One that is a step of another claims nothing: the
-- one at the top, which holds for all of them, is its holder. The system is that of its plan, and
-- services_max how many of its services may be hit at once, by whomever.
ALTER TABLE execution
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN requires text[] NOT NULL DEFAULT '{}',
    ADD COLUMN detached boolean NOT NULL DEFAULT false,
    ADD COLUMN admitted_at timestamptz,
    ADD COLUMN parent_step text,
    ADD COLUMN holder uuid,
    ADD COLUMN system text NOT NULL DEFAULT '',
    ADD COLUMN services_max integer;

WITH RECURSIVE family AS (
    SELECT id, id AS top FROM execution WHERE parent IS NULL
    UNION ALL
    SELECT child.id, family.top FROM execution AS child JOIN family ON child.parent = family.id
)
UPDATE execution SET holder = family.top
FROM family
WHERE execution.id = family.id AND execution.parent IS NOT NULL;

CREATE INDEX execution_of_parent ON execution (parent) WHERE parent IS NOT NULL;

-- One row an execution that waits. Those of a lane claim the same for the same requester with the
-- same priority, so that only the first of each lane has to be looked at.
CREATE TABLE waiting_execution (
    execution_id uuid PRIMARY KEY REFERENCES execution,
    lane uuid NOT NULL,
    requested_by text NOT NULL,
    priority integer NOT NULL,
    detached boolean NOT NULL,
    claims jsonb NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    UNIQUE (lane, execution_id)
);

-- When one of a lane was let in last: its waiting is counted from then.
CREATE TABLE lane_turn (
    lane uuid PRIMARY KEY,
    requested_by text NOT NULL,
    at timestamptz NOT NULL
);

CREATE INDEX lane_turn_requester ON lane_turn (requested_by, at);

-- One row an execution that was let in and holds what it claims.
CREATE TABLE admission (
    execution_id uuid PRIMARY KEY REFERENCES execution,
    requested_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX admission_requester ON admission (requested_by);

CREATE TABLE claim (
    execution_id uuid NOT NULL REFERENCES admission ON DELETE CASCADE,
    system text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('exclusive', 'shared', 'pool')),
    name text NOT NULL,
    slots integer NOT NULL CHECK (slots > 0),
    PRIMARY KEY (system, name, kind, execution_id)
);

CREATE INDEX claim_execution ON claim (execution_id);
-- Whatever a program does: nothing is ever held by two for themselves alone.
CREATE UNIQUE INDEX claim_exclusive ON claim (system, name) WHERE kind = 'exclusive';

-- A fold of the logs: the faults that may be in force, and how to undo each.
CREATE TABLE fault_receipt (
    execution_id uuid NOT NULL REFERENCES execution,
    step text NOT NULL,
    fault text NOT NULL,
    system text NOT NULL,
    service text NOT NULL,
    receipt text NOT NULL,
    armed_at timestamptz NOT NULL,
    holder uuid NOT NULL,
    PRIMARY KEY (execution_id, step)
);

CREATE INDEX fault_receipt_system ON fault_receipt (system, service);
CREATE INDEX fault_receipt_holder ON fault_receipt (holder);

-- What is under way was never kept waiting: it holds what it claims from now on, the older one
-- where two claim the same.
UPDATE execution SET admitted_at = requested_at, system = plan ->> 'topology'
WHERE status <> 'finished' OR outstanding > 0;

INSERT INTO fault_receipt
SELECT armed.execution_id, armed.body ->> 'step', armed.body ->> 'fault', x.system,
    armed.body ->> 'service', armed.body ->> 'receipt', armed.at, coalesce(x.holder, x.id)
FROM execution AS x
JOIN execution_event AS armed ON armed.execution_id = x.id AND armed.kind = 'FaultArmed'
WHERE x.outstanding > 0 AND NOT EXISTS (
    SELECT FROM execution_event AS later
    WHERE later.execution_id = x.id
        AND later.position > armed.position
        AND later.kind IN ('FaultArmed', 'FaultReverted')
        AND later.body ->> 'step' = armed.body ->> 'step'
);

INSERT INTO admission
SELECT id, requested_by, requested_at
FROM execution
WHERE parent IS NULL AND (
    status <> 'finished' OR outstanding > 0
    OR id IN (SELECT holder FROM fault_receipt)
);

INSERT INTO claim
SELECT a.execution_id, x.plan ->> 'topology', kind, name, 1
FROM admission AS a
JOIN execution AS x ON x.id = a.execution_id
CROSS JOIN LATERAL (
    SELECT 'exclusive', jsonb_array_elements_text(x.plan -> 'claims' -> 'exclusive')
    UNION ALL
    SELECT 'shared', jsonb_array_elements_text(x.plan -> 'claims' -> 'shared')
) AS claimed (kind, name)
ORDER BY a.execution_id
ON CONFLICT DO NOTHING;

INSERT INTO claim
SELECT a.execution_id, x.plan ->> 'topology', 'pool', pool.key, pool.value::integer
FROM admission AS a
JOIN execution AS x ON x.id = a.execution_id
CROSS JOIN LATERAL jsonb_each_text(x.plan -> 'claims' -> 'pools') AS pool
ON CONFLICT DO NOTHING;
