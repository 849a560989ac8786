CREATE TABLE goscheds_schema (version int NOT NULL, oldest int NOT NULL);
INSERT INTO goscheds_schema (version, oldest) VALUES (1, 1);
CREATE TABLE goscheds_namespaces (
    ns int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    duty_until bigint NOT NULL DEFAULT 0,
    duty text COLLATE "C" NOT NULL DEFAULT '', 
    name text COLLATE "C" NOT NULL UNIQUE
) WITH (fillfactor = 50);
CREATE TABLE goscheds_workers (
    expires_at bigint NOT NULL,
    ns int NOT NULL,
    id text COLLATE "C" NOT NULL,
    info bytea NOT NULL,
    PRIMARY KEY (ns, id)
) WITH (fillfactor = 50);
CREATE TABLE goscheds_paused (ns int NOT NULL, queue text COLLATE "C" NOT NULL, PRIMARY KEY (ns, queue));
CREATE SEQUENCE goscheds_seq MAXVALUE 4398046511103 CYCLE;
CREATE DOMAIN goscheds_state AS smallint CHECK (VALUE BETWEEN 0 AND 5);
CREATE DOMAIN goscheds_count AS bigint CHECK (VALUE BETWEEN 0 AND 9007199254740992);
CREATE TABLE goscheds_jobs (
    seq bigint NOT NULL, 
    execute_at bigint NOT NULL,
    timeout goscheds_count NOT NULL,
    fence goscheds_count NOT NULL DEFAULT 0,
    deadline bigint NOT NULL DEFAULT 0, 
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
    
    
    PRIMARY KEY (id, ns)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX goscheds_ready ON goscheds_jobs (ns, queue, priority DESC, seq) WHERE state = 1;
CREATE INDEX goscheds_due ON goscheds_jobs (ns, execute_at, seq) WHERE state = 0;
CREATE INDEX goscheds_held ON goscheds_jobs (ns, worker) WHERE state = 2;
CREATE INDEX goscheds_deadline ON goscheds_jobs (ns, deadline) WHERE state = 2 AND deadline > 0;
CREATE INDEX goscheds_cancelling ON goscheds_jobs (ns, worker) WHERE state = 2 AND cancelling = 1;
CREATE UNIQUE INDEX goscheds_unique ON goscheds_jobs (ns, unique_key) WHERE state < 3 AND unique_key <> '';
CREATE INDEX goscheds_settled ON goscheds_jobs (ns, state, changed_at, queue) WHERE state >= 3;
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
INSERT INTO "goscheds_namespaces" ("ns", "duty_until", "duty", "name") OVERRIDING SYSTEM VALUE VALUES (1, 0, '', 'sample');
INSERT INTO "goscheds_workers" ("expires_at", "ns", "id", "info") OVERRIDING SYSTEM VALUE VALUES (1795514468859603, 1, 'vm:31795:9a4bc9aa', '\x'::bytea);
INSERT INTO "goscheds_workers" ("expires_at", "ns", "id", "info") OVERRIDING SYSTEM VALUE VALUES (1795514470868728, 1, 'worker-that-is-gone', '\x7b7d'::bytea);
INSERT INTO "goscheds_paused" ("ns", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 'quiet');
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (0, 1795514468759423, 0, 1, 0, 1795514468759423, 1795514468819018, 1, 3, 0, 0, 'done', 'work', 'default', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a312c2274657874223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d7d'::bytea, '\x'::bytea, '\x7b226e756d626572223a312c2274657874223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (0, 1795514468768923, 0, 1, 0, 1795514468768923, 1795514468831070, 1, 4, 0, 0, 'dead', 'fail', 'other', '', '', '\x7b2276223a312c2261726773223a7b22686f77223a22666f7220676f6f64227d7d'::bytea, '\x7b22617474656d707473223a312c226572726f72223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9222c227472616365223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f776f726b2f77742f74616c6c792f7372632f676f7363686564732f657865637574696f6e2e70795c222c206c696e65203139392c20696e205f63616c6c5c6e2020202076616c7565203d2063616c6c28295c6e2020202020202020202020205e5e5e5e5e5e5c6e202046696c65205c222f776f726b2f77742f74616c6c792f7372632f676f7363686564732f68616e646c6572732e70795c222c206c696e65203135372c20696e203c6c616d6264613e5c6e2020202072657475726e206c616d6264613a2066756e6374696f6e282a2a676976656e295c6e202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f776f726b2f77742f74616c6c792f74657374732f73616d706c65732f73616d706c652e70795c222c206c696e652034392c20696e206661696c5c6e202020207261697365204769766555702854455854295c6e676f7363686564732e6572726f72732e4769766555703a20e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a95c6e227d'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (4194305, 4949114468841359, 0, 1, 0, 1795514468772523, 1795514468841359, 1, 0, 0, 0, 'retried', 'fail', 'other', '', '', '\x7b2276223a312c2261726773223a7b22686f77223a226f6e6365227d2c227265747279223a7b226d61785f617474656d707473223a337d7d'::bytea, '\x7b22617474656d707473223a312c226572726f72223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (0, 1795514468869349, 0, 1, 0, 1795514468869349, 1795514468870540, 1, 4, 0, 0, 'dead-traced', 'fail', 'held', '', '', '\x7b2276223a312c2261726773223a7b22686f77223a2262792068616e64227d7d'::bytea, '\x7b22617474656d707473223a32302c2263726173686573223a312c226572726f72223a2256616c75654572726f723a206e6f222c227472616365223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6ee29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (6291456, 1795514468872490, 0, 1, 0, 1795514468872490, 1795514468880357, 1, 2, 0, 0, 'active', 'work', 'held', '', 'worker-that-is-gone', '\x7b2276223a312c2261726773223a7b226e756d626572223a387d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (7340032, 1795514468872812, 3000000, 1, 1795514471880357, 1795514468872812, 1795514468880357, 1, 2, 0, 0, 'active-timed', 'work', 'held', '', 'worker-that-is-gone', '\x7b2276223a312c2261726773223a7b226e756d626572223a397d2c2274696d656f7574223a313030303030307d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (8388608, 1795514468873081, 0, 1, 0, 1795514468873081, 1795514468880357, 1, 2, 0, 1, 'active-cancelling', 'work', 'held', '', 'worker-that-is-gone', '\x7b2276223a312c2261726773223a7b226e756d626572223a31307d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (9437184, 1795514468885120, 0, 0, 0, 1795514468885120, 1795514468885120, 1, 1, 0, 0, 'ready', 'work', 'default', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a393030373139393235343734303939322c2274657874223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (10485760, 1795514468885381, 0, 0, 0, 1795514468885381, 1795514468885381, 1, 1, 0, 0, 'ready-too', 'work', 'default', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a393030373139393235343734303939322c2274657874223a22e29883205c7530303030205c2271756f7465645c222027747769636527205c5c20f09f92a9227d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (11534337, 1795514468892995, 0, 0, 0, 1795514468892995, 1795514468892995, 1, 1, 7, 0, 'ready-first', 'work', 'default', 'key', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a337d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (12582913, 1795514468898159, 0, 0, 0, 1795514468898159, 1795514468908914, 1, 5, 0, 0, 'cancelled', 'work', 'default', 'another', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a347d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (13631488, 7226582400000000, 0, 0, 0, 1795514468909911, 1795514468909911, 1, 0, 0, 0, 'scheduled', 'work', 'default', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a357d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (14680064, 1795514469910168, 0, 0, 0, 1795514468910168, 1795514468910168, 1, 0, 0, 0, 'due', 'work', 'default', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a367d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_jobs" ("seq", "execute_at", "timeout", "fence", "deadline", "pushed_at", "changed_at", "ns", "state", "priority", "cancelling", "id", "name", "queue", "unique_key", "worker", "payload", "meta", "result") OVERRIDING SYSTEM VALUE VALUES (15728640, 1795514468910392, 0, 0, 0, 1795514468910392, 1795514468910392, 1, 1, 0, 0, 'paused', 'work', 'quiet', '', '', '\x7b2276223a312c2261726773223a7b226e756d626572223a377d7d'::bytea, '\x'::bytea, '\x'::bytea);
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'other');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'other');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 3, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 4, false, 'other');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 0, false, 'other');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'held');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 4, false, 'held');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'held');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'held');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'held');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 5, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES ( -1, 1,  -1, 1, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 0, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 0, false, 'default');
INSERT INTO "goscheds_tally" ("jobs", "ns", "was", "state", "folded", "queue") OVERRIDING SYSTEM VALUE VALUES (1, 1,  -1, 1, false, 'quiet');
SELECT setval('goscheds_seq', 15);
SELECT setval('goscheds_namespaces_ns_seq', 1);
