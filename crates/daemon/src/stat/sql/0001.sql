-- History: one row a fact. `id` follows from the fact, so that the same fact written twice is one row; `n` orders the
-- rows and is never used again.
CREATE TABLE history (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    to_unix_ms INTEGER NOT NULL,
    json       TEXT NOT NULL
) STRICT;
CREATE INDEX history_by_time ON history (to_unix_ms);

-- What goes on, and the counts: what another process needs to go on from.
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Up to where each site's stream of events is in the rows and facts above.
CREATE TABLE position (site TEXT PRIMARY KEY, session TEXT NOT NULL, after INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Up to which row a file has the history.
CREATE TABLE mark (file TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE VIEW agent_state AS
SELECT n, id, json ->> 'site' AS site, json ->> 'dn' AS dn, json ->> 'agent' AS agent, json ->> 'state' AS state,
       json ->> 'work_mode' AS work_mode, json ->> 'reason' AS reason, json ->> 'login_unix_ms' AS login_unix_ms,
       json ->> 'from_unix_ms' AS from_unix_ms, to_unix_ms
FROM history WHERE kind = 'agent-state';

CREATE VIEW call_segment AS
SELECT n, id, json ->> 'site' AS site, json ->> 'dn' AS dn, json ->> 'conn_id' AS conn_id, json ->> 'agent' AS agent,
       json ->> 'queue' AS queue, json ->> 'other' AS other, json ->> 'call_type' AS call_type,
       json ->> 'from_unix_ms' AS from_unix_ms, json ->> 'answered_unix_ms' AS answered_unix_ms, to_unix_ms,
       json ->> 'wait_ms' AS wait_ms, json ->> 'hold_ms' AS hold_ms, json ->> 'outcome' AS outcome
FROM history WHERE kind = 'call-segment';
