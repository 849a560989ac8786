-- What SQLite says in its own way: one row at a time, since a call costs microseconds here, inside one transaction that
-- holds the file's write lock. :now is the clock read at its start, :place the place in line drawn from the counter.

-- name: installed
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'goscheds_schema'

-- name: ready
SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = :queue LIMIT 1

-- name: reserve
-- Draws :count places and gives the last one.
UPDATE goscheds_namespaces SET seq = seq + :count WHERE ns = :ns RETURNING seq, {now}

-- name: push
INSERT INTO goscheds_jobs
    (ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at)
VALUES
    (:ns, :id, :name, :queue, :payload, :meta, :due, :priority, :timeout, :unique_key,
     CASE WHEN :due <= :now THEN 1 ELSE 0 END, :place, :now, :now)
ON CONFLICT DO NOTHING
RETURNING 1

-- name: holder
SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = :id
UNION ALL
SELECT id FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = :unique_key

-- name: settle
UPDATE goscheds_jobs SET
    state = CASE WHEN :target > 2 THEN :target WHEN cancelling = 1 THEN 5
                 WHEN :target = 1 OR :due <= :now THEN 1 ELSE 0 END,
    execute_at = CASE WHEN :target = 0 AND cancelling = 0 THEN :due ELSE execute_at END,
    meta = CASE WHEN length(:meta) > 0 THEN :meta ELSE meta END,
    seq = :place, changed_at = :now, worker = '', deadline = 0, cancelling = 0, result = :result
WHERE ns = :ns AND id = :id AND fence = :fence AND state = 2 AND worker = :worker
RETURNING 1

-- name: forget
DELETE FROM goscheds_jobs WHERE ns = :ns AND id = :id AND fence = :fence AND state = 2 AND worker = :worker RETURNING 1

-- name: settled
SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND id = :id AND fence = :fence AND fence > 0 AND state <> 2

-- name: lead
UPDATE goscheds_namespaces SET duty = :worker, duty_until = {now} + :lease
WHERE ns = :ns AND (duty IN ('', :worker) OR duty_until <= {now})
RETURNING 1

-- name: promote
WITH due AS MATERIALIZED (
    SELECT id, execute_at, seq FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= {now} ORDER BY execute_at, seq LIMIT :limit
), placed AS MATERIALIZED (SELECT id AS picked, row_number() OVER (ORDER BY execute_at, seq) AS nth FROM due)
UPDATE goscheds_jobs SET state = 1, seq = :place - :limit + nth, changed_at = {now}
FROM placed WHERE ns = :ns AND id = picked
RETURNING queue
