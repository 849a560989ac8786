-- What SQLite says in its own way, inside one transaction that holds the file's write lock. :place is the place in line
-- drawn from the counter. What takes a batch has it in {rows}, one statement for up to 128 of them, since to bind and run one
-- costs the driver more than its row; its parameters have places, first the rows' and then the others. What was read from a
-- row and leads back to it is cast, as text that is no UTF-8 comes as bytes.

-- name: {badge}
number

-- name: {mine}
(SELECT number FROM goscheds_workers WHERE ns = :ns AND id = :worker)

-- name: {holder}
coalesce((SELECT w.id FROM goscheds_workers AS w WHERE w.number = worker), '')

-- name: {least}
-9223372036854775808

-- name: {hold}

-- name: {lock}

-- name: {place}
:place

-- name: {first_ended}
ORDER BY changed_at, id LIMIT :scan

-- name: {blank}
x''

-- name: {chosen}
IN (SELECT id FROM chosen)

-- name: installed
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'goscheds_schema'

-- name: ready
SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = :queue LIMIT 1

-- name: last
-- The last place that was drawn. What draws some tells the tally; to have that return them takes three times as long.
SELECT {last_place}, {now}

-- name: {last_place}
coalesce((SELECT jobs % {most} FROM goscheds_tally WHERE ns = :ns AND queue = '' AND state = -1), 0)

-- name: {told}
ON CONFLICT DO UPDATE SET jobs = jobs % {most} + excluded.jobs

-- name: tell
INSERT INTO goscheds_tally (ns, queue, state, jobs)
SELECT column1, CAST(column2 AS TEXT), CASE column3 WHEN 2 THEN 3 ELSE column3 END, column4
FROM (VALUES {rows}) WHERE true {told}

-- name: tell_taken
INSERT INTO goscheds_tally (ns, queue, state, jobs) VALUES (:ns, :queue, 1, -:jobs), (:ns, :queue, 3, :jobs) {told}

-- name: tidy
-- What queues have left that are no more.
DELETE FROM goscheds_tally WHERE jobs = 0 AND state >= 0

-- name: weigh
-- Adds where jobs stand, before they change as -1 each and afterwards as 1.
WITH picked (id) AS (VALUES {rows})
INSERT INTO goscheds_tally (jobs, ns, queue, state)
SELECT ? * count(*), ns, queue, CASE {state} WHEN 2 THEN 3 ELSE {state} END AS counted FROM goscheds_jobs
WHERE ns = ? AND id IN (SELECT CAST(id AS TEXT) FROM picked) GROUP BY queue, counted {told}

-- name: counts
-- What the tally has as done is active in part. Those are few, and are counted; worker >= {least} leads to their index.
WITH held AS (
    SELECT queue, count(*) AS jobs FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker >= {least} GROUP BY queue
)
SELECT queue, state, sum(jobs) FROM (
    SELECT queue, state, jobs % {most} AS jobs FROM goscheds_tally WHERE ns = :ns AND state BETWEEN 0 AND 5
    UNION ALL SELECT queue, 3, -jobs FROM held
    UNION ALL SELECT queue, 2, jobs FROM held
) AS told
GROUP BY queue, state HAVING sum(jobs) > 0

-- name: erase
DELETE FROM goscheds_tally WHERE ns = :ns AND state >= 0;
DELETE FROM goscheds_jobs WHERE ns = :ns;
DELETE FROM goscheds_workers WHERE ns = :ns;
DELETE FROM goscheds_paused WHERE ns = :ns;
UPDATE goscheds_namespaces SET duty = '', duty_until = 0 WHERE ns = :ns

-- name: line
-- The first of the line as they are once they are taken, for a worker that may.
SELECT {taken} FROM goscheds_jobs
WHERE ns = :ns AND state = 1 AND queue = :queue
  AND EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > {now})
  AND NOT EXISTS (SELECT 1 FROM goscheds_paused WHERE ns = :ns AND queue = :queue)
ORDER BY priority DESC, seq LIMIT :limit

-- name: take
-- The same again in the same transaction: to have an UPDATE return them costs half as much again. By rowid, which spares
-- a look into the index of ids for each job.
UPDATE goscheds_jobs SET
    state = 2, fence = {fence}, worker = {mine}, changed_at = :now,
    deadline = CASE WHEN timeout BETWEEN 1 AND {most} THEN :now + timeout ELSE 0 END
WHERE rowid IN (
    SELECT rowid FROM goscheds_jobs
    WHERE ns = :ns AND state = 1 AND queue = :queue
    ORDER BY priority DESC, seq LIMIT :limit
)

-- name: push
INSERT INTO goscheds_jobs
    (ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at)
VALUES {rows}
ON CONFLICT DO NOTHING

-- name: holder
-- And whether it is this job, stored just now. Asked after the whole batch: a row of this id that is further back in line came later in it, when the key was taken; or
-- somebody has written a place there, or set the counter back.
SELECT id, seq = :place FROM goscheds_jobs WHERE ns = :ns AND id = :id AND seq <= :place
UNION ALL
SELECT id, 0 FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = :unique_key
UNION ALL
SELECT id, 0 FROM goscheds_jobs WHERE ns = :ns AND id = :id

-- name: {claimed}
-- Those of the rows, an id and a fence each, that the worker holds. CROSS, so that they are looked up by their ids.
SELECT held.rowid FROM (VALUES {rows}) CROSS JOIN goscheds_jobs AS held
ON held.ns = ? AND held.id = CAST(column1 AS TEXT) AND held.fence = column2 AND held.state = 2
  AND held.worker = (SELECT number FROM goscheds_workers WHERE ns = ? AND id = ?)

-- name: holds
SELECT 1 FROM goscheds_jobs
WHERE ns = :ns AND id = CAST(:id AS TEXT) AND fence = :fence AND +state = 2 AND +worker = {mine}

-- name: finish
-- Done, with nothing to tell of it: most of them.
UPDATE goscheds_jobs SET state = 3, changed_at = {now}, result = x'', worker = 0, deadline = 0, cancelling = 0
WHERE rowid IN ({claimed})

-- name: forget
DELETE FROM goscheds_jobs WHERE rowid IN ({claimed})

-- name: settle
-- After id and fence come their state, moment and place in line if they go back to it, account and result.
UPDATE goscheds_jobs SET
    state = CASE WHEN cancelling = 1 AND column3 < 2 THEN 5 ELSE column3 END,
    execute_at = CASE WHEN cancelling = 1 OR column4 IS NULL THEN execute_at ELSE column4 END,
    seq = coalesce(column5, seq), meta = coalesce(column6, meta), changed_at = {now}, result = column7,
    worker = 0, deadline = 0, cancelling = 0
FROM (VALUES {rows})
WHERE ns = ? AND id = CAST(column1 AS TEXT) AND fence = column2 AND +state = 2
  AND +worker = (SELECT number FROM goscheds_workers WHERE ns = ? AND id = ?)

-- name: condemn
-- Nobody beats while the transaction holds the file: who had lapsed has still.
SELECT 1

-- name: settled
SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND id = CAST(:id AS TEXT) AND fence = :fence AND fence > 0 AND state <> 2

-- name: lead
UPDATE goscheds_namespaces SET duty = :worker, duty_until = {now} + :lease
WHERE ns = :ns AND (duty IN ('', :worker) OR duty_until NOT BETWEEN {now} + 1 AND {now} + :lease)
RETURNING 1

-- name: promote
WITH due AS MATERIALIZED (
    SELECT id, execute_at, seq FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= {now} ORDER BY execute_at, seq LIMIT :limit
), placed AS MATERIALIZED (SELECT id AS picked, row_number() OVER (ORDER BY execute_at, seq) AS nth FROM due)
UPDATE goscheds_jobs SET state = 1, seq = {last_place} + nth, changed_at = {now}
FROM placed WHERE ns = :ns AND id = picked
RETURNING queue
