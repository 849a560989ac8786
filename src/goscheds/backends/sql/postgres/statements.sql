-- What Postgres says in its own way: whole batches at once, as arrays. A topic is the queue that has a ready job, or ''
-- when the earliest scheduled job is another one now; {earliest} is when that one was due before. {ring} tells the process
-- that is on call for a topic, if there is one: it holds an exclusive lock on the topic's {key}, and listens to the channel
-- of that name. Who finds nobody on call keeps a shared lock to its end, so that nobody is until the jobs can be seen.
-- :channel is where everybody listens, '' if wake-ups are off.
--
-- What moves jobs says so in goscheds_tally, in the same statement: a row for each queue and move, so that nobody waits
-- for anybody. {fold} makes few rows of many. A job that is active counts as ready there: a claim has nothing to say.

-- name: {ring}
-- Not for more than some topics of a batch: the server has room for thousands of locks, and for no more.
CASE
    WHEN :channel = '' OR (nth <= 20 AND pg_try_advisory_xact_lock_shared({key})) THEN ''
    ELSE pg_notify('goscheds.' || {key}, topic)::text
END

-- name: {key}
hashtextextended(topic, 'goscheds_jobs'::regclass::oid::bigint << 20 | :ns)

-- name: {now}
(extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: {hold}
FOR NO KEY UPDATE

-- name: {lock}
FOR NO KEY UPDATE SKIP LOCKED

-- name: {place}
-- The first of a million places: a batch draws once, as each number drawn takes 5 µs, half of what a push in bulk takes.
(nextval('goscheds_seq') << 20)

-- name: {blank}
''::bytea

-- name: {badge}
id

-- name: {mine}
:worker

-- name: {holder}
worker

-- name: {least}
''

-- name: {chosen}
= ANY (ARRAY(SELECT id FROM chosen))

-- name: {earliest}
-- Of those to come: who has the duties looks for the others already.
coalesce(
    (SELECT execute_at FROM goscheds_jobs
     WHERE ns = :ns AND state = 0 AND execute_at > (SELECT {now}) ORDER BY execute_at LIMIT 1),
    9223372036854775807
)

-- name: {first_ended}
-- In the index's own order: to sort by ids as well, it would read all, as long as it has no statistics.
ORDER BY changed_at FETCH FIRST (:scan) ROWS WITH TIES

-- name: {tally}
SELECT queue, side AS state, sign * jobs AS jobs
FROM goscheds_tally CROSS JOIN LATERAL (VALUES (state, 1), (was, -1)) AS sides (side, sign) WHERE ns = :ns

-- name: {fold}
-- For all namespaces. One at a time, and whoever comes second leaves it to the first; each row is deleted once and told
-- again in the sum, or neither. Not all at once, should there be very many.
folded AS (
    DELETE FROM goscheds_tally
    WHERE (SELECT true FROM goscheds_tally WHERE NOT folded LIMIT 1 OFFSET 1000)
      AND (SELECT pg_try_advisory_xact_lock({tally_key}))
      AND ctid = ANY (ARRAY(SELECT ctid FROM goscheds_tally LIMIT 100000))
    RETURNING *
), sums AS (
    INSERT INTO goscheds_tally (ns, queue, state, jobs, folded)
    SELECT ns, queue, side, greatest(-{most}, least({most}, sum(sign * jobs))), true
    FROM folded CROSS JOIN LATERAL (VALUES (state, 1), (was, -1)) AS sides (side, sign)
    WHERE side >= 0 GROUP BY ns, queue, side HAVING sum(sign * jobs) <> 0
)

-- name: fold
-- While no worker does the duties, pushes do it now and then.
WITH {fold} SELECT

-- name: tell
INSERT INTO goscheds_tally (ns, queue, state, jobs)
SELECT :ns, queue, state, jobs FROM unnest(:queue::text[], :state::bigint[], :jobs::bigint[]) AS t (queue, state, jobs)
WHERE jobs <> 0

-- name: counts
-- What the tally has as ready is active in part. Those are few, and are counted. Where jobs were deleted by hand the tally has
-- too many.
WITH held AS (
    SELECT queue, count(*) AS jobs FROM goscheds_jobs WHERE ns = :ns AND state = 2 GROUP BY queue
)
SELECT queue, state, sum(jobs) FROM (
    {tally}
    UNION ALL SELECT queue, 1, -jobs FROM held
    UNION ALL SELECT queue, 2, jobs FROM held
) AS told
WHERE state >= 0 GROUP BY queue, state HAVING sum(jobs) > 0

-- name: erase
SELECT pg_advisory_xact_lock({tally_key})::text;
DELETE FROM goscheds_jobs WHERE ns = :ns;
{recount};
DELETE FROM goscheds_workers WHERE ns = :ns;
DELETE FROM goscheds_paused WHERE ns = :ns;
UPDATE goscheds_namespaces SET duty = '', duty_until = 0 WHERE ns = :ns

-- name: {recount}
-- What others commit meanwhile they tell as well, and both are seen or neither.
WITH forgotten AS (DELETE FROM goscheds_tally WHERE ns = :ns)
INSERT INTO goscheds_tally (ns, queue, state, jobs, folded)
SELECT :ns, queue, CASE state WHEN 2 THEN 1 ELSE state END AS counted, count(*), true
FROM goscheds_jobs WHERE ns = :ns GROUP BY queue, counted

-- name: {tally_key}
'goscheds_tally'::regclass::oid::bigint

-- name: lock_schema
-- Any number will do that no one else locks; this one is "goscheds" in ASCII. And then, for the rest of the upgrade: who waits
-- for a table that a backup reads makes everybody wait who comes after.
SELECT set_config('lock_timeout', '2s', true) FROM (
    SELECT pg_advisory_xact_lock(7453015856082478195)::text OFFSET 0
) AS locked

-- name: installed
SELECT 1 WHERE to_regclass('goscheds_schema') IS NOT NULL

-- name: session
-- Also that a transaction ends whose client has gone, or was stopped, between two of its statements: its locks keep jobs
-- from being recovered.
SELECT set_config('idle_in_transaction_session_timeout', '20s', false),
    set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),
    set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
    set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
    set_config('default_transaction_isolation', 'read committed', false)
WHERE :ours OR pg_backend_pid() = :pid

-- name: announce
-- Tells everybody who waits.
SELECT pg_notify(:channel, topic)::text FROM unnest(:topics::text[]) AS t (topic) WHERE :channel <> ''

-- name: push_one
-- A job without a unique key that is ready at once, by the clock of the statement's arrival. As little as can be: each node
-- of a plan is set up anew at each push.
WITH stored AS (
    INSERT INTO goscheds_jobs (
        ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at
    )
    VALUES (
        :ns, nullif(:id, ''), :name, :queue, :payload, :meta, {arrival}, :priority, :timeout, '', 1, {place}, {arrival}, {arrival}
    )
    ON CONFLICT DO NOTHING
    RETURNING queue
)
INSERT INTO goscheds_tally (ns, queue, state, jobs) SELECT :ns, queue, 1, 1 FROM stored
RETURNING (SELECT {ring} FROM (SELECT queue AS topic, 1 AS nth) AS topics)

-- name: {arrival}
(extract(epoch FROM statement_timestamp()) * 1000000)::bigint

-- name: push_later
-- A job without a unique key, which needs no arrays: a third of the work of a batch of one.
WITH stored AS (
    INSERT INTO goscheds_jobs (
        ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at
    )
    SELECT :ns, nullif(:id, ''), :name, :queue, :payload, :meta, due, :priority, :timeout, '',
        CASE WHEN due <= moment THEN 1 ELSE 0 END, {place}, moment, moment
    FROM (
        SELECT moment, CASE WHEN :execute_at = 0 THEN moment ELSE :execute_at END + :delay AS due
        FROM (SELECT {now} AS moment OFFSET 0) AS clock OFFSET 0
    ) AS job
    ON CONFLICT DO NOTHING
    RETURNING queue, state, execute_at
), told AS (
    INSERT INTO goscheds_tally (ns, queue, state, jobs) SELECT :ns, queue, state, 1 FROM stored
)
SELECT (
    SELECT {ring} FROM (
        SELECT CASE
            WHEN state = 1 THEN queue WHEN execute_at < {earliest} THEN ''
        END AS topic, 1 AS nth
    ) AS topics WHERE topic IS NOT NULL
) FROM stored

-- name: push
WITH {pushing} ON CONFLICT DO NOTHING {pushed}

-- name: push_new
-- Of jobs none of which is there yet: to see first whether one is, is a fifth of the work. If one is, nothing is done.
WITH {pushing} {pushed}

-- name: {pushing}
-- An array of one value stands for as many as there are in the longest one. (Not so what is missing in a longer one, which
-- is for the table to refuse.)
clock AS MATERIALIZED (SELECT {now} AS moment, {place} AS place),
job AS (
    SELECT
        CASE cardinality(:id::text[]) WHEN 1 THEN (:id::text[])[1] ELSE t.id END AS id,
        CASE cardinality(:name::text[]) WHEN 1 THEN (:name::text[])[1] ELSE t.name END AS name,
        CASE cardinality(:queue::text[]) WHEN 1 THEN (:queue::text[])[1] ELSE t.queue END AS queue,
        CASE cardinality(:payload::bytea[]) WHEN 1 THEN (:payload::bytea[])[1] ELSE t.payload END AS payload,
        CASE cardinality(:meta::bytea[]) WHEN 1 THEN (:meta::bytea[])[1] ELSE t.meta END AS meta,
        CASE cardinality(:execute_at::bigint[]) WHEN 1 THEN (:execute_at::bigint[])[1] ELSE t.execute_at END AS execute_at,
        CASE cardinality(:delay::bigint[]) WHEN 1 THEN (:delay::bigint[])[1] ELSE t.delay END AS delay,
        CASE cardinality(:priority::bigint[]) WHEN 1 THEN (:priority::bigint[])[1] ELSE t.priority END AS priority,
        CASE cardinality(:timeout::bigint[]) WHEN 1 THEN (:timeout::bigint[])[1] ELSE t.timeout END AS timeout,
        CASE cardinality(:unique_key::text[]) WHEN 1 THEN (:unique_key::text[])[1] ELSE t.unique_key END AS unique_key,
        nth
    FROM unnest(
        :id::text[], :name::text[], :queue::text[], :payload::bytea[], :meta::bytea[], :execute_at::bigint[],
        :delay::bigint[], :priority::bigint[], :timeout::bigint[], :unique_key::text[]
    ) WITH ORDINALITY AS t (id, name, queue, payload, meta, execute_at, delay, priority, timeout, unique_key, nth)
), stored AS (
    INSERT INTO goscheds_jobs (
        ns, id, name, queue, payload, meta, execute_at, priority, timeout, unique_key, state, seq, pushed_at, changed_at
    )
    SELECT :ns, nullif(id, ''), name, queue, payload, meta, due, priority, timeout, unique_key,
        CASE WHEN due <= moment THEN 1 ELSE 0 END, place + nth, moment, moment
    FROM (
        SELECT job.*, moment, place, CASE WHEN execute_at = 0 THEN moment ELSE execute_at END + delay AS due
        FROM clock, job OFFSET 0
    ) AS job

-- name: {pushed}
    RETURNING queue, state, execute_at
), told AS (
    INSERT INTO goscheds_tally (ns, queue, state, jobs)
    SELECT :ns, queue, state, count(*) FROM stored GROUP BY queue, state
), {topics}
SELECT {ring} FROM (SELECT topic, row_number() OVER () AS nth FROM topics) AS topics

-- name: {topics}
-- Whom {ring} is to tell, and of what, once jobs were `stored`.
topics AS (
    SELECT DISTINCT queue AS topic FROM stored WHERE state = 1
    UNION ALL
    SELECT '' FROM stored WHERE state = 0
    HAVING min(execute_at)
        < {earliest}
)

-- name: holders
-- Which job stands for each that was pushed: itself, or the holder of its key. Neither, if the holder is gone again.
SELECT pushed, coalesce(
    (SELECT id FROM goscheds_jobs WHERE ns = :ns AND id = pushed),
    (SELECT id FROM goscheds_jobs WHERE ns = :ns AND state < 3 AND unique_key <> '' AND unique_key = key)
)
FROM unnest(:id::text[], :unique_key::text[]) AS t (pushed, key)

-- name: {finishing}
-- What is done, and says no more than its result, which is a third less work: nothing is locked before it is written, and
-- nothing looked for twice. A row is written where it was found; one that somebody changes in between is left for `settle`, as
-- is one that was settled before. (What is added to state and worker keeps the planner from reading all that the worker holds.)
found AS MATERIALIZED (
    SELECT t.*, spot, moment FROM (SELECT {now} AS moment OFFSET 0) AS clock CROSS JOIN (
        SELECT * FROM unnest(:id::text[], :fence::bigint[], :result::bytea[], :keep::boolean[])
            AS t (picked, once, result, keep) ORDER BY picked
    ) AS t CROSS JOIN LATERAL (SELECT ctid AS spot FROM goscheds_jobs WHERE ns = :ns AND id = picked OFFSET 0) AS j
), kept AS (
    UPDATE goscheds_jobs AS j SET
        state = 3, seq = 0, changed_at = moment, worker = '', deadline = 0, cancelling = 0, result = found.result
    FROM found
    WHERE keep AND j.ctid = spot AND fence = once AND fence > 0 AND state + 0 = 2 AND worker || '' = :worker
    RETURNING queue, picked, fence
), forgotten AS (
    DELETE FROM goscheds_jobs AS j USING found
    WHERE NOT keep AND j.ctid = spot AND fence = once AND fence > 0 AND state + 0 = 2 AND worker || '' = :worker
    RETURNING queue, picked, fence
), standing AS MATERIALIZED (
    SELECT queue, picked, fence, 3 AS state FROM kept UNION ALL SELECT queue, picked, fence, -1 FROM forgotten
), told AS (
    INSERT INTO goscheds_tally (ns, queue, was, state, jobs)
    SELECT :ns, queue, 1, state, count(*) FROM standing GROUP BY queue, state
)

-- name: {whole}
chosen AS MATERIALIZED (
    SELECT ctid AS spot FROM goscheds_jobs
    WHERE ns = :ns AND state = 1 AND queue = :queue AND {may_claim}
    ORDER BY priority DESC, seq LIMIT :limit {lock}
)

-- name: {along}
-- By the parts of the line: from a priority :high to a :low one all there is; or, where a :place is told, of one priority
-- what comes from it on, and before that who was released, below zero. While an old snapshot is held, what was worked off is
-- never cleared away, and a claim from the very beginning steps over all of it. (Postgres begins to read at the first
-- priority and place that may match, but stops by priority alone: so the released are looked for apart.)
chosen AS MATERIALIZED (
    SELECT spot FROM unnest(:high::bigint[], :low::bigint[], :place::bigint[]) AS part (high, low, place)
    CROSS JOIN LATERAL (
        SELECT spot FROM (
            SELECT ctid AS spot FROM goscheds_jobs
            WHERE ns = :ns AND state = 1 AND queue = :queue AND place > 0 AND priority = low AND seq < 0
            ORDER BY seq LIMIT :limit {lock}
        ) AS released
        UNION ALL
        SELECT spot FROM (
            SELECT ctid AS spot FROM goscheds_jobs
            WHERE ns = :ns AND state = 1 AND queue = :queue AND priority <= high AND priority >= low AND seq >= place
            ORDER BY priority DESC, seq LIMIT :limit {lock}
        ) AS others
    ) AS ready
    WHERE {may_claim}
    LIMIT :limit
)

-- name: {may_claim}
EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > (SELECT moment FROM before))
AND NOT EXISTS (SELECT 1 FROM goscheds_paused WHERE ns = :ns AND queue = :queue)

-- name: {claimed}
-- A job may have come back to the line since the clock was read: it is never given before it was due. The row is updated where
-- it was locked, not looked for once more; one that somebody changed in between is somewhere else, and is left for the next
-- claim. Last comes how long the look took.
claimed AS (
    UPDATE goscheds_jobs SET
        state = 2, fence = {fence}, worker = :worker,
        changed_at = CASE WHEN execute_at > moment THEN execute_at ELSE moment END,
        deadline = CASE WHEN timeout BETWEEN 1 AND {most} THEN moment + timeout ELSE 0 END
    FROM before WHERE ctid = ANY (ARRAY(SELECT spot FROM chosen))
    RETURNING {claim}, (SELECT {now} - moment FROM before)
)

-- name: claim_due
-- What is due next, straight from the schedule, for a worker that waits where no other job is ready, and alone: of several
-- that are due the highest priority comes first, once they are promoted. Promoted and claimed in one. It comes early, when
-- all that it needs is awake, and looks at the clock until the job is :due, but not for long.
WITH before AS MATERIALIZED (
    SELECT moment FROM (SELECT generate_series(1, 5000), {now} AS moment) AS looks WHERE moment >= :due LIMIT 1
), due AS MATERIALIZED (
    SELECT ctid AS spot, queue AS line FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= (SELECT moment FROM before)
    ORDER BY execute_at, seq LIMIT 1 {lock}
), chosen AS MATERIALIZED (
    SELECT spot FROM due WHERE line = :queue AND {may_claim} AND (
        SELECT true FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = :queue
        ORDER BY priority DESC, seq LIMIT 1
    ) IS NULL AND (
        SELECT true FROM goscheds_jobs WHERE ns = :ns AND state = 0 AND execute_at <= (SELECT moment FROM before)
        ORDER BY execute_at, seq OFFSET 1 LIMIT 1
    ) IS NULL
), {claimed}, told AS (
    INSERT INTO goscheds_tally (ns, queue, was, state, jobs) SELECT :ns, queue, 0, 1, 1 FROM claimed
)
SELECT * FROM claimed

-- name: settle
-- Gives the accepted, and whether it was just now.
-- Rows are locked in the order of their ids, so that two settles never wait for each other; places in line go up in
-- the order of the batch, from below zero for those that go to the front.
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
), line AS MATERIALIZED (
    SELECT {place} AS place WHERE EXISTS (SELECT 1 FROM standing WHERE was = 2 AND target < 2)
), placed AS MATERIALIZED (
    SELECT picked, target, meta, due, moment, result, keep,
        CASE target WHEN 0 THEN (SELECT place FROM line) + nth WHEN 1 THEN nth - (SELECT place FROM line) ELSE 0 END
            AS place,
        CASE WHEN target > 2 THEN target WHEN cancelling = 1 THEN 5 WHEN target = 1 OR due <= moment THEN 1 ELSE 0 END
            AS becomes
    FROM standing WHERE was = 2
), stored AS (
    UPDATE goscheds_jobs AS j SET
        state = becomes, execute_at = CASE WHEN target = 0 AND becomes < 2 THEN due ELSE j.execute_at END,
        meta = CASE WHEN length(placed.meta) > 0 THEN placed.meta ELSE j.meta END,
        seq = place, changed_at = moment, worker = '', deadline = 0, cancelling = 0, result = placed.result
    FROM placed WHERE keep AND j.ns = :ns AND j.id = picked
    RETURNING j.queue, j.state, j.execute_at
), forgotten AS (
    DELETE FROM goscheds_jobs AS j USING placed WHERE NOT keep AND j.ns = :ns AND j.id = picked
    RETURNING j.queue
), told AS (
    INSERT INTO goscheds_tally (ns, queue, was, state, jobs)
    SELECT :ns, queue, 1, state, count(*) FROM stored WHERE state <> 1 GROUP BY queue, state
    UNION ALL
    SELECT :ns, queue, 1, -1, count(*) FROM forgotten GROUP BY queue
), {topics}
SELECT picked, fence, was = 2 FROM standing
UNION ALL
SELECT {ring}, 0, false FROM (SELECT topic, row_number() OVER () AS nth FROM topics) AS topics

-- name: claim
WITH before AS MATERIALIZED (SELECT {now} AS moment), {whole}, {claimed} SELECT * FROM claimed

-- name: claim_along
WITH before AS MATERIALIZED (SELECT {now} AS moment), {along}, {claimed} SELECT * FROM claimed

-- name: finish
-- Settles what is done, and claims: one statement, so that a client says all of it in one breath, as one that is stopped between
-- two keeps its jobs locked. Rows are waited for before any is claimed. Gives the claims, and then the accepted in rows of the
-- same shape, which have no name.
WITH {finishing}, {finished_before}, {whole}, {claimed} {both}

-- name: finish_along
WITH {finishing}, {finished_before}, {along}, {claimed} {both}

-- name: {finished_before}
before AS MATERIALIZED (SELECT {now} AS moment, count(*) FROM standing)

-- name: {both}
SELECT * FROM claimed
UNION ALL
SELECT picked, NULL, '', '', '', 0, 0, 0, 0, '', fence, 0, 0, 0 FROM standing

-- name: astray
-- A round of the duties: folds the tally, keeps the duties for who has them (it calls promote next), tells whether anything is
-- astray, and the outlook. It looks between the workers with a good lease, whose own jobs are none of its business: what
-- they worked off while an old snapshot is held would have to be stepped over each time.
WITH {hasty}, lead AS (
    UPDATE goscheds_namespaces SET duty_until = {now} + :lease
    WHERE ns = :ns AND (SELECT setting FROM hasty) = 'off'
      AND duty = :worker AND duty_until BETWEEN {now} + 1 AND {now} + :lease
    RETURNING duty, duty_until
), {fold}, clock AS MATERIALIZED (SELECT {now} AS moment),
good AS MATERIALIZED (SELECT id FROM goscheds_workers WHERE ns = :ns AND expires_at > (SELECT moment FROM clock))
SELECT {ahead}, EXISTS (SELECT 1 FROM good WHERE id = :worker) AND (
    EXISTS (SELECT 1 FROM goscheds_workers WHERE ns = :ns AND expires_at <= (SELECT moment FROM clock))
    OR EXISTS (SELECT 1 FROM goscheds_jobs
               WHERE ns = :ns AND state = 2 AND deadline > 0 AND deadline <= (SELECT moment FROM clock))
    OR EXISTS (
        SELECT 1 FROM (
            SELECT id AS before, lag(id) OVER (ORDER BY id) AS after FROM good
        ) AS gap CROSS JOIN LATERAL (
            SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker > after AND worker < before
            ORDER BY worker LIMIT 1
        ) AS stray
    )
    OR (SELECT true FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker < (SELECT min(id) FROM good)
        ORDER BY worker LIMIT 1)
    OR (SELECT true FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker > (SELECT max(id) FROM good)
        ORDER BY worker LIMIT 1)
)
{duties}

-- name: orphans
-- First it ends sessions whose transaction has jobs of the lapsed worker locked and whose client says nothing: it was
-- stopped, or has gone, before the end. The server itself would wait for as long as the client's machine answers. Who holds
-- a lock that does not keep them from recovery (FOR KEY SHARE) is let be; and the number of several lockers may be that of
-- somebody's transaction, but he has nothing to do with the table.
WITH clock AS MATERIALIZED (SELECT {now} AS moment),
free AS MATERIALIZED (
    SELECT id FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND worker = :holder LIMIT :limit {lock}
), ended AS MATERIALIZED (
    SELECT pg_terminate_backend(pid), pg_sleep(0.05) FROM pg_stat_activity
    WHERE usename = current_user AND wait_event = 'ClientRead' AND xact_start < now() - interval '1 second'
      AND backend_xid = ANY (ARRAY(
          SELECT xmax FROM goscheds_jobs
          WHERE ns = :ns AND state = 2 AND worker = :holder AND id <> ALL (ARRAY(SELECT id FROM free)) LIMIT :limit
      ))
      AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'goscheds_jobs'::regclass)
), chosen AS MATERIALIZED (
    SELECT id FROM goscheds_jobs
    WHERE ns = :ns AND state = 2 AND worker = :holder AND (SELECT count(*) FROM ended) >= 0
    LIMIT :limit {lock}
)
UPDATE goscheds_jobs SET fence = {fence}, worker = :worker, changed_at = moment, deadline = 0
FROM clock WHERE ns = :ns AND id {chosen}
RETURNING {claim}

-- name: heartbeat
-- As unlapsed, beat and cancelling of a worker that goes on: whether it had lapsed, and what is to be cancelled.
WITH unlapsed AS MATERIALIZED (
    SELECT 1 FROM goscheds_workers WHERE ns = :ns AND id = :worker AND expires_at > {now} {hold}
), before AS MATERIALIZED (
    SELECT count(*) = 0 AS lapsed FROM unlapsed
), beat AS (
    INSERT INTO goscheds_workers (ns, id, expires_at, info) SELECT :ns, :worker, {now} + :lease, :info FROM before
    ON CONFLICT (ns, id) DO UPDATE SET expires_at = excluded.expires_at, info = excluded.info
)
SELECT lapsed, ARRAY(
    SELECT id FROM goscheds_jobs WHERE ns = :ns AND state = 2 AND cancelling = 1 AND worker = :worker
) FROM before

-- name: {hasty}
-- Waits for no disk: what a crash of the server takes of it is done again, and whatever builds on it (a claim) waits for the
-- disk, to which all goes in order.
hasty AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS setting)

-- name: {ahead}
-- The outlook: who has the duties and until when, when the next job is due, the time, that job's queue; and which of the
-- :queues have a ready job, should a wake-up have been lost: one look for all who wait in a process.
duty, duty_until, coalesce(execute_at, 9223372036854775807), {now}, coalesce(queue, ''), ARRAY(
    SELECT topic FROM unnest(:queues::text[]) AS t (topic)
    WHERE (SELECT true FROM goscheds_jobs WHERE ns = :ns AND state = 1 AND queue = topic
           ORDER BY priority DESC, seq LIMIT 1)
)

-- name: {duties}
FROM (
    SELECT duty, duty_until FROM lead
    UNION ALL
    SELECT duty, duty_until FROM goscheds_namespaces WHERE ns = :ns
    LIMIT 1
) AS duties LEFT JOIN LATERAL (
    SELECT execute_at, queue FROM goscheds_jobs WHERE ns = :ns AND state = 0 ORDER BY execute_at LIMIT 1
) AS next ON true

-- name: promote
-- The first row is the outlook. The others are how many jobs became ready in each queue.
WITH {hasty}, lead AS (
    UPDATE goscheds_namespaces SET duty = :worker, duty_until = {now} + :lease
    WHERE ns = :ns AND (SELECT setting FROM hasty) = 'off'
      AND (duty IN ('', :worker) OR duty_until NOT BETWEEN {now} + 1 AND {now} + :lease)
    RETURNING duty, duty_until
), due AS MATERIALIZED (
    SELECT ctid AS spot, execute_at, seq FROM goscheds_jobs
    WHERE ns = :ns AND state = 0 AND execute_at <= (SELECT {now}) AND EXISTS (SELECT 1 FROM lead)
    ORDER BY execute_at, seq LIMIT :limit {lock}
), line AS MATERIALIZED (
    SELECT {place} AS place WHERE EXISTS (SELECT 1 FROM due)
), placed AS MATERIALIZED (
    SELECT spot, place + row_number() OVER (ORDER BY execute_at, seq) AS place FROM due, line
), moved AS (
    UPDATE goscheds_jobs SET state = 1, seq = place, changed_at = {now}
    FROM placed WHERE ctid = spot
    RETURNING queue
), told AS (
    INSERT INTO goscheds_tally (ns, queue, was, state, jobs)
    SELECT :ns, queue, 0, 1, count(*) FROM moved GROUP BY queue
)
SELECT {ahead} {duties}
UNION ALL
SELECT queue, count(*), 0, 0, '', NULL FROM moved GROUP BY queue
UNION ALL
SELECT {ring}, 0, 0, 0, '', NULL
FROM (SELECT queue AS topic, row_number() OVER () AS nth FROM (SELECT DISTINCT queue FROM moved) AS queues) AS topics

-- name: call
-- Be on call for a topic, if nobody is: its {key}, whether it worked, and when to try again, seconds. A push on its way
-- stands in the way for milliseconds, who is on call for long.
SELECT key, mine, CASE
    WHEN NOT mine AND EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND classid::bigint << 32 | objid::bigint = key
    ) THEN 3.0 ELSE 0.02
END::float8
FROM (
    SELECT key, pg_try_advisory_lock(key) AS mine FROM (
        SELECT hashtextextended(:topic::text, 'goscheds_jobs'::regclass::oid::bigint << 20 | ns) AS key
        FROM goscheds_namespaces WHERE name = :namespace
    ) AS topics OFFSET 0
) AS tried

-- name: pass_on
SELECT pg_advisory_unlock(:key), pg_notify(:channel, :free)::text

-- name: lock
SELECT 1 FROM (SELECT picked FROM unnest(:ids::text[]) AS t (picked) ORDER BY picked) AS t
CROSS JOIN LATERAL (SELECT 1 FROM goscheds_jobs WHERE ns = :ns AND id = picked FOR UPDATE) AS j

-- name: work
-- Of the whole server, for benchmarks: transactions, bytes of WAL, row versions left behind.
SELECT xact_commit + xact_rollback, (pg_current_wal_lsn() - '0/0')::bigint,
    (SELECT sum(n_tup_upd + n_tup_del) FROM pg_stat_user_tables)::bigint
FROM pg_stat_database WHERE datname = current_database()
