-- The schema of version 1. Moments and durations are microseconds; a state's number stands in portable.sql. What somebody
-- writes behind the library's back is of the right type (STRICT); what statements count with, they guard themselves, since
-- a CHECK can be switched off.

-- A row for each version that the tables went through, with the oldest that code must know to use them.
CREATE TABLE goscheds_schema (version INTEGER NOT NULL, oldest INTEGER NOT NULL) STRICT;
INSERT INTO goscheds_schema (version, oldest) VALUES (1, 1);

CREATE TABLE goscheds_namespaces (
    ns INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    duty TEXT NOT NULL DEFAULT '', -- the worker that holds the duties
    duty_until INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE goscheds_workers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- what a job has of its holder; never another's, whatever is deleted here
    ns INTEGER NOT NULL,
    id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    info BLOB NOT NULL,
    UNIQUE (ns, id)
) STRICT;

CREATE TABLE goscheds_paused (ns INTEGER NOT NULL, queue TEXT NOT NULL, PRIMARY KEY (ns, queue)) WITHOUT ROWID, STRICT;

CREATE TABLE goscheds_jobs (
    ns INTEGER NOT NULL,
    id TEXT NOT NULL CHECK (id <> ''),
    name TEXT NOT NULL,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    priority INTEGER NOT NULL,
    seq INTEGER NOT NULL, -- the place in line; negative before all that were never released
    execute_at INTEGER NOT NULL,
    timeout INTEGER NOT NULL CHECK (timeout BETWEEN 0 AND 9007199254740992),
    unique_key TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0 CHECK (fence BETWEEN 0 AND 9007199254740992),
    worker INTEGER NOT NULL DEFAULT 0, -- the holder's number
    deadline INTEGER NOT NULL DEFAULT 0, -- of an active job with a timeout
    cancelling INTEGER NOT NULL DEFAULT 0,
    pushed_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    payload BLOB NOT NULL,
    meta BLOB NOT NULL,
    result BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (ns, id)
) STRICT;

-- One index for each live state, in the order that its statement asks for; a settled job stays in the last one alone.
CREATE INDEX goscheds_ready ON goscheds_jobs (ns, queue, priority DESC, seq) WHERE state = 1;
CREATE INDEX goscheds_due ON goscheds_jobs (ns, execute_at, seq) WHERE state = 0;
CREATE INDEX goscheds_held ON goscheds_jobs (ns, worker, cancelling) WHERE state = 2;
CREATE INDEX goscheds_deadline ON goscheds_jobs (ns, deadline) WHERE state = 2 AND deadline > 0;
CREATE UNIQUE INDEX goscheds_unique ON goscheds_jobs (ns, unique_key) WHERE state < 3 AND unique_key <> '';
CREATE INDEX goscheds_settled ON goscheds_jobs (ns, state, changed_at, queue) WHERE state >= 3;

-- How many jobs stand where; active ones count as done, so that a settle has nothing to say of them. The last place in line
-- that was drawn is here as well, of queue '' and state -1: a push changes one page for both.
CREATE TABLE goscheds_tally (
    ns INTEGER NOT NULL, queue TEXT NOT NULL, state INTEGER NOT NULL, jobs INTEGER NOT NULL,
    PRIMARY KEY (ns, queue, state)
) WITHOUT ROWID, STRICT;
