-- Ids are UUID version 7 in 16 bytes; times are microseconds since 1970; flags are 0 or 1.
-- Every table that grows begins its primary key with site_id. The PostgreSQL twin has the same tables and columns.
-- Only tables with short rows are `without rowid`: there SQLite moves what is longer than a quarter of a page to a page
-- of its own.

create table setting (
    name  text primary key,
    value text not null
) strict, without rowid;

-- Moves on whenever sites, people or their keys change, so that other processes notice.
create table revision (
    id integer primary key check (id = 1),
    n  integer not null
) strict;
insert into revision (id, n) values (1, 1);

create table site (
    id            blob primary key,
    key           text not null unique,
    name          text not null,
    origins       text not null,                    -- JSON array of origins
    api_key_hash  blob not null,
    door_key_hash blob not null,
    created_at    integer not null,
    disabled_at   integer
) strict, without rowid;

create table moderator (
    id            blob primary key,
    name          text not null unique,
    role          text not null,
    every_site    integer not null,                 -- 1: all sites; 0: those of moderator_site
    password_hash text,
    created_at    integer not null,
    disabled_at   integer
) strict, without rowid;

create table moderator_site (
    moderator_id blob not null references moderator (id),
    site_id      blob not null references site (id),
    primary key (moderator_id, site_id)
) strict, without rowid;

-- Tries to log in since the last that went well, by a keyed hash of the name that was typed: names that nobody has are
-- slowed down like the others.
create table login_attempt (
    name_mark   blob primary key,
    failures    integer not null,
    next_try_at integer not null
) strict, without rowid;

create table session (
    token_hash   blob primary key,
    moderator_id blob not null references moderator (id),
    created_at   integer not null,
    seen_at      integer not null,
    expires_at   integer not null
) strict, without rowid;
create index session_moderator on session (moderator_id, created_at);

create table api_token (
    id           blob primary key,
    token_hash   blob not null unique,
    moderator_id blob not null references moderator (id),
    created_at   integer not null,
    revoked_at   integer
) strict, without rowid;

create table setup_link (
    token_hash blob primary key,
    expires_at integer not null
) strict, without rowid;

create table thread (
    site_id    blob not null references site (id),
    id         blob not null,
    key        text not null,
    url        text,
    title      text,
    created_at integer not null,
    closed_at  integer,
    visible    integer not null,                    -- comments that readers see
    approved   integer not null,
    pending    integer not null,
    rejected   integer not null,
    withdrawn  integer not null,
    changes    integer not null,                    -- moves on with every change that readers can see
    primary key (site_id, id),
    unique (site_id, key)
) strict, without rowid;

create table comment (
    site_id        blob not null,
    id             blob not null,
    thread_id      blob not null,
    parent_id      blob,
    depth          integer not null,
    status         text not null check (status in ('approved', 'pending', 'rejected', 'withdrawn')),
    version        integer not null,                -- the latest text
    public_version integer,                         -- the text that readers see, if they see one
    answer         text not null,                   -- what the first answer said; a retry gets it again
    label          text,                            -- why not, of the standing verdict or decision
    risk           real not null,                   -- most points relative to a rejecting threshold
    author_id      blob not null,
    author_proven  integer not null,
    author_name    text,
    author_url     text,
    email_sealed   blob,
    email_index    blob,
    typed_mark     blob,
    network_sealed blob,
    client_family  text,
    created_at     integer not null,
    edited_at      integer,
    edit_until     integer not null,
    quiet_until    integer,                         -- until then the receipt reads pending
    decided_at     integer,
    reports        integer not null default 0,
    lease_by       blob,
    lease_until    integer not null default 0,
    events         integer not null,                -- the number of the last event
    primary key (site_id, id),
    foreign key (site_id, thread_id) references thread (site_id, id)
) strict;
create index comment_id on comment (id);               -- which site a comment belongs to
create index comment_public on comment (site_id, thread_id, id) where public_version is not null;
create index comment_queue_age on comment (site_id, id) where status = 'pending';
create index comment_queue_risk on comment (site_id, risk, id) where status = 'pending';
create index comment_queue_reports on comment (site_id, reports, id) where status = 'pending';
create index comment_author on comment (site_id, author_id, id);
create index comment_email on comment (site_id, email_index) where email_index is not null;

create table comment_version (
    site_id    blob not null,
    comment_id blob not null,
    version    integer not null,
    body       text not null,
    created_at integer not null,
    primary key (site_id, comment_id, version)
) strict;

create table verdict (
    site_id      blob not null,
    comment_id   blob not null,
    version      integer not null,
    outcome      text not null,
    label        text,
    points       text not null,                     -- JSON, by label
    findings     text not null,                     -- JSON array
    reply        text,                              -- what the deciding rule lets the author read
    degraded     text,
    rule_set     text not null,
    models       text not null,                     -- JSON, by name
    facts        text not null,                     -- JSON with a format number
    facts_sealed blob,                              -- facts that come from the address or the network
    judged_at    integer not null,
    primary key (site_id, comment_id, version)
) strict;

create table finding (
    site_id    blob not null,
    rule       text not null,
    comment_id blob not null,
    version    integer not null,
    label      text not null,
    points     real not null,
    shadow     integer not null,
    primary key (site_id, rule, comment_id, version)
) strict, without rowid;

create table decision (
    site_id         blob not null,
    id              blob not null,
    batch_id        blob not null,                  -- decisions taken together are undone together
    comment_id      blob not null,
    version         integer not null,
    decision        text not null,
    label           text,
    note            text,
    moderator_id    blob not null,
    decided_at      integer not null,
    before          text not null,                  -- JSON: what undo restores
    undone_at       integer,
    undone_by       blob,
    primary key (site_id, id)
) strict;
create index decision_comment on decision (site_id, comment_id, id);
create index decision_batch on decision (batch_id);
create index decision_id on decision (id);

create table report (
    site_id      blob not null,
    comment_id   blob not null,
    network_mark blob not null,                     -- one report a network and day
    reason       text not null,
    created_at   integer not null,
    primary key (site_id, comment_id, network_mark)
) strict;

create table appeal (
    site_id    blob not null,
    comment_id blob not null,
    text       text not null,
    created_at integer not null,
    primary key (site_id, comment_id)
) strict;

-- How comments of one proven author, or of one typed name with address, have fared. The mark is the author's id or
-- a keyed hash of what was typed.
create table author_record (
    site_id    blob not null,
    mark       blob not null,
    approved   integer not null,
    pending    integer not null,
    rejected   integer not null,
    first_seen integer not null,
    primary key (site_id, mark)
) strict, without rowid;

create table duplicate_mark (
    site_id    blob not null,
    mark       blob not null,
    comment_id blob not null,
    created_at integer not null,
    primary key (site_id, mark)
) strict, without rowid;
create index duplicate_mark_comment on duplicate_mark (site_id, comment_id);

create table idempotency (
    site_id      blob not null,
    mark         blob not null,
    content_hash blob not null,
    comment_id   blob not null,
    created_at   integer not null,
    primary key (site_id, mark)
) strict, without rowid;
create index idempotency_age on idempotency (created_at);

-- Pending comments by site and label ('' is none), kept in step by every write.
create table queue_count (
    site_id blob not null,
    label   text not null,
    n       integer not null,
    primary key (site_id, label)
) strict, without rowid;

create table event (
    site_id    blob not null,
    comment_id blob not null,
    seq        integer not null,                    -- 1, 2, 3 … for each comment, without gaps
    id         blob not null,
    kind       text not null,
    data       text not null,                       -- JSON
    created_at integer not null,
    due_at     integer,                             -- not before; null when nobody waits for it
    sent_at    integer,
    primary key (site_id, comment_id, seq)
) strict, without rowid;
create index event_due on event (due_at) where due_at is not null and sent_at is null;

create table audit (
    seq        integer primary key,
    created_at integer not null,
    actor      text not null,
    site_id    blob,
    action     text not null,
    subject    text not null,
    data       text not null,
    hash       blob not null                        -- keyed, over this row and the hash before it
) strict;
