-- What SQLite says in its own way: one row at a time, since a call costs microseconds here, inside one transaction that
-- holds the file's write lock. :place is the place in line drawn from the counter. What is done for each row of a batch
-- has parameters with places instead of names, since the driver takes 0.1 µs to look one up. What was read from a row and
-- leads back to it is cast, as text that is no UTF-8 comes as bytes.

-- name: {hold}

-- name: {lock}

-- name: {place}
:place

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

-- name: last
SELECT seq FROM goscheds_namespaces WHERE ns = :ns

-- name: claim
-- One statement, and so a transaction by itself. By rowid, which spares a look into the index of ids for each job.
UPDATE goscheds_jobs SET
    state = 2, fence = {fence}, worker = :worker, changed_at = {now},
    deadline = CASE WHEN timeout BETWEEN 1 AND {most} THEN {now} + timeout ELSE 0 END
WHERE rowid IN (
    SELECT rowid FROM goscheds_jobs
    WHERE ns = :ns AND state = 1 AND queue = :queue
      AND EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > {now})
      AND NOT EXISTS (SELECT 1 FROM goscheds_paused WHERE ns = :ns AND queue = :queue)
    ORDER BY priority DESC, seq LIMIT :limit
)
RETURNING {claim}

-- name: push
INSERT INTO goscheds_jobs
    (ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: holder
-- Asked after the whole batch: a row of this id that is further back in line came later in it, when the key was taken.
SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = :id AND seq <= :place
UNION ALL
SELECT id FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = :unique_key

-- name: settle
UPDATE goscheds_jobs SET
    state = ?, meta = coalesce(?, meta), changed_at = ?, result = ?, worker = '', deadline = 0, cancelling = 0
WHERE ns = ? AND id = CAST(? AS TEXT) AND fence = ? AND state = 2 AND worker = ?

-- name: give_back
UPDATE goscheds_jobs SET
    state = CASE cancelling WHEN 1 THEN 5 ELSE ? END,
    execute_at = CASE cancelling WHEN 1 THEN execute_at ELSE coalesce(?, execute_at) END,
    seq = ?, meta = coalesce(?, meta), changed_at = ?, result = ?, worker = '', deadline = 0, cancelling = 0
WHERE ns = ? AND id = CAST(? AS TEXT) AND fence = ? AND state = 2 AND worker = ?

-- name: forget
DELETE FROM goscheds_jobs WHERE ns = ? AND id = CAST(? AS TEXT) AND fence = ? AND state = 2 AND worker = ?

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
