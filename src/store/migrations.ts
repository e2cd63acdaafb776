/**
 * The schema, as numbered steps that only go forward: step n takes a database from `user_version` n-1 to n. A step that
 * was released is never edited; a change of the schema is a new step at the end.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- Programs by the boot they were loaded in: the kernel gives the same ids again after a reboot.
  CREATE TABLE programs (
    boot_id                TEXT    NOT NULL,
    program_id             INTEGER NOT NULL CHECK (program_id BETWEEN 1 AND 4294967295),
    state                  TEXT    NOT NULL CHECK (state IN ('pending', 'ready', 'removing')),
    name                   TEXT    NOT NULL,
    type                   TEXT    NOT NULL,
    attach_function        TEXT,
    section                TEXT    NOT NULL,
    bytecode_path          TEXT    NOT NULL,
    source_path            TEXT,
    image                  TEXT,             -- JSON {url, digest, pullPolicy}
    license                TEXT    NOT NULL,
    gpl_compatible         INTEGER NOT NULL CHECK (gpl_compatible IN (0, 1)),
    globals                TEXT    NOT NULL, -- JSON {name: base64}
    pin_path               TEXT    NOT NULL,
    map_pin_path           TEXT    NOT NULL,
    map_owner_id           INTEGER,          -- no foreign key: the maps may outlive their first owner
    requested_map_owner_id INTEGER,
    maps                   TEXT    NOT NULL, -- JSON [{id, name, pinPath}]
    metadata               TEXT    NOT NULL, -- JSON {key: value}
    created_at_ms          INTEGER NOT NULL, -- since 1970, UTC
    PRIMARY KEY (boot_id, program_id)
  ) STRICT;

  -- AUTOINCREMENT: an id is never given twice, not even when the row with the highest one is gone.
  CREATE TABLE links (
    link_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    boot_id        TEXT    NOT NULL,
    program_id     INTEGER NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'ready', 'removing')),
    kernel_link_id INTEGER,          -- null until attached
    pin_path       TEXT    NOT NULL,
    details        TEXT    NOT NULL, -- JSON, its shape follows from "kind"
    metadata       TEXT    NOT NULL, -- JSON {key: value}
    created_at_ms  INTEGER NOT NULL,
    FOREIGN KEY (boot_id, program_id) REFERENCES programs (boot_id, program_id) ON DELETE RESTRICT
  ) STRICT;
  CREATE INDEX links_of_program ON links (boot_id, program_id);

  CREATE TABLE operations (
    operation_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    boot_id       TEXT    NOT NULL,
    operation     TEXT    NOT NULL,
    started_at_ms INTEGER NOT NULL,
    duration_ms   REAL    NOT NULL,
    uid           INTEGER NOT NULL,
    parent_pid    INTEGER NOT NULL,
    result        TEXT    NOT NULL,  -- 'ok' or an error code
    details       TEXT    NOT NULL   -- JSON
  ) STRICT;
  CREATE TRIGGER operations_keep BEFORE UPDATE ON operations
    BEGIN SELECT RAISE(ABORT, 'the history of operations is append-only'); END;
  CREATE TRIGGER operations_stay BEFORE DELETE ON operations
    BEGIN SELECT RAISE(ABORT, 'the history of operations is append-only'); END;
  `,
  `
  -- One row for each hook on which a chain of XDP or TC programs runs, or is being made.
  CREATE TABLE dispatchers (
    boot_id          TEXT    NOT NULL,
    type             TEXT    NOT NULL CHECK (type IN ('xdp', 'tc-ingress', 'tc-egress')),
    nsid             INTEGER NOT NULL,  -- inode of the network namespace
    ifindex          INTEGER NOT NULL,
    interface        TEXT    NOT NULL,
    netns            TEXT,              -- path of the namespace file; null is the caller's own
    revision         INTEGER NOT NULL,  -- 0: the first one is being made
    pending_revision INTEGER,           -- written before the kernel is touched, null when nothing is under way
    program_id       INTEGER,           -- what runs on the hook
    kernel_link_id   INTEGER,           -- XDP
    filter_priority  INTEGER,           -- TC
    filter_handle    INTEGER,           -- TC
    mode             TEXT,              -- XDP: drv, skb, hw
    PRIMARY KEY (boot_id, type, nsid, ifindex)
  ) STRICT;
  `,
];
