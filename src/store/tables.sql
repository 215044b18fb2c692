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
