-- Ids are UUID version 7; times are microseconds since 1970.
-- Every table that grows begins its primary key with site_id. The SQLite twin has the same tables and columns.

create table setting (
    name  text primary key,
    value text not null
);

-- Moves on whenever sites, people or their keys change, so that other processes notice.
create table revision (
    id bigint primary key check (id = 1),
    n  bigint not null
);
insert into revision (id, n) values (1, 1);

create table site (
    id            uuid primary key,
    key           text not null unique,
    name          text not null,
    origins       jsonb not null,                    -- JSON array of origins
    api_key_hash  bytea not null,
    door_key_hash bytea not null,
    created_at    bigint not null,
    disabled_at   bigint
);

create table moderator (
    id            uuid primary key,
    name          text not null unique,
    role          text not null,
    every_site    boolean not null,                 -- all sites; else those of moderator_site
    password_hash text,
    created_at    bigint not null,
    disabled_at   bigint
);

create table moderator_site (
    moderator_id uuid not null references moderator (id),
    site_id      uuid not null references site (id),
    primary key (moderator_id, site_id)
);

-- Tries to log in since the last that went well, by a keyed hash of the name that was typed: names that nobody has are
-- slowed down like the others.
create table login_attempt (
    name_mark   bytea primary key,
    failures    bigint not null,
    next_try_at bigint not null
);

create table session (
    token_hash   bytea primary key,
    moderator_id uuid not null references moderator (id),
    created_at   bigint not null,
    seen_at      bigint not null,
    expires_at   bigint not null
);
create index session_moderator on session (moderator_id, created_at);

create table api_token (
    id           uuid primary key,
    token_hash   bytea not null unique,
    moderator_id uuid not null references moderator (id),
    created_at   bigint not null,
    revoked_at   bigint
);

create table setup_link (
    token_hash bytea primary key,
    expires_at bigint not null
);

create table thread (
    site_id    uuid not null references site (id),
    id         uuid not null,
    key        text not null,
    url        text,
    title      text,
    created_at bigint not null,
    closed_at  bigint,
    visible    bigint not null,                    -- comments that readers see
    approved   bigint not null,
    pending    bigint not null,
    rejected   bigint not null,
    withdrawn  bigint not null,
    changes    bigint not null,                    -- moves on with every change that readers can see
    primary key (site_id, id),
    unique (site_id, key)
);

create table comment (
    site_id        uuid not null,
    id             uuid not null,
    thread_id      uuid not null,
    parent_id      uuid,
    depth          bigint not null,
    status         text not null check (status in ('approved', 'pending', 'rejected', 'withdrawn')),
    version        bigint not null,                -- the latest text
    public_version bigint,                         -- the text that readers see, if they see one
    answer         text not null,                   -- what the first answer said; a retry gets it again
    label          text,                            -- why not, of the standing verdict or decision
    risk           double precision not null,                   -- most points relative to a rejecting threshold
    author_id      uuid not null,
    author_proven  boolean not null,
    author_name    text,
    author_url     text,
    email_sealed   bytea,
    email_index    bytea,
    typed_mark     uuid,
    network_sealed bytea,
    client_family  text,
    created_at     bigint not null,
    edited_at      bigint,
    edit_until     bigint not null,
    quiet_until    bigint,                         -- until then the receipt reads pending
    decided_at     bigint,
    reports        bigint not null default 0,
    lease_by       uuid,
    lease_until    bigint not null default 0,
    events         bigint not null,                -- the number of the last event
    primary key (site_id, id),
    foreign key (site_id, thread_id) references thread (site_id, id)
);
create index comment_id on comment (id);               -- which site a comment belongs to
create index comment_public on comment (site_id, thread_id, id) where public_version is not null;
create index comment_queue_age on comment (site_id, id) where status = 'pending';
create index comment_queue_risk on comment (site_id, risk, id) where status = 'pending';
create index comment_queue_reports on comment (site_id, reports, id) where status = 'pending';
create index comment_author on comment (site_id, author_id, id);
create index comment_email on comment (site_id, email_index) where email_index is not null;

create table comment_version (
    site_id    uuid not null,
    comment_id uuid not null,
    version    bigint not null,
    body       text not null,
    created_at bigint not null,
    primary key (site_id, comment_id, version)
);

create table verdict (
    site_id      uuid not null,
    comment_id   uuid not null,
    version      bigint not null,
    outcome      text not null,
    label        text,
    points       jsonb not null,                     -- JSON, by label
    findings     jsonb not null,                     -- JSON array
    reply        text,                              -- what the deciding rule lets the author read
    degraded     text,
    rule_set     text not null,
    models       jsonb not null,                     -- JSON, by name
    facts        jsonb not null,                     -- JSON with a format number
    facts_sealed bytea,                              -- facts that come from the address or the network
    judged_at    bigint not null,
    primary key (site_id, comment_id, version)
);

create table finding (
    site_id    uuid not null,
    rule       text not null,
    comment_id uuid not null,
    version    bigint not null,
    label      text not null,
    points     double precision not null,
    shadow     boolean not null,
    primary key (site_id, rule, comment_id, version)
);

create table decision (
    site_id         uuid not null,
    id              uuid not null,
    batch_id        uuid not null,                  -- decisions taken together are undone together
    comment_id      uuid not null,
    version         bigint not null,
    decision        text not null,
    label           text,
    note            text,
    moderator_id    uuid not null,
    decided_at      bigint not null,
    before          jsonb not null,                  -- JSON: what undo restores
    undone_at       bigint,
    undone_by       uuid,
    primary key (site_id, id)
);
create index decision_comment on decision (site_id, comment_id, id);
create index decision_batch on decision (batch_id);
create index decision_id on decision (id);

create table report (
    site_id      uuid not null,
    comment_id   uuid not null,
    network_mark bytea not null,                     -- one report a network and day
    reason       text not null,
    created_at   bigint not null,
    primary key (site_id, comment_id, network_mark)
);

create table appeal (
    site_id    uuid not null,
    comment_id uuid not null,
    text       text not null,
    created_at bigint not null,
    primary key (site_id, comment_id)
);

-- How comments of one proven author, or of one typed name with address, have fared. The mark is the author's id or
-- a keyed hash of what was typed.
create table author_record (
    site_id    uuid not null,
    mark       uuid not null,
    approved   bigint not null,
    pending    bigint not null,
    rejected   bigint not null,
    first_seen bigint not null,
    primary key (site_id, mark)
);

create table duplicate_mark (
    site_id    uuid not null,
    mark       uuid not null,
    comment_id uuid not null,
    created_at bigint not null,
    primary key (site_id, mark)
);
create index duplicate_mark_comment on duplicate_mark (site_id, comment_id);

create table idempotency (
    site_id      uuid not null,
    mark         uuid not null,
    content_hash bytea not null,
    comment_id   uuid not null,
    created_at   bigint not null,
    primary key (site_id, mark)
);
create index idempotency_age on idempotency (created_at);

-- Pending comments by site and label ('' is none), kept in step by every write.
create table queue_count (
    site_id uuid not null,
    label   text not null,
    n       bigint not null,
    primary key (site_id, label)
);

create table event (
    site_id    uuid not null,
    comment_id uuid not null,
    seq        bigint not null,                    -- 1, 2, 3 … for each comment, without gaps
    id         uuid not null,
    kind       text not null,
    data       jsonb not null,                       -- JSON
    created_at bigint not null,
    due_at     bigint,                             -- not before; null when nobody waits for it
    sent_at    bigint,
    primary key (site_id, comment_id, seq)
);
create index event_due on event (due_at) where due_at is not null and sent_at is null;

create table audit (
    seq        bigint primary key,
    created_at bigint not null,
    actor      text not null,
    site_id    uuid,
    action     text not null,
    subject    text not null,
    data       jsonb not null,
    hash       bytea not null                        -- keyed, over this row and the hash before it
);
