//! The console over plain HTTP: what a browser would send, and what nobody should get away with.
//!
//! Not here: how it looks and what keys do, which a browser shows.

use serde_json::json;

use crate::rig::Backend;
use crate::rig::server::{Anteroom, Settings};
use crate::rig::talk::{Answer, a_submission, ask};

/// A moderator's browser without its window: a session, and the token its forms carry.
struct Desk<'a> {
    server: &'a Anteroom,
    cookies: Vec<String>,
    csrf: String,
}

impl<'a> Desk<'a> {
    async fn of(server: &'a Anteroom, name: &str, role: &str) -> Self {
        let password = server.add_user(name, role);
        let mut desk = Self {
            server,
            cookies: Vec::new(),
            csrf: String::new(),
        };
        let form = [("name", name), ("password", password)];
        desk.post("/console/login", &form).await.expect(303);
        let page = desk.get("/console").await.expect(200);
        let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().clone_into(&mut desk.csrf);
        desk
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = self.server.http.get(format!("{}{path}", self.server.url));
        let request = request
            .header("cookie", self.cookies.join("; "))
            .header("accept", "text/html");
        self.keep_cookies(ask(request).await.unwrap())
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let form = [&[("csrf", self.csrf.as_str())], form].concat();
        let request = self.server.http.post(format!("{}{path}", self.server.url));
        let request = request
            .header("cookie", self.cookies.join("; "))
            .header("accept", "text/html")
            .form(&form);
        self.keep_cookies(ask(request).await.unwrap())
    }

    /// Posts a form and goes where the answer leads.
    async fn post_and_follow(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, form).await.expect(303);
        let target = answer.headers["location"].to_str().unwrap().to_owned();
        self.get(&target).await
    }

    fn keep_cookies(&mut self, answer: Answer) -> Answer {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (pair, settings) = cookie.split_once(';').unwrap();
            let (name, _) = pair.split_once('=').unwrap();
            self.cookies
                .retain(|known| !known.starts_with(&format!("{name}=")));
            if !settings.contains("Max-Age=0") {
                self.cookies.push(pair.to_owned());
            }
        }
        answer
    }
}

/// Submits comments that are held, and returns their ids.
async fn held<const N: usize>(server: &Anteroom) -> [String; N] {
    let mut ids = Vec::new();
    for number in 1..=N {
        let text = format!("Tide table {number}, please wait.");
        let answer = server.submit("demo", &a_submission(number, &text)).await;
        ids.push(answer.expect(202).id());
    }
    ids.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_is_on_the_card_again() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "moderator").await;
    let [first, second] = held(&server).await;
    let next = format!("/console?order=oldest&item={second}");
    let form = [
        ("choice", "approve"),
        ("version", "1"),
        ("from", "pending"),
        ("next", &next),
    ];
    let path = format!("/console/comments/{first}/decision");
    let page = desk.post_and_follow(&path, &form).await.expect(200);
    assert!(page.text.contains("Approved: Reader 1"), "{}", page.text);
    assert!(page.text.contains(&format!("data-case=\"{second}\"")));
    let undo = undo_path(&page);

    let page = desk.post_and_follow(&undo, &[("next", &next)]).await;

    assert!(
        page.text.contains(&format!("data-case=\"{first}\"")),
        "{}",
        page.text
    );
    assert!(page.text.contains("Taken back: 1 comment as before"));
    assert!(!page.text.contains("/undo\""), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_decision_can_be_taken_back_until_another_is_made() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "moderator").await;
    let [first, second, third] = held(&server).await;
    let form = [
        ("choice", "approve"),
        ("version", "1"),
        ("from", "pending"),
        ("next", "/console"),
    ];

    let decision = |id: &str| format!("/console/comments/{id}/decision");
    let page = desk.post_and_follow(&decision(&first), &form).await;
    let undo_first = undo_path(&page);
    for path in ["/console?order=newest", "/console?label=quality&q=tide"] {
        let page = desk.get(path).await.expect(200);
        assert_eq!(undo_path(&page), undo_first, "{path}");
        assert!(page.text.contains("Approved: Reader 1"), "{path}");
    }
    let page = desk.get(&format!("/console/comments/{third}")).await;
    assert_eq!(undo_path(&page), undo_first);

    desk.post_and_follow(&decision(&second), &form).await;
    let page = desk.get("/console").await.expect(200);
    assert_ne!(undo_path(&page), undo_first);
    assert!(page.text.contains("Approved: Reader 2"), "{}", page.text);

    let mut other = Desk::of(&server, "bo", "moderator").await;
    let theirs = other.get("/console").await.expect(200);
    assert!(!theirs.text.contains("/undo\""), "{}", theirs.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_decision_names_what_it_left_alone_and_why() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let token = server.add_moderator("bo");
    let mut desk = Desk::of(&server, "ada", "moderator").await;
    let [first, second, third] = held(&server).await;
    let last = server
        .submit("demo", &a_submission(4, "Four knots, please wait."))
        .await
        .expect(202);
    server.decide(&token, &second, "reject").await.expect(200);
    let edit = server
        .http
        .patch(format!("{}/api/v1/comments/{}", server.url, last.id()))
        .header("authorization", format!("Receipt {}", last.receipt()))
        .json(&json!({ "body": "Five knots, please wait." }));
    let edited = ask(edit).await.unwrap();
    assert!(edited.status.is_success(), "{}", edited.text);

    let items: Vec<String> = [&first, &second, &third, &last.id()]
        .iter()
        .map(|id| format!("{id}:1"))
        .collect();
    let mut form = vec![("choice", "approve"), ("next", "/console")];
    form.extend(items.iter().map(|item| ("item", item.as_str())));
    let page = desk.post_and_follow("/console/decisions", &form).await;

    let text = words_of(&page);
    for expected in [
        "2 comments approved",
        "2 comments were not decided:",
        "Reader 2: bo rejected this as spam just now. See it",
        "Reader 4: its author changed the text. See it",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    undo_path(&page);

    // Nothing of it is left to decide: who was faster is told all the same.
    let page = desk.post_and_follow("/console/decisions", &form).await;
    let text = words_of(&page);
    assert!(text.contains("4 comments were not decided:"), "{text}");
    assert!(
        text.contains("Reader 1: ada approved this just now."),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_decision_says_who_was_faster_and_how() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let token = server.add_moderator("bo");
    let mut desk = Desk::of(&server, "ada", "moderator").await;
    let [id] = held(&server).await;
    server.decide(&token, &id, "reject").await.expect(200);

    let form = [
        ("choice", "approve"),
        ("version", "1"),
        ("from", "pending"),
        ("next", "/console"),
    ];
    let path = format!("/console/comments/{id}/decision");
    let page = desk.post_and_follow(&path, &form).await;

    let text = words_of(&page);
    assert!(
        text.contains("Reader 1: bo rejected this as spam just now. See it"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_shown_once_for_each_reason_and_stands_in_no_url() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "admin").await;
    let [id] = held(&server).await;
    let case = format!("/console/comments/{id}");
    let reveal = format!("{case}/reveal");
    let address = "reader-1@post.example.org";

    let blank = desk.post(&reveal, &[("reason", "  ")]).await.expect(422);
    assert!(
        blank
            .text
            .contains("Say in a few words why you need the address."),
        "{}",
        blank.text
    );
    assert!(blank.text.contains("maxlength=\"500\"") && !blank.text.contains(address));
    let long = "x".repeat(501);
    let long = desk.post(&reveal, &[("reason", &long)]).await.expect(422);
    assert!(long.text.contains("at most 500 characters"));

    let longest = "\u{10348}".repeat(500);
    let answer = desk
        .post(&reveal, &[("reason", &longest)])
        .await
        .expect(303);
    assert_eq!(answer.headers["location"], *case);
    let sent = format!("{:?}", answer.headers);
    assert!(!sent.contains("post.example"), "{sent}");
    let shown = desk.get(&case).await.expect(200);
    assert!(shown.text.contains(address), "{}", shown.text);
    assert_eq!(shown.headers["cache-control"], "no-store");

    let again = desk.get(&case).await.expect(200);
    assert!(!again.text.contains(address), "{}", again.text);
    let audit = desk.get("/console/audit").await.expect(200);
    assert_eq!(audit.text.matches("<code>reveal</code>").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revealed_address_is_shown_to_nobody_else() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "admin").await;
    let mut other = Desk::of(&server, "bo", "admin").await;
    let [id, another] = held(&server).await;
    let reveal = format!("/console/comments/{id}/reveal");
    desk.post(&reveal, &[("reason", "a threat")])
        .await
        .expect(303);
    let sealed = desk
        .cookies
        .iter()
        .find(|cookie| cookie.starts_with("anteroom-revealed="));
    let sealed = sealed.expect("a cookie for the next page").clone();

    other.cookies.push(sealed);
    let theirs = other.get(&format!("/console/comments/{id}")).await;
    assert!(!theirs.expect(200).text.contains("reader-1@"));
    let elsewhere = desk.get(&format!("/console/comments/{another}")).await;
    assert!(!elsewhere.expect(200).text.contains("reader-1@"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_page_of_the_console_leads_back_to_the_queue() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "moderator").await;
    for (path, status) in [
        ("/console?cursor=zzz", 422),
        ("/console/nowhere", 404),
        ("/console/comments/none", 404),
        ("/console/audit", 403),
        ("/console/decisions", 405),
    ] {
        let page = desk.get(path).await.expect(status);
        let back = page
            .text
            .contains("<a href=\"/console\">Back to <bdi>the queue");
        assert!(back, "{path}: {}", page.text);
        assert!(!page.text.contains("header Allow"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_page_may_do_nothing_but_what_it_needs() {
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let mut desk = Desk::of(&server, "ada", "admin").await;
    for path in [
        "/console",
        "/console/login",
        "/console/audit",
        "/console/nowhere",
    ] {
        let page = desk.get(path).await;
        let text = |name: &str| match page.headers.get(name) {
            Some(value) => value.to_str().unwrap().to_owned(),
            // A redirect is no page.
            None => String::new(),
        };
        if page.status.is_redirection() {
            continue;
        }
        let policy = text("content-security-policy");
        assert!(
            policy.ends_with("require-trusted-types-for 'script'; trusted-types anteroom"),
            "{path}: {policy}"
        );
        assert_eq!(text("cross-origin-embedder-policy"), "require-corp");
        let features = text("permissions-policy");
        for feature in features.split(", ") {
            assert!(feature.ends_with("=()"), "{path}: {feature}");
        }
        for feature in [
            "camera",
            "clipboard-read",
            "publickey-credentials-get",
            "usb",
        ] {
            assert!(features.contains(&format!("{feature}=()")), "{feature}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_well_known_password_is_refused_at_set_up_with_the_form_at_hand() {
    let server = Settings::judging_by_words(&Backend::Sqlite).start().await;
    let log = server.log();
    let at = log.find("/console/setup?token=").unwrap();
    let token: String = log[at + "/console/setup?token=".len()..]
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let url = format!("{}/console/setup", server.url);
    let attempt = |password: &'static str| {
        let form = [
            ("token", token.clone()),
            ("name", "margaret".to_owned()),
            ("password", password.to_owned()),
        ];
        ask(server.http.post(&url).form(&form))
    };

    for password in [
        "CorrectHorseBatteryStaple",
        "anteroom20262026",
        "margaret-19841984",
    ] {
        let refused = attempt(password).await.unwrap().expect(422);
        assert!(
            refused.text.contains("made of what people try first"),
            "{}",
            refused.text
        );
        assert!(refused.text.contains("name=\"token\"") && !refused.text.contains(password));
    }

    attempt("harbour-lantern-quilt-27")
        .await
        .unwrap()
        .expect(303);
}

/// Where the button posts to that takes the last decision back; there is exactly one.
fn undo_path(page: &Answer) -> String {
    let parts: Vec<&str> = page.text.split("action=\"/console/decisions/").collect();
    let [_, rest] = parts.as_slice() else {
        panic!("not one button to undo in {}", page.text)
    };
    assert!(rest.contains("data-key=\"u\""), "{}", page.text);
    let id = rest.split('/').next().unwrap();
    format!("/console/decisions/{id}/undo")
}

/// What can be read on a page.
fn words_of(page: &Answer) -> String {
    let tags = regex::Regex::new("<[^>]+>").unwrap();
    let text = tags.replace_all(&page.text, "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_attempts_to_log_in_are_refused_with_the_form_at_hand() {
    let settings = Settings::judging_by_words(&Backend::Sqlite);
    let settings = settings.with("ANTEROOM_RATES__LOGIN_PER_IP_MIN", "2");
    let server = settings.start().await;
    server.add_user("ada", "moderator");
    let attempt = |number: usize| {
        let form = [
            ("name", format!("nobody-{number}")),
            ("password", "guessed".to_owned()),
        ];
        let url = format!("{}/console/login", server.url);
        ask(server.http.post(url).form(&form))
    };

    for number in 0..2 {
        attempt(number).await.unwrap().expect(401);
    }
    let refused = attempt(2).await.unwrap().expect(429);

    let wait = refused.headers["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0, "{wait}");
    assert!(
        refused.text.contains("name=\"password\""),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("nobody-2") && !refused.text.contains("guessed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_changes_nothing() {
    let server = Settings::judging_by_words(&Backend::Sqlite).start().await;
    let password = server.add_user("ada", "moderator");
    let form = [("name", "ada"), ("password", password)];
    let login = || {
        server
            .http
            .post(format!("{}/console/login", server.url))
            .form(&form)
    };

    ask(login().header("sec-fetch-site", "cross-site"))
        .await
        .unwrap()
        .expect(403);
    ask(login().header("origin", "https://elsewhere.test"))
        .await
        .unwrap()
        .expect(403);
    let entered = ask(login()).await.unwrap().expect(303);
    let cookie = entered.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );

    let cookie = cookie.split(';').next().unwrap().to_owned();
    let url = format!("{}/console/logout", server.url);
    let without_token = server
        .http
        .post(&url)
        .header("cookie", &cookie)
        .form(&[("a", "b")]);
    ask(without_token).await.unwrap().expect(403);
    let console = server
        .http
        .get(format!("{}/console", server.url))
        .header("cookie", &cookie);
    ask(console).await.unwrap().expect(200);
}
