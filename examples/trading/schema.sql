-- The whole database of the example. Whichever service comes first creates it, in one transaction.
-- Money and quantities are whole numbers: prices in 0.0001 USD, quantities in 0.001 of an asset.

CREATE SCHEMA market_data;
CREATE SCHEMA exchange;
CREATE SCHEMA custodian;
CREATE SCHEMA trading;
CREATE SCHEMA risk;
CREATE SCHEMA audit;

CREATE TABLE market_data.ticks (
    symbol text NOT NULL,
    at timestamptz NOT NULL,
    price bigint NOT NULL,
    PRIMARY KEY (symbol, at)
);

CREATE TABLE exchange.orders (
    order_id text PRIMARY KEY,
    client_order_id text NOT NULL,
    -- The client_order_id again where the build promises to take it once, else null.
    idempotency_key text UNIQUE,
    -- What the client wants done once, whatever keys its attempts carry.
    reference text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    kind text NOT NULL CHECK (kind IN ('market', 'limit')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    limit_price bigint,
    status text NOT NULL CHECK (status IN ('open', 'filled', 'cancelled', 'rejected')),
    filled bigint NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON exchange.orders (client_order_id);
CREATE INDEX ON exchange.orders (order_id) WHERE status = 'open';

-- The outbox too: `seq` is the number of the event in the Redis stream.
CREATE TABLE exchange.trades (
    seq bigint PRIMARY KEY,
    order_id text NOT NULL,
    client_order_id text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    notional bigint NOT NULL,
    price_at timestamptz NOT NULL,
    executed_at timestamptz NOT NULL
);
CREATE INDEX ON exchange.trades (account, seq);

CREATE TABLE exchange.deposits (
    account text, asset text, amount bigint NOT NULL, PRIMARY KEY (account, asset)
);
CREATE TABLE exchange.balances (
    account text, asset text, amount bigint NOT NULL, PRIMARY KEY (account, asset)
);
-- Out of the exchange, towards the custodian; a negative amount comes back.
CREATE TABLE exchange.transfers (
    transfer_id text PRIMARY KEY,
    account text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE custodian.settlements (
    id bigserial PRIMARY KEY,
    external_id text NOT NULL,
    idempotency_key text UNIQUE,
    transfer_id text NOT NULL UNIQUE,
    account text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'settled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz
);
CREATE INDEX ON custodian.settlements (external_id);
CREATE INDEX ON custodian.settlements (id) WHERE state = 'pending';
CREATE TABLE custodian.balances (
    account text, asset text, amount bigint NOT NULL, PRIMARY KEY (account, asset)
);

CREATE TABLE trading.orders (
    client_order_id text PRIMARY KEY,
    symbol text NOT NULL,
    side text NOT NULL,
    quantity bigint NOT NULL,
    -- 'intent' until the exchange has answered
    state text NOT NULL CHECK (state IN ('intent', 'acknowledged', 'refused')),
    told text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON trading.orders (created_at) WHERE state = 'intent';
CREATE TABLE trading.fills (
    seq bigint PRIMARY KEY,
    client_order_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    handed_over_at timestamptz
);
CREATE INDEX ON trading.fills (seq) WHERE handed_over_at IS NULL;
CREATE TABLE trading.positions (
    symbol text PRIMARY KEY, quantity bigint NOT NULL, cost bigint NOT NULL
);
CREATE TABLE trading.strategies (name text PRIMARY KEY, running boolean NOT NULL);

CREATE TABLE risk.limits (symbol text PRIMARY KEY, notional_max bigint NOT NULL);
CREATE TABLE risk.alerts (
    id bigserial PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz
);
CREATE UNIQUE INDEX ON risk.alerts (kind, subject) WHERE cleared_at IS NULL;

CREATE TABLE audit.acknowledged (
    client_order_id text PRIMARY KEY,
    told text NOT NULL,
    filled bigint NOT NULL,
    acknowledged_at timestamptz NOT NULL
);
CREATE TABLE audit.oracle (path text PRIMARY KEY, bytes_read bigint NOT NULL);
CREATE TABLE audit.timeline (at timestamptz PRIMARY KEY DEFAULT now(), invariants jsonb NOT NULL);
CREATE TABLE audit.breaches (
    kind text, subject text, since timestamptz NOT NULL, until timestamptz,
    PRIMARY KEY (kind, subject, since)
);

INSERT INTO exchange.deposits (account, asset, amount)
SELECT account, asset, amount
FROM (VALUES ('house', 1000000000000000), ('load', 100000000000000), ('engine', 10000000000000))
         AS holder (account, amount)
     CROSS JOIN (VALUES ('USD'), ('BTC'), ('ETH'), ('USDT')) AS held (asset);
-- The engine begins with a little of each asset at the custodian, and the rest at the exchange.
INSERT INTO custodian.balances
SELECT account, asset, 1000000 FROM exchange.deposits WHERE account = 'engine' AND asset <> 'USD';
INSERT INTO exchange.balances
SELECT account, asset, deposit.amount - coalesce(kept.amount, 0)
FROM exchange.deposits AS deposit LEFT JOIN custodian.balances AS kept USING (account, asset);
INSERT INTO trading.strategies VALUES ('mean-reversion', true);
-- A third above what the engine's strategy may hold at the opening prices.
INSERT INTO risk.limits
VALUES ('BTC-USD', 2400000000), ('ETH-USD', 120000000), ('USDT-USD', 40000);

-- (1) Acknowledged, and absent or in another state. A second and a half leaves room for what is on its way.
CREATE VIEW audit.lost_orders AS
SELECT told.client_order_id, told.told, told.filled, told.acknowledged_at, found.status
FROM audit.acknowledged AS told
     LEFT JOIN exchange.orders AS found USING (client_order_id)
WHERE told.acknowledged_at < clock_timestamp() - interval '1.5 s'
  AND (
      found.client_order_id IS NULL
      OR (told.told <> 'open' AND (found.status, found.filled) <> (told.told, told.filled))
  );

CREATE VIEW audit.engine_orders_lost AS
SELECT told.client_order_id, told.told, told.created_at
FROM trading.orders AS told
     LEFT JOIN exchange.orders AS found USING (client_order_id)
WHERE told.state = 'acknowledged'
  AND told.created_at < clock_timestamp() - interval '1.5 s'
  AND found.client_order_id IS NULL;

-- (2) What a client wanted once, and got more than once.
CREATE VIEW audit.doubled_orders AS
SELECT reference, count(*) - 1 AS surplus
FROM exchange.orders
WHERE status <> 'rejected'
GROUP BY reference
HAVING count(*) > 1;

CREATE VIEW audit.fill_gaps AS
SELECT coalesce(max(seq), 0) - count(*) AS missing FROM exchange.trades;

CREATE VIEW audit.wrong_fills AS
SELECT order_id, quantity, filled, coalesce(traded, 0) AS traded
FROM exchange.orders
     FULL JOIN (
         SELECT order_id, sum(quantity) AS traded FROM exchange.trades GROUP BY order_id
     ) AS trade USING (order_id)
WHERE filled IS DISTINCT FROM coalesce(traded, 0) OR filled > quantity;

-- (3) Nothing is made and nothing vanishes.
CREATE VIEW audit.conservation AS
WITH held AS (
    SELECT asset, amount AS deposits, 0::bigint AS exchange, 0::bigint AS custodian,
           0::bigint AS in_transit
    FROM exchange.deposits
    UNION ALL SELECT asset, 0, amount, 0, 0 FROM exchange.balances
    UNION ALL SELECT asset, 0, 0, amount, 0 FROM custodian.balances
    UNION ALL
    SELECT left_.asset, 0, 0, 0, left_.amount
    FROM exchange.transfers AS left_
         LEFT JOIN custodian.settlements AS arrived
              ON arrived.transfer_id = left_.transfer_id AND arrived.state = 'settled'
    WHERE arrived.id IS NULL
)
SELECT asset, sum(deposits)::bigint AS deposits, sum(exchange)::bigint AS exchange,
       sum(custodian)::bigint AS custodian, sum(in_transit)::bigint AS in_transit,
       sum(exchange + custodian + in_transit - deposits)::bigint AS difference
FROM held
GROUP BY asset;

-- (4) What the engine holds against what was executed for it, as far as it has read.
CREATE VIEW audit.position_differences AS
WITH executed AS (
    SELECT symbol, sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity
    FROM exchange.trades
    WHERE account = 'engine' AND seq <= (SELECT coalesce(max(seq), 0) FROM trading.fills)
    GROUP BY symbol
)
SELECT symbol, coalesce(executed.quantity, 0)::bigint AS executed,
       coalesce(held.quantity, 0) AS held,
       (coalesce(held.quantity, 0) - coalesce(executed.quantity, 0))::bigint AS difference
FROM executed FULL JOIN trading.positions AS held USING (symbol);

-- (5) Settled more than once, and not settled in two minutes.
CREATE VIEW audit.settled_twice AS
SELECT external_id, count(*) - 1 AS surplus
FROM custodian.settlements
GROUP BY external_id
HAVING count(*) > 1;

CREATE VIEW audit.unsettled AS
SELECT fill.seq, fill.applied_at
FROM trading.fills AS fill
     LEFT JOIN custodian.settlements AS settlement
          ON settlement.external_id = 'trade-' || fill.seq AND settlement.state = 'settled'
WHERE fill.applied_at < clock_timestamp() - interval '120 s' AND settlement.id IS NULL;

-- (6) What deserves an alert at this moment, by the auditor's own eyes.
CREATE VIEW audit.breaching AS
SELECT 'stale_price' AS kind, symbol AS subject
FROM market_data.ticks
GROUP BY symbol
HAVING max(at) < clock_timestamp() - interval '6 s'
UNION ALL
SELECT 'unsettled_exposure', 'engine'
WHERE EXISTS (
    SELECT FROM custodian.settlements
    WHERE state = 'pending' AND created_at < clock_timestamp() - interval '12 s'
);

CREATE VIEW audit.late_alerts AS
SELECT breach.kind, breach.subject, breach.since, breach.until
FROM audit.breaches AS breach
WHERE coalesce(breach.until, clock_timestamp()) > breach.since + interval '15 s'
  AND NOT EXISTS (
      SELECT FROM risk.alerts AS alert
      WHERE (alert.kind, alert.subject) = (breach.kind, breach.subject)
        AND alert.raised_at < breach.since + interval '15 s'
        AND coalesce(alert.cleared_at, 'infinity') > breach.since
  )
UNION ALL
SELECT alert.kind, alert.subject, alert.raised_at, alert.cleared_at
FROM risk.alerts AS alert
     JOIN audit.breaches AS breach USING (kind, subject)
WHERE alert.cleared_at IS NULL
  AND breach.until > alert.raised_at - interval '15 s'
  AND breach.until < clock_timestamp() - interval '120 s'
  AND NOT EXISTS (
      SELECT FROM audit.breaches AS other
      WHERE (other.kind, other.subject) = (alert.kind, alert.subject) AND other.until IS NULL
  );

-- (7) Traded on a price that was older than five seconds.
CREATE VIEW audit.stale_trades AS
SELECT seq, client_order_id, symbol, price_at, executed_at
FROM exchange.trades
WHERE executed_at > price_at + interval '5 s';

CREATE VIEW audit.summary AS
SELECT (SELECT count(*) FROM audit.lost_orders) AS lost_orders,
       (SELECT count(*) FROM audit.engine_orders_lost) AS engine_orders_lost,
       (SELECT coalesce(sum(surplus), 0)::bigint FROM audit.doubled_orders) AS doubled_orders,
       (SELECT missing FROM audit.fill_gaps) AS fill_gaps,
       (SELECT count(*) FROM audit.wrong_fills) AS wrong_fills,
       (SELECT coalesce(sum(abs(difference)), 0)::bigint FROM audit.conservation)
           AS conservation_difference,
       (SELECT coalesce(sum(abs(difference)), 0)::bigint FROM audit.position_differences)
           AS position_difference,
       (SELECT coalesce(sum(surplus), 0)::bigint FROM audit.settled_twice) AS settled_twice,
       (SELECT count(*) FROM audit.unsettled) AS unsettled,
       (SELECT count(*) FROM audit.late_alerts) AS late_alerts,
       (SELECT count(*) FROM audit.stale_trades) AS stale_trades;

-- The auditor reads everything and writes only its own notes.
DO $$ BEGIN
    CREATE ROLE trading_auditor NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
GRANT pg_read_all_data TO trading_auditor;
GRANT USAGE ON SCHEMA audit TO trading_auditor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA audit TO trading_auditor;

CREATE VIEW audit.schema_stands AS SELECT true AS stands;
