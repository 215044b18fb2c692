-- Amounts are nano-dollars, times are milliseconds since 1970.

-- What was spent, summed for each scope that a cap can name: `day:2026-11-25`, `session:ID`, ...
CREATE TABLE IF NOT EXISTS totals (
    scope TEXT PRIMARY KEY,
    spent INTEGER NOT NULL
) WITHOUT ROWID;

-- What calls under way may cost at the most. A process's row goes when the process does, a job's when it expires.
CREATE TABLE IF NOT EXISTS reservations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    amount INTEGER NOT NULL,
    pid INTEGER,
    start INTEGER,
    job TEXT,
    expires INTEGER
);

CREATE TABLE IF NOT EXISTS reserved (
    scope TEXT NOT NULL,
    reservation INTEGER NOT NULL REFERENCES reservations (id),
    PRIMARY KEY (scope, reservation)
) WITHOUT ROWID;

-- One row an attempt that was sent. `cost` is null where a price is unknown.
CREATE TABLE IF NOT EXISTS receipts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    account TEXT,
    agent TEXT,
    workload TEXT,
    session TEXT,
    outcome TEXT NOT NULL,
    input INTEGER,
    cache_read INTEGER,
    cache_write INTEGER,
    output INTEGER,
    reasoning INTEGER,
    cost INTEGER,
    estimated INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS receipts_at ON receipts (at);

-- What processes tell each other: cooldowns, breakers, where key rotation stands. `seq` grows with every change, so a
-- process reads only what is new to it.
CREATE TABLE IF NOT EXISTS state (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS state_seq ON state (seq);

CREATE TABLE IF NOT EXISTS counter (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
);
INSERT OR IGNORE INTO counter (one, seq) VALUES (1, 0);

-- Tokens booked and used against limits. A correction is a further row with the difference.
CREATE TABLE IF NOT EXISTS used (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    pid INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS used_at ON used (at);
