//! Every page, filled with invented people and texts: for the tests, and for looking at.
//!
//! Each string a stranger could have typed goes through the function a sample is made with, so that a test can put
//! the same text into all of them.

use std::sync::Arc;
use std::time::Duration;

use super::card::{
    Appeal, Author, Case, Claim, Decided, Post, Quoted, Report, VerdictView, Written,
};
use super::console::{
    AuditLine, AuditPage, CasePage, Last, Left, LeftLine, LoginPage, Notice, QueueFilter,
    QueuePage, QueueRow, RuleLine, RuleProblem, RulesPage, Section, SetupPage, Shell, SiteChoice,
    ThresholdLine,
};
use super::reader::{
    AppealState, BackTo, DemoPage, EditView, FormErrorsPage, ProblemPage, ReceiptPage, Refusal,
    RefusedPage, ReplyForm, ReplyTo, SubmittedPage, ThreadComment,
};
use super::{CommentHtml, FieldNote, When};
use crate::domain::verdict::{Action, Evaluation, Place, Threshold, decide};
use crate::domain::{
    CommentId, DecisionId, Field, Finding, Label, Points, QueueOrder, Role, Span, Status,
    Thresholds, Timestamp, Version,
};
use crate::web::avatar;

/// What a stranger typed, or something else in its place.
pub(super) type Typed<'a> = &'a dyn Fn(&str) -> String;

/// Leaves what was typed as it is.
pub(super) fn as_typed(text: &str) -> String {
    text.to_owned()
}

const NOW: Timestamp = Timestamp(1_795_489_456_000_000);

fn ago(minutes: u64) -> When {
    When::new(NOW.minus(Duration::from_secs(minutes * 60)), NOW)
}

fn ahead(minutes: u64) -> When {
    When::new(NOW.plus(Duration::from_secs(minutes * 60)), NOW)
}

fn id(n: u8) -> CommentId {
    CommentId(crate::domain::id::from_parts(1_795_489_000_000, [n; 10]))
}

/// Name and HTML of every page.
pub(super) fn all_pages(t: Typed<'_>) -> Vec<(&'static str, String)> {
    let html = |page: &dyn askama::DynTemplate| page.dyn_render().expect("a page renders");
    vec![
        ("demo", html(&demo(t, false))),
        ("demo-pending", html(&demo(t, true))),
        ("submitted-waiting", html(&submitted(t, false))),
        ("submitted-published", html(&submitted(t, true))),
        ("refused", html(&refused(t))),
        ("form-errors", html(&form_errors(t))),
        ("form-again", html(&form_again(t))),
        ("receipt-pending", html(&receipt(t, Status::Pending))),
        ("receipt-rejected", html(&receipt(t, Status::Rejected))),
        ("receipt-approved", html(&receipt(t, Status::Approved))),
        ("receipt-withdrawn", html(&receipt(t, Status::Withdrawn))),
        (
            "problem-404",
            html(&problem(
                404,
                "No such page",
                "There is nothing at this address. It may have been mistyped, or taken down.",
            )),
        ),
        ("problem-429", html(&busy(t))),
        ("setup", html(&setup(t, true))),
        ("setup-late", html(&setup(t, false))),
        ("login", html(&login(t))),
        ("queue", html(&queue(t, shell(Section::Queue, None)))),
        (
            "queue-decided",
            html(&queue(
                t,
                shell(
                    Section::Queue,
                    Some(Notice::Decided {
                        what: t("Rejected as spam: Lukas Brenner"),
                        undo: Some(decision(7)),
                        left: Left::default(),
                    }),
                ),
            )),
        ),
        (
            "queue-conflict",
            html(&queue(
                t,
                shell(Section::Queue, Some(Notice::Conflict { left: left(t) })),
            )),
        ),
        (
            "queue-decided-in-part",
            html(&queue(
                t,
                shell(
                    Section::Queue,
                    Some(Notice::Decided {
                        what: t("7 comments rejected as spam"),
                        undo: Some(decision(7)),
                        left: left(t),
                    }),
                ),
            )),
        ),
        (
            "queue-last",
            html(&queue(
                t,
                Shell {
                    last: Some(Last {
                        what: t("Rejected as spam: Lukas Brenner"),
                        id: decision(7),
                    }),
                    ..shell(Section::Queue, None)
                },
            )),
        ),
        ("queue-abuse", html(&queue_abuse(t))),
        ("queue-empty", html(&queue_empty(t))),
        ("queue-empty-narrow", html(&queue_empty_narrow(t))),
        ("case", html(&case_page(t))),
        ("audit", html(&audit(t))),
        ("rules", html(&rules(t, false))),
        ("rules-broken", html(&rules(t, true))),
    ]
}

fn decision(n: u8) -> DecisionId {
    DecisionId(crate::domain::id::from_parts(1_795_489_000_000, [n; 10]))
}

fn back(t: Typed<'_>) -> BackTo {
    BackTo {
        href: t("https://blog.example/2026/09/sker-point/"),
        title: t("The lamp at Sker Point"),
    }
}

fn thread_comment(
    t: Typed<'_>,
    n: u8,
    parent: Option<u8>,
    name: &str,
    html: &str,
    minutes: u64,
) -> ThreadComment {
    ThreadComment {
        id: id(n).to_string(),
        parent: parent.map(|n| id(n).to_string()),
        name: t(name),
        url: n.is_multiple_of(2).then(|| t("https://tern.example/")),
        avatar: avatar::data_uri(name.as_bytes()),
        html: CommentHtml::from_allow_list(html.to_owned()),
        at: ago(minutes),
        is_edited: n == 3,
    }
}

fn form(t: Typed<'_>) -> ReplyForm {
    ReplyForm {
        site: "demo".to_owned(),
        thread: t("/demo"),
        parent: None,
        redirect: Some(t("https://blog.example/demo")),
        stamp: "1795489456.c3RhbXA".to_owned(),
        trap_field: "company".to_owned(),
        name: String::new(),
        url: String::new(),
        body: String::new(),
        notes: Vec::new(),
        is_open: true,
        is_on_post: true,
    }
}

fn demo(t: Typed<'_>, is_pending: bool) -> DemoPage {
    DemoPage {
        nonce: "abc".to_owned(),
        comments: vec![
            thread_comment(
                t,
                1,
                None,
                "Marit Solheim",
                "<p>My grandfather kept a light in Finnmark and wrote the same three words most nights. I have his last ledger. The final page says <em>nothing to note</em>, and below it, in another hand, the date the cabinet came.</p>",
                60 * 26,
            ),
            thread_comment(
                t,
                2,
                Some(1),
                "tern",
                "<p>Is it legible? The archive in Tromsø takes scans.</p>",
                60 * 20,
            ),
            thread_comment(
                t,
                3,
                Some(2),
                "Marit Solheim",
                "<p>Very. He was proud of his sevens. I will write to them, thank you.</p>",
                60 * 19,
            ),
            thread_comment(
                t,
                4,
                None,
                "O. Achterberg",
                "<p>Two things:</p><ul><li>The stones were limewashed until 1990 or so.</li><li>Ninety-two steps, if you count the sill.</li></ul><blockquote><p>it would be rude to stop</p></blockquote><p>Quite.</p>",
                90,
            ),
        ],
        form: form(t),
        is_pending,
    }
}

fn submitted(t: Typed<'_>, is_published: bool) -> SubmittedPage {
    SubmittedPage {
        is_published,
        name: t("Ines Carvalho"),
        text: t("I walked out there in June.\n\nThe wren is still about, or a wren is."),
        receipt_href: "/c/019f?receipt=abc".to_owned(),
        back: Some(back(t)),
        edit_until: Some(ahead(15)),
    }
}

fn refused(t: Typed<'_>) -> RefusedPage {
    RefusedPage {
        reply: t(
            "Comments with more than five links are not published here. You are welcome to try again with fewer.",
        ),
        text: t("Compare these: https://a.example https://b.example https://c.example"),
        receipt_href: "/c/019f?receipt=abc".to_owned(),
        back: Some(back(t)),
    }
}

fn form_errors(t: Typed<'_>) -> FormErrorsPage {
    FormErrorsPage {
        form: ReplyForm {
            parent: Some(ReplyTo {
                id: id(1).to_string(),
                name: t("Marit Solheim"),
            }),
            name: t("Ines Carvalho"),
            url: t("tern dot example"),
            body: t("I walked out there in June.\n\nThe wren is still about, or a wren is."),
            notes: vec![
                FieldNote::new(
                    "email",
                    t("this is not an e-mail address; it should look like name@example.org"),
                ),
                FieldNote::new(
                    "url",
                    t("this is not a web address; it should start with https:// or http://"),
                ),
            ],
            is_on_post: false,
            ..form(t)
        },
        refusal: None,
        retry_after_s: None,
        back: Some(back(t)),
    }
}

fn form_again(t: Typed<'_>) -> FormErrorsPage {
    let mut page = form_errors(t);
    page.form.notes.clear();
    page.refusal = Some(Refusal {
        title: "That was a lot at once",
        reason: "More comments arrived here than can be taken at a time.",
    });
    page.retry_after_s = Some(40);
    page
}

fn receipt(t: Typed<'_>, status: Status) -> ReceiptPage {
    let is_live = matches!(status, Status::Pending | Status::Approved);
    ReceiptPage {
        id: id(9).to_string(),
        receipt: "r1.abcdef".to_owned(),
        status,
        label: (status == Status::Rejected).then_some(Label::Abuse),
        reply: None,
        name: t("Ines Carvalho"),
        text: t("I walked out there in June.\n\nThe wren is still about, or a wren is."),
        at: ago(4),
        version: 2,
        edit: (status == Status::Approved).then(|| EditView {
            is_refused: true,
            label: Some(Label::Spam),
            reply: None,
            text: t("I walked out there in June. Cheap boots at boots.example!"),
        }),
        post: Some(back(t)),
        edit_until: is_live.then(|| ahead(11)),
        can_withdraw: status != Status::Withdrawn,
        appeal: match status {
            Status::Rejected => AppealState::Open,
            Status::Withdrawn => AppealState::Sent(t("I meant the weather, not the man.")),
            Status::Approved | Status::Pending => AppealState::None,
        },
        notice: (status == Status::Approved).then(|| t("Your change is saved.")),
        notes: match status {
            Status::Pending => vec![FieldNote::new("body", t("this field is required"))],
            _ => Vec::new(),
        },
        typed: (status == Status::Pending).then(|| t("I walked out there")),
    }
}

fn problem(status: u16, title: &str, detail: &str) -> ProblemPage {
    ProblemPage::new(status, title, detail)
}

fn busy(t: Typed<'_>) -> ProblemPage {
    ProblemPage {
        retry_after_s: Some(40),
        request_id: Some("019f3c1e".to_owned()),
        back: Some(back(t)),
        typed: Some(t("What I wanted to say about the wren")),
        ..ProblemPage::new(
            429,
            t("That was a lot at once"),
            t("From your network more comments arrived than one person writes."),
        )
    }
}

fn setup(t: Typed<'_>, has_token: bool) -> SetupPage {
    SetupPage {
        token: has_token.then(|| "one-time".to_owned()),
        name: t("ada"),
        notes: vec![FieldNote::new(
            "password",
            t("This password is on the list of those that are tried first. Please choose another."),
        )],
        password_min: 15,
    }
}

fn login(t: Typed<'_>) -> LoginPage {
    LoginPage {
        csrf: "csrf".to_owned(),
        name: t("ada"),
        next: t("/console"),
        error: Some(t("Name and password do not belong together.")),
        hint: Some(t("You have been logged out.")),
    }
}

fn shell(section: Section, notice: Option<Notice>) -> Shell {
    Shell {
        nonce: "abc".to_owned(),
        csrf: "csrf".to_owned(),
        moderator: "ada".to_owned(),
        role: Role::Admin,
        section,
        waiting: 1_284,
        warning: None,
        notice,
        last: None,
    }
}

fn left(t: Typed<'_>) -> Left {
    Left {
        lines: vec![LeftLine {
            id: id(3),
            name: t("Lukas Brenner"),
            why: t("Ada approved this just now"),
        }],
        total: 2,
    }
}

fn finding(rule: &str, label: Label, points: f64, message: String, spans: Vec<Span>) -> Finding {
    Finding {
        rule: Arc::from(rule),
        label,
        points,
        message,
        places: if spans.is_empty() {
            Vec::new()
        } else {
            vec![Place {
                field: Field::Body,
                spans,
            }]
        },
        action: Action::Score,
        shadow: false,
        evasion: false,
        removed_by: None,
    }
}

/// Where `word` stands in `text`, as often as it does.
fn spans(text: &str, word: &str) -> Vec<Span> {
    text.match_indices(word)
        .filter_map(|(at, word)| {
            Some(Span {
                start: u32::try_from(at).ok()?,
                end: u32::try_from(at + word.len()).ok()?,
            })
        })
        .collect()
}

fn thresholds() -> Thresholds {
    let usual = Threshold {
        hold: 4.0,
        reject: 10.0,
        margin: 0.5,
    };
    let abuse = Threshold {
        reject: 8.0,
        ..usual
    };
    Thresholds([usual, abuse, usual, usual])
}

fn view(findings: Vec<Finding>) -> VerdictView {
    let mut points = Points::default();
    for finding in findings.iter().filter(|f| !f.shadow) {
        points.add(finding.label, finding.points);
    }
    let verdict = decide(
        Evaluation {
            findings,
            points,
            ..Evaluation::default()
        },
        &thresholds(),
    );
    VerdictView::of(
        &verdict,
        Some(&thresholds()),
        "sha256:9f2c4be17a08d3c55e1b6a",
    )
}

fn spam_case(t: Typed<'_>) -> Case {
    let text = "Great post, I never thought about ledgers this way! \u{1f44f}\n\nFor anyone who wants to stop smoking like I did, the p1lls at https://calm-leaf.example/start changed my life, and https://calm-leaf.example/order still has the half price offer. Also on https://bestdeals.example. Message me on What\u{200b}sApp +00 555 0100.";
    let mut disguise = finding(
        "words.pharma",
        Label::Spam,
        2.5,
        t("a word from the list of medicines"),
        spans(text, "p1lls"),
    );
    disguise.evasion = true;
    let mut trial = finding(
        "links.fresh",
        Label::Spam,
        1.5,
        t("a domain nobody has linked to before"),
        Vec::new(),
    );
    trial.shadow = true;
    let verdict = view(vec![
        finding(
            "links.stranger",
            Label::Spam,
            3.5,
            t("3 links from a new author"),
            [
                spans(text, "https://calm-leaf.example/start"),
                spans(text, "https://calm-leaf.example/order"),
                spans(text, "https://bestdeals.example"),
            ]
            .concat(),
        ),
        disguise,
        finding(
            "contact.messenger",
            Label::Spam,
            2.0,
            t("a messenger's number"),
            spans(text, "What\u{200b}sApp +00 555 0100"),
        ),
        finding(
            "praise.empty",
            Label::Quality,
            0.5,
            t("praise that would fit any post"),
            spans(text, "Great post"),
        ),
        trial,
    ]);
    let name = "Jonas at Calm Leaf";
    Case {
        id: id(1),
        status: Status::Pending,
        version: Version(1),
        text: t(text),
        at: ago(12),
        edited: None,
        author: Author {
            name: t(name),
            url: Some(t("https://calm-leaf.example/?ref=blog")),
            avatar: avatar::data_uri(name.as_bytes()),
            ..Author::default()
        },
        post: Post {
            site: "walks".to_owned(),
            site_name: t("Slow Walks"),
            key: t("/2026/09/sker-point/"),
            title: Some(t("The lamp at Sker Point")),
            url: Some(t("https://blog.example/2026/09/sker-point/")),
        },
        parent: None,
        verdict: Some(verdict),
        reports: Vec::new(),
        n_reports: 0,
        lease: None,
        appeal: None,
        earlier: Vec::new(),
        n_alike: 3,
    }
}

fn abuse_case(t: Typed<'_>) -> Case {
    let text = "You clearly have not read the tide tables and you never will, you pompous windbag. People like you should be thrown off the cliff path. \u{202e}sdrawkcab siht daer\u{202c} if you can.";
    let verdict = view(vec![
        finding(
            "abuse.violence",
            Label::Abuse,
            5.0,
            t("a wish that somebody comes to harm"),
            spans(text, "People like you should be thrown off the cliff path"),
        ),
        finding(
            "abuse.insult",
            Label::Abuse,
            2.0,
            t("an insult at the reader"),
            spans(text, "you pompous windbag"),
        ),
        finding(
            "author.regular",
            Label::Abuse,
            -1.5,
            t("14 approved comments before"),
            Vec::new(),
        ),
    ]);
    let name = "Harbour Pilot";
    Case {
        id: id(2),
        status: Status::Pending,
        version: Version(2),
        text: t(text),
        at: ago(95),
        edited: Some(ago(90)),
        author: Author {
            name: t(name),
            url: None,
            avatar: avatar::data_uri(name.as_bytes()),
            is_proven: true,
            approved: 14,
            rejected: 1,
            pending: 1,
            first_seen: Some(ago(60 * 24 * 400)),
        },
        parent: Some(quoted(
            t,
            3,
            "O. Achterberg",
            "The stones were limewashed until 1990 or so. Ninety-two steps, if you count the sill.",
            120,
            Status::Approved,
        )),
        verdict: Some(verdict),
        reports: vec![
            Report {
                reason: t("He does this under every post about the coast."),
                at: ago(40),
            },
            Report {
                reason: t("threat"),
                at: ago(30),
            },
        ],
        n_reports: 2,
        lease: Some(Claim {
            by: t("Bashir"),
            until: ahead(7),
        }),
        appeal: Some(Appeal {
            text: t("It was meant as a joke between old sailors. Ask Ifor."),
            at: ago(20),
        }),
        earlier: vec![
            quoted(
                t,
                4,
                name,
                "The bar silted up again in October; go round by the chapel.",
                60 * 24 * 6,
                Status::Approved,
            ),
            quoted(
                t,
                5,
                name,
                "Nobody asked you.",
                60 * 24 * 40,
                Status::Rejected,
            ),
        ],
        n_alike: 0,
        ..spam_case(t)
    }
}

fn quoted(t: Typed<'_>, n: u8, name: &str, text: &str, minutes: u64, status: Status) -> Quoted {
    Quoted {
        id: id(n),
        name: t(name),
        text: t(text),
        at: ago(minutes),
        status,
    }
}

fn row(
    t: Typed<'_>,
    n: u8,
    name: &str,
    text: &str,
    why: &str,
    label: Label,
    minutes: u64,
) -> QueueRow {
    QueueRow {
        id: id(n),
        version: 1,
        name: t(name),
        avatar: avatar::data_uri(name.as_bytes()),
        excerpt: super::words::excerpt(&t(text), 120),
        at: ago(minutes),
        label: Some(label),
        why: t(why),
        post: t("The lamp at Sker Point"),
        reports: if n == 2 { 2 } else { 0 },
        held_by: (n == 2).then(|| t("Bashir")),
        n_alike: if n == 1 { 3 } else { 0 },
    }
}

fn rows(t: Typed<'_>) -> Vec<QueueRow> {
    vec![
        row(
            t,
            1,
            "Jonas at Calm Leaf",
            "Great post, I never thought about ledgers this way! For anyone who wants to stop smoking like I did",
            "3 links from a new author",
            Label::Spam,
            12,
        ),
        row(
            t,
            2,
            "Harbour Pilot",
            "You clearly have not read the tide tables and you never will, you pompous windbag.",
            "a wish that somebody comes to harm",
            Label::Abuse,
            95,
        ),
        row(
            t,
            6,
            "Верный читатель",
            "Спасибо за статью. У нас на Белом море смотритель записывал ещё и лёд.",
            "a language this thread is not in",
            Label::Quality,
            130,
        ),
        row(
            t,
            7,
            "Lukas Brenner",
            "Selling two tickets for the lighthouse open day, price negotiable, pick up only",
            "an offer to sell",
            Label::Policy,
            210,
        ),
        row(
            t,
            8,
            "مريم",
            "قرأت هذا المقال مرتين. من أين جاءت الصورة؟",
            "a language this thread is not in",
            Label::Quality,
            260,
        ),
        row(
            t,
            9,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "nice",
            "says next to nothing",
            Label::Quality,
            300,
        ),
        row(
            t,
            10,
            "Priya N.",
            "FIRST!!! also this is the best thing I have read all year and EVERYBODY should",
            "mostly capitals",
            Label::Quality,
            480,
        ),
    ]
}

fn filter() -> QueueFilter {
    QueueFilter {
        sites: vec![
            SiteChoice {
                key: "walks".to_owned(),
                name: "Slow Walks".to_owned(),
                waiting: 1_201,
            },
            SiteChoice {
                key: "garden".to_owned(),
                name: "The Garden Post".to_owned(),
                waiting: 83,
            },
        ],
        ..QueueFilter::default()
    }
}

fn queue(t: Typed<'_>, shell: Shell) -> QueuePage {
    QueuePage {
        shell,
        filter: filter(),
        rows: rows(t),
        selected: Some(spam_case(t)),
        total: 1_284,
        oldest: Some(ago(60 * 9)),
        next_cursor: Some("b64".to_owned()),
    }
}

fn queue_abuse(t: Typed<'_>) -> QueuePage {
    QueuePage {
        filter: QueueFilter {
            label: Some(Label::Abuse),
            order: QueueOrder::Reports,
            rule: Some(t("abuse.violence")),
            q: t("cliff"),
            cursor: Some(t("b64")),
            ..filter()
        },
        selected: Some(abuse_case(t)),
        ..queue(
            t,
            Shell {
                warning: Some(t(
                    "The rule files do not load: rules/20-links.toml:14:9. The last good set keeps running.",
                )),
                ..shell(
                    Section::Queue,
                    Some(Notice::Failed {
                        what: t("The database did not answer. Nothing was changed."),
                    }),
                )
            },
        )
    }
}

fn queue_empty(t: Typed<'_>) -> QueuePage {
    QueuePage {
        rows: Vec::new(),
        selected: None,
        total: 0,
        oldest: None,
        next_cursor: None,
        ..queue(
            t,
            Shell {
                waiting: 0,
                ..shell(
                    Section::Queue,
                    Some(Notice::Undone {
                        what: t("Back in the queue: Lukas Brenner"),
                    }),
                )
            },
        )
    }
}

fn queue_empty_narrow(t: Typed<'_>) -> QueuePage {
    QueuePage {
        filter: QueueFilter {
            q: t("kelp"),
            ..filter()
        },
        ..queue_empty(t)
    }
}

fn case_page(t: Typed<'_>) -> CasePage {
    let case = abuse_case(t);
    let first = "You clearly have not read the tide tables, you windbag.";
    CasePage {
        shell: shell(Section::Queue, None),
        versions: vec![
            Written {
                version: Version(2),
                text: case.text.clone(),
                at: ago(90),
                verdict: case.verdict.clone(),
                is_public: false,
            },
            Written {
                version: Version(1),
                text: t(first),
                at: ago(95),
                verdict: Some(view(vec![finding(
                    "abuse.insult",
                    Label::Abuse,
                    2.0,
                    t("an insult at the reader"),
                    spans(first, "you windbag"),
                )])),
                is_public: true,
            },
        ],
        decisions: vec![
            Decided {
                id: decision(1),
                what: "rejected as abuse".to_owned(),
                by: t("Bashir"),
                at: ago(60),
                note: Some(t("Second time this month.\nSee the harbour thread.")),
                version: Version(2),
                undone: Some(ago(55)),
                can_undo: false,
            },
            Decided {
                id: decision(2),
                what: "approved".to_owned(),
                by: t("ada"),
                at: ago(93),
                note: None,
                version: Version(1),
                undone: None,
                can_undo: true,
            },
        ],
        similar: vec![quoted(
            t,
            12,
            "Harbour Pilot",
            "You have not read the tide tables, have you, you pompous windbag",
            60 * 24 * 90,
            Status::Rejected,
        )],
        can_reveal: true,
        revealed: None,
        reason_note: Some(t("Say in a few words why you need the address.")),
        reason_max: 500,
        case,
    }
}

fn audit(t: Typed<'_>) -> AuditPage {
    let line = |seq: i64,
                minutes,
                actor: &str,
                action: &str,
                subject: &str,
                href: Option<String>,
                details: Vec<(&str, &str)>| AuditLine {
        seq,
        at: ago(minutes),
        actor: t(actor),
        action: t(action),
        subject: t(subject),
        subject_href: href,
        details: details
            .into_iter()
            .map(|(name, value)| (t(name), t(value)))
            .collect(),
        hash: format!("{:064x}", 0x9f2c_4be1_7a08_u64 * (seq.unsigned_abs() + 7)),
    };
    AuditPage {
        shell: shell(Section::Audit, None),
        entries: vec![
            line(
                412,
                2,
                "ada",
                "comment.reject",
                "comment 019f3c1e",
                Some(format!("/console/comments/{}", id(1))),
                vec![("label", "spam"), ("version", "1")],
            ),
            line(
                411,
                9,
                "Bashir",
                "comment.undo",
                "comment 019f3b77",
                Some(format!("/console/comments/{}", id(2))),
                vec![],
            ),
            line(
                410,
                14,
                "ada",
                "author.reveal",
                "comment 019f3b77",
                Some(format!("/console/comments/{}", id(2))),
                vec![("reason", "asked us to correct a typo in the name")],
            ),
            line(
                409,
                300,
                "command line",
                "site.key.rotate",
                "garden",
                None,
                vec![],
            ),
            line(
                408,
                1_500,
                "the rules",
                "rules.load",
                "sha256:9f2c4be17a08",
                None,
                vec![("rules", "41")],
            ),
        ],
        next_cursor: Some(t("407")),
        is_whole: Some(true),
    }
}

fn rules(t: Typed<'_>, is_broken: bool) -> RulesPage {
    let rule = |rule: &str, title: &str, label, effect: &str, mode: &str, hits| RuleLine {
        id: t(rule),
        title: t(title),
        label,
        effect: effect.to_owned(),
        mode: mode.to_owned(),
        source: t("20-links.toml:14"),
        hits,
    };
    RulesPage {
        shell: shell(Section::Rules, None),
        dir: t("rules"),
        hash: "sha256:9f2c4be17a08d3c55e1b6a".to_owned(),
        loaded: ago(60 * 30),
        problems: if is_broken {
            vec![
                RuleProblem {
                    is_error: true,
                    file: t("20-links.toml"),
                    line: 14,
                    column: 9,
                    message: t("there is no fact `links.cout`"),
                    excerpt: t(
                        "   |\n14 | when = \"links.cout > 2 && author.approved == 0\"\n   |         ^^^^^^^^^^ unknown",
                    ),
                    help: Some(t("The nearest known name is `links.count`.")),
                },
                RuleProblem {
                    is_error: false,
                    file: t("lists/domains.txt"),
                    line: 3,
                    column: 1,
                    message: t("this entry ran out on 2026-10-31 and does nothing"),
                    excerpt: t("  |\n3 | casino-x.test | until 2026-10-31\n  | ^^^^^^^^^^^^^"),
                    help: None,
                },
            ]
        } else {
            Vec::new()
        },
        thresholds: Label::ALL
            .into_iter()
            .map(|label| ThresholdLine {
                label,
                hold: 4.0,
                reject: if label == Label::Abuse { 8.0 } else { 10.0 },
            })
            .collect(),
        rules: vec![
            rule(
                "links.stranger",
                "More than two links from someone without an approved comment",
                Label::Spam,
                "+3.5",
                "enforce",
                Some(1_204),
            ),
            rule(
                "words.pharma",
                "Names of medicines",
                Label::Spam,
                "+4",
                "enforce",
                Some(311),
            ),
            rule(
                "abuse.violence",
                "Wishes that somebody comes to harm",
                Label::Abuse,
                "+5",
                "enforce",
                Some(18),
            ),
            rule(
                "links.fresh",
                "A domain nobody has linked to before",
                Label::Spam,
                "+1.5",
                "shadow",
                Some(96),
            ),
            rule(
                "trap.filled",
                "The field that people do not see was filled",
                Label::Spam,
                "rejects",
                "enforce",
                Some(5_120),
            ),
            rule(
                "sale.offer",
                "Something is for sale",
                Label::Policy,
                "holds",
                "canary 10 %",
                None,
            ),
        ],
    }
}
