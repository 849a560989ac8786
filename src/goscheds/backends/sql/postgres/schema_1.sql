-- The schema of version 1. Moments and durations are microseconds; a state's number stands in portable.sql. Text is
-- compared byte by byte (COLLATE "C"): the same order on every server, and faster.

-- A row for each version that the tables went through, with the oldest that code must know to use them.
CREATE TABLE goscheds_schema (version int NOT NULL, oldest int NOT NULL);
INSERT INTO goscheds_schema (version, oldest) VALUES (1, 1);

CREATE TABLE goscheds_namespaces (
    ns int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    duty_until bigint NOT NULL DEFAULT 0,
    duty text COLLATE "C" NOT NULL DEFAULT '', -- the worker that holds the duties
    name text COLLATE "C" NOT NULL UNIQUE
) WITH (fillfactor = 50);

CREATE TABLE goscheds_workers (
    expires_at bigint NOT NULL,
    ns int NOT NULL,
    id text COLLATE "C" NOT NULL,
    info bytea NOT NULL,
    PRIMARY KEY (ns, id)
) WITH (fillfactor = 50); -- a heartbeat changes no indexed column, so it stays on its page

CREATE TABLE goscheds_paused (ns int NOT NULL, queue text COLLATE "C" NOT NULL, PRIMARY KEY (ns, queue));

-- What is drawn is multiplied by a million.
CREATE SEQUENCE goscheds_seq MAXVALUE 4398046511103 CYCLE;

-- What no job of goscheds has, nobody can write. Domains, since a table's CHECK is parsed anew for each statement that writes
-- to it: a push, claim or settle of one job took a fifth longer.
CREATE DOMAIN goscheds_state AS smallint CHECK (VALUE BETWEEN 0 AND 5);
CREATE DOMAIN goscheds_count AS bigint CHECK (VALUE BETWEEN 0 AND 9007199254740992); -- what statements add to

-- Three versions of a row in the life of a job that goes well: room for them on its page, and a vacuum that comes by
-- the number of dead rows rather than by their share of a table that may be large and mostly history.
CREATE TABLE goscheds_jobs (
    seq bigint NOT NULL, -- the place in line; negative before all that were never released
    execute_at bigint NOT NULL,
    timeout goscheds_count NOT NULL,
    fence goscheds_count NOT NULL DEFAULT 0,
    deadline bigint NOT NULL DEFAULT 0, -- of an active job with a timeout
    pushed_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    ns int NOT NULL,
    state goscheds_state NOT NULL,
    priority smallint NOT NULL,
    cancelling smallint NOT NULL DEFAULT 0,
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    unique_key text COLLATE "C" NOT NULL,
    worker text COLLATE "C" NOT NULL DEFAULT '',
    payload bytea NOT NULL,
    meta bytea NOT NULL,
    result bytea NOT NULL DEFAULT '',
    -- Led by ns, it would serve a plan that reads the whole namespace for each batch, and the planner takes that one for
    -- a namespace that its statistics have not seen yet: 190 ms for a settle beside 3,000 jobs, instead of 6.
    PRIMARY KEY (id, ns)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05
);

-- One index for each live state, in the order that its statement asks for; a settled job stays in the last one alone.
CREATE INDEX goscheds_ready ON goscheds_jobs (ns, queue, priority DESC, seq) WHERE state = 1;
CREATE INDEX goscheds_due ON goscheds_jobs (ns, execute_at, seq) WHERE state = 0;
CREATE INDEX goscheds_held ON goscheds_jobs (ns, worker) WHERE state = 2;
CREATE INDEX goscheds_deadline ON goscheds_jobs (ns, deadline) WHERE state = 2 AND deadline > 0;
CREATE INDEX goscheds_cancelling ON goscheds_jobs (ns, worker) WHERE state = 2 AND cancelling = 1;
CREATE UNIQUE INDEX goscheds_unique ON goscheds_jobs (ns, unique_key) WHERE state < 3 AND unique_key <> '';
CREATE INDEX goscheds_settled ON goscheds_jobs (ns, state, changed_at, queue) WHERE state >= 3;

-- How many jobs stand where: rows of moves, of so many jobs of a queue from one state to another (-1 is none), and now and
-- then, in their place, a row for each sum. Most of what is here is new, or dead and to be vacuumed.
CREATE TABLE goscheds_tally (
    jobs bigint NOT NULL,
    ns int NOT NULL,
    was smallint NOT NULL DEFAULT -1,
    state smallint NOT NULL,
    folded boolean NOT NULL DEFAULT false,
    queue text COLLATE "C" NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1
);
