"""The journal's tables, and how an older journal becomes a newer one.

`PRAGMA user_version` holds how many of `MIGRATIONS` were applied; each runs once, in its own
transaction. Never edit one that was released: append.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    -- Accounts and places (Connector.target), so that rows hold a small number.
    CREATE TABLE targets (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        position TEXT                      -- where receiving stands
    );

    CREATE TABLE messages (
        ord INTEGER PRIMARY KEY,           -- order of acceptance
        id TEXT NOT NULL UNIQUE,           -- starts with the time: the index grows at its end
        accepted REAL NOT NULL,            -- Unix seconds, for display and pruning only
        after_seq INTEGER NOT NULL,        -- the newest event then: places it in the history
        target INTEGER NOT NULL,
        thread_id TEXT,
        reply_to TEXT,
        plain INTEGER NOT NULL,
        notice INTEGER NOT NULL,
        expires_s REAL,
        expires_at REAL,
        key TEXT,                          -- Idempotency-Key
        digest BLOB,                       -- of the draft, to tell another body under that key
        state INTEGER NOT NULL,            -- sqlite.STATES
        attempts INTEGER NOT NULL,
        attempt TEXT,                      -- Message.attempt
        error TEXT,
        remote_ids TEXT,                   -- JSON list
        text TEXT NOT NULL,
        parts TEXT                         -- JSON list; NULL: the text is the one part
    );
    CREATE UNIQUE INDEX messages_key ON messages (key) WHERE key IS NOT NULL;
    CREATE INDEX messages_unsettled ON messages (thread_id, ord) WHERE state < 2;
    CREATE INDEX messages_failed ON messages (ord) WHERE state = 3;
    CREATE INDEX messages_thread ON messages (thread_id, ord) WHERE thread_id IS NOT NULL;
    CREATE INDEX messages_expiring ON messages (expires_at)
        WHERE state < 2 AND expires_at IS NOT NULL;

    -- The chat's ids of what we sent, hashed, for redactions of our own messages.
    CREATE TABLE remotes (
        hash INTEGER NOT NULL,
        ord INTEGER NOT NULL,
        PRIMARY KEY (hash, ord)
    ) WITHOUT ROWID;

    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,             -- sqlite.KINDS: type, and class of a message
        received REAL NOT NULL,            -- Unix seconds, for ages and pruning only
        source INTEGER,                    -- hash of target and id: none twice
        about INTEGER,                     -- of an edit: hash of target and the edited id
        thread INTEGER,                    -- hash of the thread id
        body BLOB NOT NULL                 -- the JSON object that subscribers get, without seq
    );
    -- A 64-bit hash, compared with the id itself on a hit: an index on the ids would be five
    -- times the size, and its upkeep is what makes a big journal slower than a small one.
    CREATE INDEX events_source ON events (source) WHERE source IS NOT NULL;
    CREATE INDEX events_about ON events (about) WHERE about IS NOT NULL;
    CREATE INDEX events_thread ON events (thread, seq) WHERE thread IS NOT NULL;
    CREATE INDEX events_kind ON events (kind, seq);

    CREATE TABLE subscribers (
        name TEXT PRIMARY KEY,
        acked INTEGER NOT NULL,
        kinds TEXT                         -- JSON list: the filter it last read with; NULL: all
    );
    """,
)
