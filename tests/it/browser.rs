//! The pages as people meet them: a reader with and without script, a moderator, the first admin.
//!
//! Each test keeps pictures (see `Browser::picture`), because a page can pass and be ugly.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

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

    browser.see("Thank you, your comment is published").await;
    browser.picture("outcome").await;
    browser.click("a[href^=\"/demo\"]").await;
    browser.see("I counted ninety-two steps.").await;
    browser.picture("demo-with-a-comment").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_script_gets_the_receipt_of_a_comment_that_waits() {
    let Some(browser) = Browser::open(Scripts::Off).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;

    browser.visit(&format!("{}/demo", server.url)).await;
    fill_form(&browser, "ada@post.example.org", "Twice, please wait.").await;
    browser.click(SEND).await;
    browser.see("A person will read it before it appears").await;
    browser.click("a[href*=\"receipt=\"]").await;

    browser
        .see("Your comment is waiting for a person to read it")
        .await;
    browser.picture("receipt").await;
    browser.click("main a[href=\"/demo\"]").await;
    browser.see("Leave a reply").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_script_answers_stand_under_what_they_answer_after_a_load() {
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let first = say(&server, "First.", None).await;
    let second = say(&server, "Second.", None).await;
    let answer = say(&server, "An answer.", Some(&first)).await;
    let deeper = say(&server, "An answer to it.", Some(&answer)).await;

    browser.visit(&format!("{}/demo", server.url)).await;
    browser.waited_for("button.ar-reply").await;

    let depths = [(first, 0), (answer, 1), (deeper, 2), (second, 0)];
    let expected = depths.map(|(id, depth)| format!("comment-{id} ar-comment ar-d{depth}"));
    assert_eq!(standing_order(&browser).await, expected);
    browser.picture("script-with-answers").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_comment_stands_first_where_the_page_asks_for_it() {
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let blog = format!("http://{}", listener.local_addr().unwrap());
    let words = ["site", "add", "porch", "--origin", &blog, "--json"];
    assert!(server.command(&words).status.success());
    server.knows_site("porch").await;
    let post = format!(
        "<!doctype html><p>A post.</p><script src=\"{}/embed.js\" data-site=\"porch\" \
         data-thread=\"/harbour/\" data-order=\"newest\" defer></script>",
        server.url
    );
    serve_post(listener, post);
    for (number, body) in [(1, "First."), (2, "Second.")] {
        server
            .submit("porch", &a_submission(number, body))
            .await
            .expect(201);
    }

    browser.visit(&blog).await;
    browser.see("Second.").await;
    fill_form(&browser, "ada@post.example.org", "Third.").await;
    browser.click(SEND).await;
    browser.see("Your comment is published").await;

    let bodies = strings(
        &browser,
        "[...document.querySelectorAll('.ar-thread .ar-text')].map(b => b.innerText.trim())",
    );
    assert_eq!(bodies.await, ["Third.", "Second.", "First."]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_kept_wrongly_never_stops_a_reader() {
    const WRONG: &str = r#"
        localStorage.setItem("anteroom:demo:proof", '{"x":1}');
        localStorage.setItem("anteroom:demo:/demo:receipts", '{"id":5}');
        localStorage.setItem("anteroom:demo:/demo:draft", '{"body":"Half a thought","parent":{"id":"x"}}');
    "#;
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let demo = format!("{}/demo", server.url);

    browser.visit(&demo).await;
    browser.page.execute(WRONG, Vec::new()).await.unwrap();
    browser.visit(&demo).await;
    browser.waited_for("form.ar-form[novalidate]").await;
    assert_eq!(browser.value_of("body").await, "Half a thought");
    fill_form(&browser, "ada@post.example.org", "A whole thought.").await;
    browser.click(SEND).await;

    browser.see("Your comment is published").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_what_is_gone_can_be_sent_to_the_post() {
    const TO_NOBODY: &str = r#"
        localStorage.setItem("anteroom:demo:/demo:draft", JSON.stringify({
            body: "To nobody.", parent: { id: "019f0000-0000-7000-8000-000000000000", name: "Nobody" },
        }));
    "#;
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    let demo = format!("{}/demo", server.url);
    browser.visit(&demo).await;
    browser.page.execute(TO_NOBODY, Vec::new()).await.unwrap();

    browser.visit(&demo).await;
    browser.see("Reply to Nobody").await;
    fill_form(&browser, "ada@post.example.org", "To nobody.").await;
    browser.click(SEND).await;
    browser.see("Send it again to answer the post").await;
    browser.see("Leave a reply").await;
    browser.click(SEND).await;

    browser.see("Your comment is published").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits_leaves_the_public_comment_on_its_authors_page() {
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;

    browser.visit(&format!("{}/demo", server.url)).await;
    browser.waited_for("form.ar-form[novalidate]").await;
    fill_form(&browser, "ada@post.example.org", "It was a robin.").await;
    browser.click(SEND).await;
    browser.see("Your comment is published").await;
    for (words, said) in [
        ("Robin, please wait.", "Your change is waiting for a person"),
        (
            "Robin, please refuse.",
            "Your change was not published. Kinder words",
        ),
    ] {
        browser.click(".ar-own button").await;
        let area = browser.waited_for(".ar-comment textarea").await;
        area.clear().await.unwrap();
        area.send_keys(words).await.unwrap();
        browser.click(".ar-comment .ar-button").await;

        browser.see(said).await;
        browser.see(words).await;
        let texts =
            "[...document.querySelectorAll('.ar-thread .ar-text')].map(b => b.innerText.trim())";
        assert_eq!(strings(&browser, texts).await, ["It was a robin.", words]);
    }
    browser.picture("script-with-a-change").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_at_once_why_and_where_to_appeal() {
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;

    browser.visit(&format!("{}/demo", server.url)).await;
    browser.waited_for("form.ar-form[novalidate]").await;
    fill_form(&browser, "ada@post.example.org", "Sheep! please refuse.").await;
    browser.click(SEND).await;

    browser.see("Your comment was not published").await;
    browser
        .see("Not published. Kinder words, and it will be read.")
        .await;
    browser.picture("script-with-a-refusal").await;
    assert_eq!(browser.value_of("body").await, "Sheep! please refuse.");
    browser.click(".ar-mine a.ar-reply").await;
    browser.see("Ask a person to look").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_is_shown_whole_on_a_narrow_page() {
    const WIDTHS: &str = "[...document.querySelectorAll('.ar-mine > *')]\
                          .filter(part => part.offsetWidth < 200).map(part => part.className)";
    let Some(browser) = Browser::open(Scripts::On).await else {
        return;
    };
    let server = Anteroom::judging_by_words(&Backend::Sqlite).await;
    say(&server, "Ninety-one steps.", None).await;

    browser.page.set_window_size(480, 900).await.unwrap();
    browser.visit(&format!("{}/demo", server.url)).await;
    browser.click("button.ar-reply").await;
    fill_form(
        &browser,
        "ada@post.example.org",
        "One line,\n**another**, please wait.",
    )
    .await;
    browser.click(SEND).await;
    browser.see("Only you can see it here").await;

    for _ in 0..2 {
        browser.see("Your reply to Reader 1").await;
        browser.waited_for(".ar-mine .ar-text br").await;
        browser.waited_for(".ar-mine .ar-text strong").await;
        assert_eq!(strings(&browser, WIDTHS).await, Vec::<String>::new());
        browser.page.refresh().await.unwrap();
    }
    browser.picture("script-with-an-answer-that-waits").await;
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

/// A blog of one page, until the test ends.
fn serve_post(listener: TcpListener, page: String) {
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut lines = BufReader::new(&connection).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            // A browser that goes away in between is no matter of this test.
            let _ = write!(
                &connection,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
}

/// Publishes a comment under the demonstration post, and returns its id.
async fn say(server: &Anteroom, body: &str, parent: Option<&str>) -> String {
    let mut content = a_submission(1, body);
    content["thread"]["key"] = "/demo".into();
    content["parent"] = parent.into();
    server.submit("demo", &content).await.expect(201).id()
}

/// The comments of the page from top to bottom, each as `id class`.
async fn standing_order(browser: &Browser) -> Vec<String> {
    strings(
        browser,
        "[...document.querySelectorAll('.ar-comment')].map(c => c.id + ' ' + c.className)",
    )
    .await
}

/// What an expression says in the page, as texts.
async fn strings(browser: &Browser, expression: &str) -> Vec<String> {
    let script = format!("return {expression}");
    let value = browser.page.execute(&script, Vec::new()).await.unwrap();
    serde_json::from_value(value).unwrap()
}

/// The key of the demonstration post's thread, as its form has it.
async fn demo_thread(server: &Anteroom) -> String {
    let page = server.get("/demo").await.expect(200);
    let (_, rest) = page.text.split_once("name=\"thread\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}
