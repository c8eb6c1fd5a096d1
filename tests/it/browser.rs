//! The pages as people meet them: a reader with and without script, a moderator, the first admin.
//!
//! Each test keeps pictures (see `Browser::picture`), because a page can pass and be ugly.

use crate::rig::Backend;
use crate::rig::browser::{Browser, Scripts};
use crate::rig::server::{Anteroom, Settings};
use crate::rig::talk::a_submission;

const SEND: &str = "#reply button[type=submit]";

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_script_corrects_a_mistake_and_is_published() {
    let Some(browser) = Browser::open(Scripts::Off).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;

    browser.visit(&format!("{}/demo", server.url)).await;
    browser
        .see("Your email address will not be published")
        .await;
    browser.picture("demo").await;
    fill_form(&browser, "ada@localhost", "I counted ninety-two steps.").await;
    browser.click(SEND).await;

    browser.see("Not sent yet").await;
    browser.picture("form-with-a-mistake").await;
    assert_eq!(browser.value_of("name").await, "Ada");
    assert_eq!(
        browser.value_of("body").await,
        "I counted ninety-two steps."
    );
    browser.fill("email", "ada@post.example.org").await;
    browser.click(SEND).await;

    browser.see("I counted ninety-two steps.").await;
    browser.visit(&format!("{}/demo", server.url)).await;
    browser.see("I counted ninety-two steps.").await;
    browser.picture("demo-with-a-comment").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_with_script_corrects_a_mistake_without_leaving_the_page() {
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let demo = format!("{}/demo", server.url);

    browser.visit(&demo).await;
    fill_form(&browser, "ada@localhost", "The wren was a robin.").await;
    browser.click(SEND).await;

    browser.waited_for("#ar-email-error").await;
    browser.picture("script-with-a-mistake").await;
    assert_eq!(browser.address().await, demo);
    assert_eq!(browser.value_of("body").await, "The wren was a robin.");
    browser.fill("email", "ada@post.example.org").await;
    browser.click(SEND).await;

    browser.waited_for(".ar-thread .ar-comment").await;
    browser.see("The wren was a robin.").await;
    browser.picture("script-with-a-comment").await;
    assert!(browser.address().await.starts_with(&demo));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_logs_in_approves_and_the_comment_is_on_the_page() {
    for scripts in [Scripts::Off, Scripts::On] {
        let Some(browser) = Browser::open(scripts).await else {
            return;
        };
        let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
        let password = server.add_user("ada", "moderator");
        let mut held = a_submission(1, "Ifor counts in Welsh, please wait.");
        held["thread"]["key"] = demo_thread(&server).await.into();
        server.submit("demo", &held).await.expect(202);

        browser.visit(&format!("{}/console", server.url)).await;
        browser.picture("login").await;
        browser.fill("name", "ada").await;
        browser.fill("password", "not the password at all").await;
        browser.click("button[type=submit]").await;
        browser.waited_for("#login-error").await;
        browser.fill("name", "ada").await;
        browser.fill("password", password).await;
        browser.click("button[type=submit]").await;

        browser.see("Ifor counts in Welsh").await;
        browser.click(".row-link").await;
        browser.waited_for("button[value=approve]").await;
        browser.picture("queue").await;
        match scripts {
            Scripts::Off => browser.click(".decide button[value=approve]").await,
            Scripts::On => browser.press("a").await,
        }
        browser.see("Nobody is waiting").await;
        browser.picture("queue-when-done").await;

        browser.visit(&format!("{}/demo", server.url)).await;
        browser.see("Ifor counts in Welsh").await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_on_the_terminal_makes_the_first_admin_once() {
    let Some(browser) = Browser::open(Scripts::Off).await else {
        return;
    };
    let server = Settings::judging_by_words(&Backend::Sqlite).start().await;
    let log = server.log();
    let at = log
        .find("/console/setup")
        .unwrap_or_else(|| panic!("no link in {log}"));
    let link: String = log[at..]
        .chars()
        .take_while(|letter| !letter.is_whitespace())
        .collect();
    let link = format!("{}{}", server.url, link.trim_end_matches(['"', '}', ',']));

    browser.visit(&link).await;
    browser.picture("setup").await;
    browser.fill("name", "root").await;
    browser.fill("password", "harbour-lantern-quilt-27").await;
    browser.click("button[type=submit]").await;
    browser.see("Nobody is waiting").await;

    browser.visit(&link).await;
    browser.see("This link has run out").await;
    browser.close().await;
}

async fn fill_form(browser: &Browser, email: &str, body: &str) {
    browser.fill("name", "Ada").await;
    browser.fill("email", email).await;
    browser.fill("body", body).await;
}

/// The key of the demonstration post's thread, as its form has it.
async fn demo_thread(server: &Anteroom) -> String {
    let page = server.get("/demo").await.expect(200);
    let (_, rest) = page.text.split_once("name=\"thread\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}
