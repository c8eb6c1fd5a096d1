//! The console by keyboard: what each key does, and what it must never do.
//!
//! Not here: what the buttons send, which is tested without a browser.

use serde_json::{Value, json};

use crate::rig::Backend;
use crate::rig::browser::{Browser, Scripts};
use crate::rig::server::Anteroom;
use crate::rig::talk::a_submission;

const ENTER: &str = "\u{e007}";

/// A moderator at the console, with comments in the queue, the oldest first.
struct Desk {
    server: Anteroom,
    browser: Browser,
    token: String,
    ids: Vec<String>,
}

impl Desk {
    /// None, if there is no browser on this machine.
    async fn with(comments: usize, scripts: Scripts) -> Option<Self> {
        let browser = Browser::open(scripts).await?;
        let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
        let password = server.add_user("ada", "admin");
        let token = server.token_of("ada");
        let mut ids = Vec::new();
        for number in 1..=comments {
            let text = format!("Tide table {number}, please wait.");
            let answer = server.submit("demo", &a_submission(number, &text)).await;
            ids.push(answer.expect(202).id());
        }
        let login = "/console/login?next=%2Fconsole%3Forder%3Doldest";
        browser.visit(&format!("{}{login}", server.url)).await;
        browser.fill("name", "ada").await;
        browser.fill("password", password).await;
        browser.click("button[type=submit]").await;
        let desk = Self {
            server,
            browser,
            token,
            ids,
        };
        desk.sees_card(0).await;
        if scripts == Scripts::On {
            desk.run(
                "window.refused = []; addEventListener('securitypolicyviolation', \
                 (event) => refused.push(event.violatedDirective + ' ' + event.sourceFile));",
            )
            .await;
        }
        Some(desk)
    }

    async fn run(&self, script: &str) -> Value {
        self.browser.page.execute(script, vec![]).await.unwrap()
    }

    /// Presses keys one after another before anything else can happen; says whether a page is on its way afterwards.
    async fn presses(&self, keys: &[&str]) -> bool {
        self.key_events(keys, false).await
    }

    /// What a browser reports while a key is held down.
    async fn holds(&self, key: &str) -> bool {
        self.key_events(&[key; 5], true).await
    }

    async fn key_events(&self, keys: &[&str], repeat: bool) -> bool {
        const SCRIPT: &str = "
            for (const key of arguments[0]) (document.activeElement || document.body).dispatchEvent(
              new KeyboardEvent('keydown', { key, repeat: arguments[1], bubbles: true, cancelable: true }));
            return document.body.hasAttribute('aria-busy');";
        let arguments = vec![json!(keys), json!(repeat)];
        let busy = self.browser.page.execute(SCRIPT, arguments).await.unwrap();
        busy.as_bool().unwrap()
    }

    async fn sees_card(&self, number: usize) {
        let card = format!("body:not([aria-busy]) [data-case=\"{}\"]", self.ids[number]);
        self.browser.waited_for(&card).await;
    }

    async fn waits(&self) -> Vec<String> {
        self.server.queue(&self.token, "demo").await
    }

    async fn n_ticked(&self) -> u64 {
        let n = self
            .run("return document.querySelectorAll('.pick:checked').length")
            .await;
        n.as_u64().unwrap()
    }

    /// Closes everything, after a look at what the browser had to refuse.
    async fn close(self) {
        let refused = self.run("return window.refused ?? []").await;
        assert_eq!(refused, json!([]));
        self.browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_held_down_decides_once() {
    let Some(desk) = Desk::with(4, Scripts::On).await else {
        return;
    };

    for key in ["a", "s", "h", "r", "x"] {
        assert!(!desk.holds(key).await, "{key} is on its way");
    }
    assert!(desk.presses(&["a"]).await);
    desk.holds("a").await;
    desk.sees_card(1).await;
    assert!(!desk.holds("a").await && !desk.holds("u").await);
    assert_eq!(desk.waits().await, desk.ids[1..]);

    desk.presses(&["r"]).await;
    assert!(!desk.holds("s").await && !desk.holds("a").await);
    assert_eq!(desk.waits().await, desk.ids[1..]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enter_in_a_note_decides_nothing() {
    for scripts in [Scripts::Off, Scripts::On] {
        let Some(desk) = Desk::with(2, scripts).await else {
            return;
        };
        let before = desk.browser.address().await;

        desk.browser
            .fill("note", &format!("Ask Bo about{ENTER} the tides{ENTER}"))
            .await;

        assert_eq!(
            desk.browser.value_of("note").await,
            "Ask Bo about the tides"
        );
        assert_eq!(desk.browser.address().await, before);
        assert_eq!(desk.waits().await, desk.ids);

        desk.browser.click(".decide button[value=approve]").await;
        desk.browser.see("Approved: Reader 1").await;
        assert_eq!(desk.waits().await, desk.ids[1..]);
        desk.browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_brings_the_comment_back_on_the_card_however_far_one_has_gone() {
    let Some(desk) = Desk::with(4, Scripts::On).await else {
        return;
    };

    desk.presses(&["a"]).await;
    desk.sees_card(1).await;
    desk.presses(&["u"]).await;
    desk.sees_card(0).await;
    assert_eq!(desk.waits().await, desk.ids);

    desk.presses(&["a"]).await;
    desk.sees_card(1).await;
    desk.presses(&["j"]).await;
    desk.sees_card(2).await;
    desk.presses(&["j"]).await;
    desk.sees_card(3).await;
    desk.presses(&["k"]).await;
    desk.sees_card(2).await;
    desk.browser.see("Approved: Reader 1").await;
    desk.browser.picture("console-last-decision").await;
    desk.presses(&["u"]).await;
    desk.sees_card(0).await;
    assert_eq!(desk.waits().await, desk.ids);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_stay_while_one_moves_and_go_with_the_bulk_decision() {
    let Some(desk) = Desk::with(4, Scripts::On).await else {
        return;
    };

    desk.presses(&["x", "j", "x"]).await;
    desk.sees_card(1).await;
    assert_eq!(desk.n_ticked().await, 2);
    desk.browser.see("2 ticked:").await;
    desk.browser.page.refresh().await.unwrap();
    desk.sees_card(1).await;
    assert_eq!(desk.n_ticked().await, 2);

    // A list without the first of them keeps its tick, and says so.
    desk.browser.fill("q", &format!("2{ENTER}")).await;
    desk.browser.see("2 ticked, 1 not in this list:").await;
    desk.browser.picture("console-ticks").await;
    desk.browser.click("#bulk button[value=approve]").await;
    desk.browser.see("2 comments approved").await;
    assert_eq!(desk.waits().await, desk.ids[2..]);

    desk.browser
        .visit(&format!("{}/console?order=oldest", desk.server.url))
        .await;
    desk.sees_card(2).await;
    assert_eq!(desk.n_ticked().await, 0);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_menu_has_the_keys_to_itself() {
    let Some(desk) = Desk::with(2, Scripts::On).await else {
        return;
    };

    desk.presses(&["r"]).await;
    desk.browser.waited_for("[data-menu][open]").await;
    for key in ["h", "u", "j", "x", "o"] {
        assert!(!desk.presses(&[key]).await, "{key} is on its way");
    }
    desk.browser.waited_for("[data-menu][open]").await;
    assert_eq!(desk.n_ticked().await, 0);
    assert_eq!(desk.waits().await, desk.ids);

    desk.presses(&["Escape"]).await;
    desk.browser.waited_for("[data-menu]:not([open])").await;
    desk.presses(&["r", "q"]).await;
    desk.sees_card(1).await;
    desk.browser
        .see("Rejected as too little said: Reader 1")
        .await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_quick_presses_move_three_rows_and_decide_nothing_unseen() {
    let Some(desk) = Desk::with(5, Scripts::On).await else {
        return;
    };

    assert!(desk.presses(&["j", "j", "j"]).await);
    desk.sees_card(3).await;
    desk.presses(&["k", "k", "j"]).await;
    desk.sees_card(2).await;
    desk.presses(&["j", "a", "s", "h"]).await;
    desk.sees_card(3).await;
    assert_eq!(desk.waits().await, desk.ids);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_once_revealed_is_gone_when_the_page_is_loaded_again() {
    for scripts in [Scripts::Off, Scripts::On] {
        let Some(desk) = Desk::with(1, scripts).await else {
            return;
        };
        let case = format!("{}/console/comments/{}", desk.server.url, desk.ids[0]);

        desk.browser.visit(&case).await;
        desk.browser.fill("reason", "A threat to answer.").await;
        desk.browser.click("form[action$=reveal] button").await;
        desk.browser.see("reader-1@post.example.org").await;
        assert_eq!(desk.browser.address().await, case);
        desk.browser.page.refresh().await.unwrap();

        desk.browser.see("Reason to see it").await;
        let text = desk.browser.text().await;
        assert!(!text.contains("reader-1@"), "{text}");
        desk.browser.close().await;
    }
}
