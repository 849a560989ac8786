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

-- name: reserve
-- Draws :count places and gives the last one.
UPDATE goscheds_namespaces SET seq = seq % {most} + :count WHERE ns = :ns RETURNING seq, {now}

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
-- Asked after the whole batch: a row of this id that is further back in line came later in it, when the key was taken; or
-- somebody has written a place there, or set the counter back.
SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = :id AND seq <= :place
UNION ALL
SELECT id FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = :unique_key
UNION ALL
SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = :id

-- name: {claimed}
-- Those of the rows, an id and a fence each, that the worker holds. CROSS, so that they are looked up by their ids.
SELECT held.rowid FROM (VALUES {rows}) CROSS JOIN goscheds_jobs AS held
ON held.ns = ? AND held.id = CAST(column1 AS TEXT) AND held.fence = column2 AND held.state = 2
  AND held.worker = (SELECT number FROM goscheds_workers WHERE ns = ? AND id = ?)

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

-- name: due
SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND state = 0 AND execute_at <= {now} LIMIT 1

-- name: promote
WITH due AS MATERIALIZED (
    SELECT id, execute_at, seq FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= {now} ORDER BY execute_at, seq LIMIT :limit
), placed AS MATERIALIZED (SELECT id AS picked, row_number() OVER (ORDER BY execute_at, seq) AS nth FROM due)
UPDATE goscheds_jobs SET state = 1, seq = :place - :limit + nth, changed_at = {now}
FROM placed WHERE ns = :ns AND id = picked
RETURNING queue
