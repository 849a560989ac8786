-- Statements that SQLite (3.37 and later) and Postgres (13 and later) both understand. A dialect's own file stands beside
-- this one, and wins where both know a name.
--
-- Parameters are written :name; :ns is the namespace's number. In braces stands what the dialect fills in:
--   {now} its clock, microseconds; {place} the next place in line; {lock} how a claim skips rows that others hold;
--   {chosen} that an id is among the `chosen`; {blank} no bytes; {claim} and {row} the columns of those values, in the
--   order of goscheds.backends.sql.rows; {badge} the column of goscheds_workers whose value a job has of its holder, {mine}
--   the caller's, {holder} the name for it, {least} what sorts before all of them;
--   {first_ended} the :scan that ended first.
-- A statement that takes a batch must not fail for one row that somebody else wrote: it counts with no number over {most}.
-- States are numbers: 0 scheduled, 1 ready, 2 active, 3 done, 4 dead, 5 cancelled. Literal, because a partial index
-- serves only a statement that says the index's own condition.

-- name: {fence}
-- One that can't be counted on is the highest there is, and a claim with that one is dead.
CASE WHEN fence BETWEEN 0 AND {most} - 1 THEN fence + 1 ELSE {most} END

-- name: {state}
-- One that somebody else wrote counts as dead.
CASE WHEN state BETWEEN 0 AND 5 THEN state ELSE 4 END

-- name: {most}
9007199254740992

-- name: now
SELECT {now}

-- name: held
SELECT {claim} FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker = {mine}

-- name: alive
SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > {now}

-- name: unlapsed
-- As alive, before a beat: it waits for whoever is about to take the worker's jobs, and learns of it.
SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > {now} {hold}

-- name: beat
INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (:ns, :worker, {now} + :lease, :info)
ON CONFLICT (ns, id) DO UPDATE SET expires_at = excluded.expires_at, info = excluded.info

-- name: cancelling
SELECT id FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND cancelling = 1 AND worker = {mine}

-- name: workers
SELECT * FROM (
    SELECT w.id, w.expires_at, w.info,
        (SELECT count(*) FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker = w.{badge}) AS held
    FROM goscheds_workers AS w WHERE w.ns = :ns
) AS known
WHERE expires_at > {now} OR held > 0

-- name: overdue
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
chosen AS MATERIALIZED (
    SELECT id FROM goscheds_jobs
    WHERE ns = :ns AND state = 2 AND deadline > 0 AND deadline <= (SELECT moment FROM clock)
    ORDER BY deadline LIMIT :limit {lock}
)
UPDATE goscheds_jobs SET fence = {fence}, worker = {mine}, changed_at = moment, deadline = 0
FROM clock WHERE ns = :ns AND id {chosen}
RETURNING {claim}

-- name: astray
-- Whether there is anything to recover, for a worker that may: most rounds end with this one look.
WITH RECURSIVE clock AS MATERIALIZED (SELECT {now} AS moment),
holder (worker) AS (
    SELECT (SELECT worker FROM goscheds_jobs WHERE ns = :ns AND state = 2 ORDER BY worker LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker FROM goscheds_jobs AS j
            WHERE j.ns = :ns AND j.state = 2 AND j.worker > holder.worker ORDER BY j.worker LIMIT 1)
    FROM holder WHERE worker IS NOT NULL
)
SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > (SELECT moment FROM clock) AND (
    EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND expires_at <= (SELECT moment FROM clock))
    OR EXISTS (SELECT 1 FROM goscheds_jobs
               WHERE ns = :ns AND state = 2 AND deadline > 0 AND deadline <= (SELECT moment FROM clock))
    OR EXISTS (SELECT 1 FROM holder WHERE worker IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM goscheds_workers WHERE ns = :ns AND {badge} = holder.worker
    ))
)

-- name: lapsed
-- Who holds jobs without a good lease. One look into the index for each holder, however many jobs it holds; and not
-- from goscheds_workers, so that a job is found even if its worker's row is gone.
WITH RECURSIVE holder (worker) AS (
    SELECT (SELECT worker FROM goscheds_jobs WHERE ns = :ns AND state = 2 ORDER BY worker LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker FROM goscheds_jobs AS j
            WHERE j.ns = :ns AND j.state = 2 AND j.worker > holder.worker ORDER BY j.worker LIMIT 1)
    FROM holder WHERE worker IS NOT NULL
)
SELECT worker FROM holder
WHERE worker IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND {badge} = worker AND expires_at > {now})

-- name: condemn
-- Locks a lapsed worker's row, so that it can't beat until its jobs are taken; nothing, if it has just beaten. A look
-- alone won't do: what is read is older than the clock, and the beat in between is not seen. The row is written, if
-- only as it was: who waits for it then looks again.
INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (:ns, :holder, 0, {blank})
ON CONFLICT (ns, id) DO UPDATE SET expires_at = goscheds_workers.expires_at WHERE goscheds_workers.expires_at <= {now}
RETURNING id

-- name: orphans
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
chosen AS MATERIALIZED (
    SELECT id FROM goscheds_jobs
    WHERE ns = :ns AND state = 2 AND worker = :holder
    LIMIT :limit {lock}
)
UPDATE goscheds_jobs SET fence = {fence}, worker = {mine}, changed_at = moment, deadline = 0
FROM clock WHERE ns = :ns AND id {chosen}
RETURNING {claim}

-- name: bury
DELETE FROM goscheds_workers
WHERE ns = :ns AND expires_at <= {now}
  AND NOT EXISTS (SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker = goscheds_workers.{badge})

-- name: resign
UPDATE goscheds_namespaces SET duty = '', duty_until = 0 WHERE ns = :ns AND duty = :worker

-- name: outlook
SELECT duty, duty_until,
    coalesce(
        (SELECT execute_at FROM goscheds_jobs WHERE ns = :ns AND state = 0 ORDER BY execute_at LIMIT 1),
        9223372036854775807
    ), {now}
FROM goscheds_namespaces WHERE ns = :ns

-- name: {settled}
-- A batch ended at one moment, and is in the order of ids.
{page} (
    SELECT * FROM (
        SELECT *, changed_at AS p0, 0 AS p1, 0 AS p2 FROM goscheds_jobs
        WHERE ns = :ns AND state >= 3 AND state = :state AND changed_at >= :p0 AND (changed_at, id) > (:p0, CAST(:id AS text))
        {first_ended}
    ) AS ended
    ORDER BY changed_at, id LIMIT :scan
) {page_end}

-- name: {page}
-- Jobs are looked at in the order of an index, so that a page costs what it shows: no more than :scan of them, and a page
-- without a job may not be the last. What was asked for is given, and the last that was looked at; where each stands in
-- the order is p0, p1, p2 and id.
SELECT {row}, asked, nth, p0, p1, p2 FROM (
    SELECT *, row_number() OVER () AS nth, (
        id <> '' AND (:queue = '' OR queue = :queue) AND (:name = '' OR name = :name) AND (:states >> {state}) & 1 = 1
    ) AS asked
    FROM

-- name: {page_end}
AS looked_at) AS counted
WHERE asked OR nth = :scan ORDER BY nth LIMIT :most + 1

-- name: find
{page} (
    SELECT *, 0 AS p0, 0 AS p1, 0 AS p2 FROM goscheds_jobs WHERE ns = :ns AND id > CAST(:id AS text) ORDER BY id LIMIT :scan
) {page_end}

-- name: find_scheduled
{page} (
    SELECT *, execute_at AS p0, seq AS p1, 0 AS p2 FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND (execute_at, seq) > (:p0, :p1)
    ORDER BY execute_at, seq LIMIT :scan
) {page_end}

-- name: find_ready
-- In the order of claims, queue by queue. Said in three parts, as priorities go down and all else goes up.
{page} (
    SELECT *, queue AS p0, priority AS p1, seq AS p2 FROM (
        SELECT * FROM (
            SELECT * FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = CAST(:p0 AS text) AND priority = :p1 AND seq > :p2
            ORDER BY seq LIMIT :scan
        ) AS same_priority
        UNION ALL
        SELECT * FROM (
            SELECT * FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = CAST(:p0 AS text) AND priority < :p1
            ORDER BY priority DESC, seq LIMIT :scan
        ) AS same_queue
        UNION ALL
        SELECT * FROM (
            SELECT * FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue > CAST(:p0 AS text) AND :queue = ''
            ORDER BY queue, priority DESC, seq LIMIT :scan
        ) AS other_queues
    ) AS waiting
    ORDER BY queue, priority DESC, seq LIMIT :scan
) {page_end}

-- name: find_active
-- Few, and sorted for each page.
{page} (
    WITH held AS MATERIALIZED (SELECT * FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker >= {least})
    SELECT *, 0 AS p0, 0 AS p1, 0 AS p2 FROM held WHERE id > CAST(:id AS text) ORDER BY id LIMIT :scan
) {page_end}

-- name: find_done
{settled}

-- name: find_dead
{settled}

-- name: find_cancelled
{settled}

-- name: find_ids
{page} (
    SELECT *, 0 AS p0, 0 AS p1, 0 AS p2 FROM goscheds_jobs WHERE ns = :ns AND id IN ({ids})
) {page_end}

-- name: paused
SELECT queue FROM goscheds_paused WHERE ns = :ns

-- name: pause
INSERT INTO goscheds_paused (ns, queue) VALUES (:ns, :queue) ON CONFLICT (ns, queue) DO NOTHING

-- name: resume
DELETE FROM goscheds_paused WHERE ns = :ns AND queue = :queue

-- name: state
SELECT {state}, queue FROM goscheds_jobs WHERE ns = :ns AND id = CAST(:id AS text)

-- name: cancel
UPDATE goscheds_jobs SET
    cancelling = CASE WHEN state = 2 THEN 1 ELSE 0 END,
    changed_at = CASE WHEN state = 2 THEN changed_at ELSE {now} END,
    state = CASE WHEN state = 2 THEN 2 ELSE 5 END
WHERE ns = :ns AND id = :id AND state < 3
RETURNING state, queue

-- name: reschedule
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
aim AS MATERIALIZED (
    SELECT moment, CASE WHEN :execute_at = 0 THEN moment ELSE :execute_at END + :delay AS due FROM clock
)
UPDATE goscheds_jobs SET
    state = CASE WHEN due <= moment THEN 1 ELSE 0 END, execute_at = due, seq = {place}, changed_at = moment
FROM aim WHERE ns = :ns AND id = :id AND state < 2
RETURNING state, queue

-- name: retry
WITH clock AS MATERIALIZED (SELECT {now} AS moment)
UPDATE goscheds_jobs SET
    state = 1, execute_at = moment, seq = {place}, changed_at = moment, result = {blank},
    meta = CASE WHEN length(:meta) > 0 THEN :meta ELSE meta END
FROM clock WHERE ns = :ns AND id = :id AND state NOT IN (1, 2)
  AND NOT EXISTS (SELECT 1 FROM goscheds_jobs AS other
                  WHERE other.ns = :ns AND other.state < 3 AND other.unique_key <> ''
                    AND other.unique_key = goscheds_jobs.unique_key AND other.id <> :id)
RETURNING state, queue

-- name: purge
-- The conditions stand twice, as a job may have been retried since it was chosen; the second time so that no index fits.
WITH chosen AS MATERIALIZED (
    SELECT id FROM goscheds_jobs
    WHERE ns = :ns AND state >= 3 AND state = :state AND changed_at < :before AND (:queue = '' OR queue = :queue)
    ORDER BY changed_at LIMIT :limit
)
DELETE FROM goscheds_jobs
WHERE ns = :ns AND id {chosen} AND state + 0 = :state AND changed_at + 0 < :before
RETURNING queue

-- name: schema
SELECT version, oldest FROM goscheds_schema ORDER BY version DESC LIMIT 1

-- name: namespace
SELECT ns FROM goscheds_namespaces WHERE name = :name

-- name: add_namespace
INSERT INTO goscheds_namespaces (name) VALUES (:name) RETURNING ns
