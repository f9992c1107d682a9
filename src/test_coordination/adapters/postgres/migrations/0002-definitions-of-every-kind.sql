-- What is stored may be a template or a suite as well; what there is so far are scenarios.
ALTER TABLE scenario
    ADD COLUMN kind text NOT NULL DEFAULT 'scenario'
        CHECK (kind IN ('scenario', 'template', 'suite')),
    ADD COLUMN deprecated_at timestamptz,
    ADD COLUMN deprecated_because text NOT NULL DEFAULT '',
    ADD CHECK (deprecated_at IS NOT NULL OR deprecated_because = '');
ALTER TABLE scenario ALTER COLUMN kind DROP DEFAULT;

-- Pages are cut by the bytes of the names: every collation of a database gives the same ones.
CREATE UNIQUE INDEX scenario_in_order ON scenario (name COLLATE "C");

-- The digest of a row from before is that of its text alone, so the same text stored again is the
-- next version, and only that one has a title, tags and services.
ALTER TABLE scenario_version
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN services text[] NOT NULL DEFAULT '{}',
    ADD COLUMN parts jsonb NOT NULL DEFAULT '[]';

ALTER TABLE execution
    ADD COLUMN parent uuid,
    ADD COLUMN suite text NOT NULL DEFAULT '';

-- What these two look at changes only when an execution ends, never while its log grows: so the
-- updates in between stay within their pages, and no index has to be told.
CREATE INDEX execution_latest ON execution (scenario_name, ended_at, id)
    WHERE status = 'finished';
CREATE INDEX execution_of_suite ON execution (suite, id) WHERE suite <> '';
