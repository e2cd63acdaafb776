import { CHANGE_RECORD_BYTES_MAX, CHANGES_MAX, OPERATIONS_MAX } from "../domain/limits.ts";

/** The columns of a row stored in the change log, as of step 3. */
const LOGGED = {
  programs: `program_id name type attach_function section bytecode_path source_path image license gpl_compatible globals
    pin_path map_pin_path map_owner_id requested_map_owner_id maps metadata created_at_ms`,
  links: "link_id program_id kernel_link_id pin_path details metadata created_at_ms",
  dispatchers: `type nsid ifindex interface netns revision pending_revision program_id kernel_link_id filter_priority
    filter_handle mode`,
};

/** Returns an SQL expression: the row as JSON, or NULL if it is too large. `columns` defaults to those of step 3. */
function rowAsJson(table: keyof typeof LOGGED, row: "OLD" | "NEW", columns = LOGGED[table]): string {
  const pairs = columns.split(/\s+/).map((column) => `'${column}', ${row}.${column}`);
  return `(SELECT row FROM (SELECT json_object(${pairs.join(", ")}) AS row) WHERE octet_length(row) <= ${CHANGE_RECORD_BYTES_MAX})`;
}

/** Returns an SQL statement that appends an entry to the change log. */
const log = (entry: { kind: string; row: "OLD" | "NEW"; subject: readonly string[]; record: string }): string =>
  `INSERT INTO changes (boot_id, at_ms, kind, subject, record)
    VALUES (${entry.row}.boot_id, CAST(unixepoch('subsec') * 1000 AS INTEGER), '${entry.kind}',
      json_object(${entry.subject.map((column) => `'${column}', ${entry.row}.${column}`).join(", ")}), ${entry.record});`;

const logProgram = (kind: string, row: "OLD" | "NEW", columns?: string): string =>
  log({ kind, row, subject: ["program_id"], record: rowAsJson("programs", row, columns) });
const logLink = (kind: string, row: "OLD" | "NEW"): string =>
  log({ kind, row, subject: ["link_id", "program_id"], record: rowAsJson("links", row) });
const logDispatcher = (row: "OLD" | "NEW", record: string): string =>
  log({ kind: "dispatcher/didChange", row, subject: ["type", "nsid", "ifindex"], record });
const announceProgram = `UPDATE programs SET announced = 1 WHERE boot_id = NEW.boot_id AND program_id = NEW.program_id;`;
const announceLink = `UPDATE links SET announced = 1 WHERE link_id = NEW.link_id;`;

/** Returns SQL after which the change log has these columns of programs as well, besides those of step 3. */
function logProgramsWith(more: string): string {
  const columns = `${LOGGED.programs} ${more}`;
  return `DROP TRIGGER programs_came;
  DROP TRIGGER programs_settled;
  DROP TRIGGER programs_gone;
  CREATE TRIGGER programs_came AFTER INSERT ON programs WHEN NEW.state = 'ready'
    BEGIN ${announceProgram} ${logProgram("program/didLoad", "NEW", columns)} END;
  CREATE TRIGGER programs_settled AFTER UPDATE ON programs WHEN NEW.state = 'ready' AND NEW.announced = 0
    BEGIN ${announceProgram} ${logProgram("program/didLoad", "NEW", columns)} END;
  CREATE TRIGGER programs_gone AFTER DELETE ON programs WHEN OLD.announced = 1
    BEGIN ${logProgram("program/didUnload", "OLD", columns)} END;`;
}

const PROGRAM_KEY = ["boot_id", "program_id"];
const LINK_SUBJECT = ["link_id", "program_id"];

/** Returns an SQL statement that appends an entry to the change log, with the row of the view `records` for that key. */
const logFrom = (records: string, kind: string, row: "OLD" | "NEW", key: readonly string[], subject = key): string => {
  const same = key.map((column) => `${column} = ${row}.${column}`).join(" AND ");
  return log({ kind, row, subject, record: `(SELECT record FROM ${records} WHERE ${same})` });
};

/** Returns an SQL statement that makes a view of rows as JSON, without those that are too large for the change log. */
const viewOf = (name: string, table: string, key: string, columns: string): string => {
  const pairs = columns.split(/\s+/).map((column) => `'${column}', ${column}`);
  return `CREATE VIEW ${name} AS SELECT ${key}, record FROM (SELECT ${key}, json_object(${pairs.join(", ")}) AS record
    FROM ${table}) WHERE octet_length(record) <= ${CHANGE_RECORD_BYTES_MAX};`;
};

/**
 * The schema as numbered, forward-only steps: step n takes a database from `user_version` n-1 to n. Released steps are
 * never edited; a schema change is a new step at the end.
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
  `
  -- The change log: written by triggers, so in the transaction of the change itself, whoever makes it.
  CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    boot_id  TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    subject  TEXT    NOT NULL, -- JSON, the key of the row
    record   TEXT              -- JSON of the row; of a removed one the last there was; null when too large
  ) STRICT;
  CREATE TRIGGER changes_trim AFTER INSERT ON changes
    BEGIN DELETE FROM changes WHERE sequence <= NEW.sequence - ${CHANGES_MAX}; END;

  -- Whether the log says that it is there: rows go from pending to ready once, but back and forth while being removed.
  ALTER TABLE programs ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE links ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
  UPDATE programs SET announced = 1 WHERE state <> 'pending';
  UPDATE links SET announced = 1 WHERE state <> 'pending';

  -- The process whose session this belongs to, and with which it goes; null for what stays.
  ALTER TABLE programs ADD COLUMN owner TEXT;
  ALTER TABLE links ADD COLUMN owner TEXT;

  CREATE TRIGGER programs_came AFTER INSERT ON programs WHEN NEW.state = 'ready'
    BEGIN ${announceProgram} ${logProgram("program/didLoad", "NEW")} END;
  CREATE TRIGGER programs_settled AFTER UPDATE ON programs WHEN NEW.state = 'ready' AND NEW.announced = 0
    BEGIN ${announceProgram} ${logProgram("program/didLoad", "NEW")} END;
  CREATE TRIGGER programs_gone AFTER DELETE ON programs WHEN OLD.announced = 1
    BEGIN ${logProgram("program/didUnload", "OLD")} END;

  CREATE TRIGGER links_settled AFTER UPDATE ON links WHEN NEW.state = 'ready' AND NEW.announced = 0
    BEGIN ${announceLink} ${logLink("link/didAttach", "NEW")} END;
  CREATE TRIGGER links_moved AFTER UPDATE ON links
    WHEN OLD.announced = 1 AND NEW.state = 'ready' AND (OLD.details IS NOT NEW.details
      OR OLD.kernel_link_id IS NOT NEW.kernel_link_id OR OLD.pin_path IS NOT NEW.pin_path)
    BEGIN ${logLink("link/didUpdate", "NEW")} END;
  CREATE TRIGGER links_gone AFTER DELETE ON links WHEN OLD.announced = 1
    BEGIN ${logLink("link/didDetach", "OLD")} END;

  CREATE TRIGGER dispatchers_settled AFTER UPDATE ON dispatchers WHEN OLD.revision <> NEW.revision
    BEGIN ${logDispatcher("NEW", rowAsJson("dispatchers", "NEW"))} END;
  CREATE TRIGGER dispatchers_gone AFTER DELETE ON dispatchers WHEN OLD.revision > 0
    BEGIN ${logDispatcher("OLD", "NULL")} END;
  `,
  `
  -- By which the directory of the pins knows its database, and copies of it.
  CREATE TABLE identity (
    database_id TEXT NOT NULL CHECK (length(database_id) = 32)
  ) STRICT;
  INSERT INTO identity VALUES (lower(hex(randomblob(16))));

  -- Pins that no row of another table names: those of chains and of the dispatchers that programs are verified against.
  -- Written before the pin is made, deleted after it has gone.
  CREATE TABLE pins (
    boot_id   TEXT    NOT NULL,
    path      TEXT    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('program', 'map', 'link')),
    object_id INTEGER NOT NULL CHECK (object_id BETWEEN 1 AND 4294967295),
    PRIMARY KEY (boot_id, path)
  ) STRICT;
  -- Of the chains that run: the members' links, or the one of the only member where the kernel cannot chain.
  INSERT OR IGNORE INTO pins SELECT boot_id, pin_path, 'link', kernel_link_id FROM links
    WHERE details ->> 'kind' IN ('xdp', 'tc') AND pin_path <> '' AND kernel_link_id IS NOT NULL;
  -- Beside them, under names that follow from theirs, the dispatcher and the link that holds it.
  CREATE TEMP VIEW seats AS SELECT d.*, substr(l.pin_path, 1, length(l.pin_path) - length('/link_0')) AS directory,
      '_' || d.revision AS ending
    FROM dispatchers AS d JOIN links AS l ON l.boot_id = d.boot_id AND l.details ->> 'nsid' = d.nsid
      AND l.details ->> 'ifindex' = d.ifindex AND l.details ->> 'position' = 0
      AND iif(l.details ->> 'kind' = 'xdp', 'xdp', 'tc-' || (l.details ->> 'direction')) = d.type
    WHERE l.pin_path LIKE '%/link!_0' ESCAPE '!';
  INSERT OR IGNORE INTO pins SELECT boot_id, directory || '/dispatcher', 'program', program_id FROM seats
    WHERE program_id IS NOT NULL;
  INSERT OR IGNORE INTO pins SELECT boot_id, substr(directory, 1, length(directory) - length(ending)) || '_link', 'link',
    kernel_link_id FROM seats WHERE kernel_link_id IS NOT NULL;
  DROP VIEW seats;
  `,
  `
  -- source_path is the file as it was named from here on; all earlier rows name it from the root folder.
  ALTER TABLE programs ADD COLUMN absolute_source_path TEXT;
  ALTER TABLE programs ADD COLUMN loaded_at_ms INTEGER; -- since 1970, UTC; null in earlier rows
  UPDATE programs SET absolute_source_path = source_path;

  ${logProgramsWith("absolute_source_path loaded_at_ms")}
  `,
  `
  -- The history keeps its newest entries. These can be neither changed nor deleted.
  DROP TRIGGER operations_stay;
  DELETE FROM operations WHERE operation_id <= (SELECT max(operation_id) FROM operations) - ${OPERATIONS_MAX};
  CREATE TRIGGER operations_stay BEFORE DELETE ON operations
    WHEN OLD.operation_id > (SELECT max(operation_id) FROM operations) - ${OPERATIONS_MAX}
    BEGIN SELECT RAISE(ABORT, 'the history of operations is append-only'); END;
  CREATE TRIGGER operations_trim AFTER INSERT ON operations
    BEGIN DELETE FROM operations WHERE operation_id <= NEW.operation_id - ${OPERATIONS_MAX}; END;

  -- Null where it is not known, and in earlier rows.
  ALTER TABLE operations ADD COLUMN login_uid INTEGER;
  ALTER TABLE operations ADD COLUMN sudo_uid INTEGER;
  ALTER TABLE operations ADD COLUMN parent_command TEXT;
  `,
  `
  ALTER TABLE programs ADD COLUMN bytecode_digest TEXT; -- SHA-256 in hexadecimal; null in earlier rows

  ${logProgramsWith("absolute_source_path loaded_at_ms bytecode_digest")}
  `,
  `
  -- What became of a program: another one was put in its place, or it was loaded again after a reboot.
  CREATE TABLE successors (
    boot_id           TEXT    NOT NULL,
    program_id        INTEGER NOT NULL,
    successor_boot_id TEXT    NOT NULL,
    successor_id      INTEGER NOT NULL,
    PRIMARY KEY (boot_id, program_id)
  ) STRICT;

  -- Whether it is to come back after a reboot by itself.
  ALTER TABLE programs ADD COLUMN keep INTEGER NOT NULL DEFAULT 0 CHECK (keep IN (0, 1));

  -- What made it: the name of the desired state that was applied. Null for what was made one by one.
  ALTER TABLE programs ADD COLUMN applied TEXT;
  ALTER TABLE links ADD COLUMN applied TEXT;

  DROP TRIGGER links_moved;
  CREATE TRIGGER links_moved AFTER UPDATE ON links
    WHEN OLD.announced = 1 AND NEW.state = 'ready' AND (OLD.details IS NOT NEW.details OR OLD.program_id <> NEW.program_id
      OR OLD.kernel_link_id IS NOT NEW.kernel_link_id OR OLD.pin_path IS NOT NEW.pin_path)
    BEGIN ${logLink("link/didUpdate", "NEW")} END;
  `,
  `
  -- Links of an earlier boot whose program is loaded again. They keep their ids when they come back, and go with the program.
  CREATE TABLE wishes (
    link_id       INTEGER PRIMARY KEY,
    boot_id       TEXT    NOT NULL,
    program_id    INTEGER NOT NULL,
    details       TEXT    NOT NULL,
    metadata      TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    xdp_mode      TEXT,
    applied       TEXT,
    FOREIGN KEY (boot_id, program_id) REFERENCES programs (boot_id, program_id) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX wishes_of_program ON wishes (boot_id, program_id);
  CREATE TRIGGER wishes_granted AFTER UPDATE ON links WHEN NEW.state = 'ready'
    BEGIN DELETE FROM wishes WHERE link_id = NEW.link_id; END;

  -- Of an earlier boot: it could not be restored, and is still to be, however many boots ago it was.
  ALTER TABLE programs ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1));

  ${logProgramsWith("absolute_source_path loaded_at_ms bytecode_digest keep")}
  `,
  `
  -- What is published for containers: BPF file systems with the maps of programs. Written before anything is mounted, deleted
  -- after the last of it has gone.
  CREATE TABLE volumes (
    boot_id     TEXT    NOT NULL,
    volume_id   TEXT    NOT NULL,
    is_ready    INTEGER NOT NULL CHECK (is_ready IN (0, 1)), -- 0 while it is being made or removed
    target_path TEXT    NOT NULL,
    program     TEXT    NOT NULL, -- what the metadata of the programs have
    maps        TEXT    NOT NULL, -- JSON [name]
    read_only   INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    gid         INTEGER,          -- the group that may use the maps; null is only root
    device      INTEGER,          -- of the file system; null before it is mounted
    PRIMARY KEY (boot_id, volume_id)
  ) STRICT;
  `,
  `
  -- The change log's rows, once for all triggers: each command parses the whole schema.
  ${viewOf(
    "program_records",
    "programs",
    "boot_id, program_id",
    `${LOGGED.programs} absolute_source_path loaded_at_ms bytecode_digest keep`,
  )}
  ${viewOf("link_records", "links", "link_id", LOGGED.links)}

  DROP TRIGGER programs_came;
  DROP TRIGGER programs_settled;
  DROP TRIGGER programs_gone;
  -- Then programs_settled announces it.
  CREATE TRIGGER programs_came AFTER INSERT ON programs WHEN NEW.state = 'ready'
    BEGIN UPDATE programs SET announced = 0 WHERE boot_id = NEW.boot_id AND program_id = NEW.program_id; END;
  CREATE TRIGGER programs_settled AFTER UPDATE ON programs WHEN NEW.state = 'ready' AND NEW.announced = 0
    BEGIN ${announceProgram} ${logFrom("program_records", "program/didLoad", "NEW", PROGRAM_KEY, ["program_id"])} END;
  CREATE TRIGGER programs_gone BEFORE DELETE ON programs WHEN OLD.announced = 1
    BEGIN ${logFrom("program_records", "program/didUnload", "OLD", PROGRAM_KEY, ["program_id"])} END;

  DROP TRIGGER links_settled;
  DROP TRIGGER links_moved;
  DROP TRIGGER links_gone;
  CREATE TRIGGER links_settled AFTER UPDATE ON links WHEN NEW.state = 'ready' AND NEW.announced = 0
    BEGIN ${announceLink} ${logFrom("link_records", "link/didAttach", "NEW", ["link_id"], LINK_SUBJECT)} END;
  CREATE TRIGGER links_moved AFTER UPDATE ON links
    WHEN OLD.announced = 1 AND NEW.state = 'ready' AND (OLD.details IS NOT NEW.details OR OLD.program_id <> NEW.program_id
      OR OLD.kernel_link_id IS NOT NEW.kernel_link_id OR OLD.pin_path IS NOT NEW.pin_path)
    BEGIN ${logFrom("link_records", "link/didUpdate", "NEW", ["link_id"], LINK_SUBJECT)} END;
  CREATE TRIGGER links_gone BEFORE DELETE ON links WHEN OLD.announced = 1
    BEGIN ${logFrom("link_records", "link/didDetach", "OLD", ["link_id"], LINK_SUBJECT)} END;
  `,
];
