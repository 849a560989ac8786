-- What Postgres says in its own way: whole batches at once, as arrays. :channel is where wake-ups are sent, '' for none;
-- a wake-up's payload is the queue that has a ready job, or '' when the earliest scheduled job is another one now. {earliest}
-- is when that one was due before.

-- name: lock_schema
-- Any number will do that no one else locks; this one is "goscheds" in ASCII.
SELECT pg_advisory_xact_lock(7453015856082478195)::text

-- name: hurry
-- For the rest of the upgrade: who waits for a table that a backup reads makes everybody wait who comes after.
SELECT set_config('lock_timeout', '2s', true)

-- name: installed
SELECT 1 WHERE to_regclass('goscheds_schema') IS NOT NULL

-- name: announce
SELECT pg_notify(:channel, topic)::text FROM unnest(:topics::text[]) AS t (topic) WHERE :channel <> ''

-- name: push
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
job AS MATERIALIZED (
    SELECT t.*, moment, CASE WHEN t.execute_at = 0 THEN moment ELSE t.execute_at END + t.delay AS due
    FROM clock, unnest(
        :id::text[], :name::text[], :queue::text[], :payload::bytea[], :meta::bytea[], :execute_at::bigint[],
        :delay::bigint[], :priority::bigint[], :timeout::bigint[], :unique_key::text[]
    ) WITH ORDINALITY AS t (id, name, queue, payload, meta, execute_at, delay, priority, timeout, unique_key, nth)
), stored AS (
    INSERT INTO goscheds_jobs (
        ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at
    )
    SELECT :ns, id, name, queue, payload, meta, due, priority, timeout, unique_key,
        CASE WHEN due <= moment THEN 1 ELSE 0 END, nextval('goscheds_seq'), moment, moment
    FROM job ORDER BY nth
    ON CONFLICT DO NOTHING
    RETURNING queue, state, execute_at
), topics AS (
    SELECT DISTINCT queue AS topic FROM stored WHERE state = 1
    UNION ALL
    SELECT '' FROM stored WHERE state = 0
    HAVING min(execute_at)
        < coalesce({earliest}, 9223372036854775807)
)
SELECT pg_notify(:channel, topic)::text FROM topics WHERE :channel <> ''

-- name: holders
-- Which job stands for each that was pushed: itself, or the holder of its key. Neither, if the holder is gone again.
SELECT pushed, coalesce(
    (SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = pushed),
    (SELECT id FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = key)
)
FROM unnest(:id::text[], :unique_key::text[]) AS t (pushed, key)

-- name: settle
-- Rows are locked in the order of their ids, so that two settles never wait for each other; places in line are drawn in
-- the order of the batch, backwards for those that go to the front. Gives the accepted, and whether it was just now.
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
standing AS MATERIALIZED (
    SELECT t.*, moment, j.was, j.cancelling,
        CASE WHEN t.execute_at = 0 THEN moment ELSE t.execute_at END + t.delay AS due
    FROM clock CROSS JOIN (
        SELECT * FROM unnest(
            :id::text[], :fence::bigint[], :target::bigint[], :meta::bytea[], :execute_at::bigint[], :delay::bigint[],
            :result::bytea[], :keep::boolean[]
        ) WITH ORDINALITY AS t (picked, fence, target, meta, execute_at, delay, result, keep, nth) ORDER BY picked
    ) AS t CROSS JOIN LATERAL (
        SELECT state AS was, cancelling FROM goscheds_jobs
        WHERE ns = :ns AND id = t.picked AND fence = t.fence AND fence > 0 AND (state <> 2 OR worker = :worker)
        FOR UPDATE
    ) AS j
), placed AS MATERIALIZED (
    SELECT picked, target, meta, due, moment, result, keep,
        CASE WHEN target = 1 THEN -nextval('goscheds_seq') WHEN target = 0 THEN nextval('goscheds_seq') ELSE 0 END
            AS place,
        CASE WHEN target > 2 THEN target WHEN cancelling = 1 THEN 5 WHEN target = 1 OR due <= moment THEN 1 ELSE 0 END
            AS becomes
    FROM standing WHERE was = 2 ORDER BY CASE target WHEN 1 THEN -nth ELSE nth END
), kept AS (
    UPDATE goscheds_jobs AS j SET
        state = becomes, execute_at = CASE WHEN target = 0 AND becomes < 2 THEN due ELSE j.execute_at END,
        meta = CASE WHEN length(placed.meta) > 0 THEN placed.meta ELSE j.meta END,
        seq = place, changed_at = moment, worker = '', deadline = 0, cancelling = 0, result = placed.result
    FROM placed WHERE keep AND j.ns = :ns AND j.id = picked
    RETURNING j.queue, j.state, j.execute_at
), forgotten AS (
    DELETE FROM goscheds_jobs AS j USING placed WHERE NOT keep AND j.ns = :ns AND j.id = picked
), topics AS (
    SELECT DISTINCT queue AS topic FROM kept WHERE state = 1
    UNION ALL
    SELECT '' FROM kept WHERE state = 0
    HAVING min(execute_at)
        < coalesce({earliest}, 9223372036854775807)
)
SELECT picked, fence, was = 2 FROM standing
UNION ALL
SELECT pg_notify(:channel, topic)::text, 0, false FROM topics WHERE :channel <> ''

-- name: promote
-- A row ('', 0) says that the worker has the duties.
WITH lead AS (
    UPDATE goscheds_namespaces SET duty = :worker, duty_until = {now} + :lease
    WHERE ns = :ns AND (duty IN ('', :worker) OR duty_until <= {now})
    RETURNING ns
), due AS MATERIALIZED (
    SELECT id AS picked, execute_at, seq FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= (SELECT {now}) AND EXISTS (SELECT 1 FROM lead)
    ORDER BY execute_at, seq LIMIT :limit {lock}
), placed AS MATERIALIZED (
    SELECT picked, nextval('goscheds_seq') AS place FROM due ORDER BY execute_at, seq
), moved AS (
    UPDATE goscheds_jobs SET state = 1, seq = place, changed_at = {now}
    FROM placed WHERE ns = :ns AND id = picked
    RETURNING queue
)
SELECT '', 0 FROM lead
UNION ALL
SELECT queue, count(*) FROM moved GROUP BY queue
UNION ALL
SELECT pg_notify(:channel, queue)::text, 0 FROM (SELECT DISTINCT queue FROM moved) AS queues WHERE :channel <> ''

-- name: lock
SELECT 1 FROM (SELECT picked FROM unnest(:ids::text[]) AS t (picked) ORDER BY picked) AS t
CROSS JOIN LATERAL (SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND id = picked FOR UPDATE) AS j

-- name: work
-- Of the whole server, for benchmarks: transactions, bytes of WAL, row versions left behind.
SELECT xact_commit + xact_rollback, (pg_current_wal_lsn() - '0/0')::bigint,
    (SELECT sum(n_tup_upd + n_tup_del) FROM pg_stat_user_tables)::bigint
FROM pg_stat_database WHERE datname = current_database()
