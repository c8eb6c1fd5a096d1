//! The same way in for a page without script.

use crate::rig::server::Anteroom;
use crate::rig::talk::Answer;
use crate::rig::{Backend, both_backends};

const VALID: [(&str, &str); 4] = [
    ("thread", "/harbour/"),
    ("name", "Ada"),
    ("email", "ada@post.example.org"),
    ("body", "The plums are ripe."),
];

both_backends! {
    a_form_that_names_a_page_leads_back_to_it,
    a_form_never_leads_to_a_foreign_page,
    a_form_without_a_page_to_go_to_shows_the_outcome_and_the_receipt,
    a_form_with_mistakes_keeps_what_was_typed_but_for_the_address,
    a_form_may_use_the_names_wordpress_uses,
    sending_the_same_form_twice_makes_one_comment,
}

async fn a_form_that_names_a_page_leads_back_to_it(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let back = ("redirect", "https://garden.test/harbour/");

    let approved = server
        .submit_form(&site.key, &[&VALID[..], &[back]].concat())
        .await
        .expect(303);
    let waiting = [
        VALID[0],
        ("name", "Bo"),
        ("email", "bo@post.example.org"),
        ("body", "please wait"),
        back,
    ];
    let waiting = server.submit_form(&site.key, &waiting).await.expect(303);

    let thread = server.thread(&site.key, "/harbour/").await;
    let id = thread.json["comments"][0]["id"].as_str().unwrap();
    assert_eq!(
        location(&approved),
        format!("https://garden.test/harbour/#comment-{id}")
    );
    assert_eq!(
        location(&waiting),
        "https://garden.test/harbour/?comment=pending"
    );
}

async fn a_form_never_leads_to_a_foreign_page(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let foreign = [
        "https://garden.test.evil.test/",
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "https://garden.test@evil.test/",
        "javascript:alert(1)",
    ];

    for target in foreign {
        let answer = server
            .submit_form(&site.key, &[&VALID[..], &[("redirect", target)]].concat())
            .await;

        assert!(
            !answer.headers.contains_key("location"),
            "{target}: {answer:?}"
        );
    }
}

async fn a_form_without_a_page_to_go_to_shows_the_outcome_and_the_receipt(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    let answer = server.submit_form(&site.key, &VALID).await;

    assert!(answer.status.is_success(), "{}", answer.text);
    assert!(is_page(&answer));
    assert!(
        answer.text.contains("/c/") && answer.text.contains("receipt="),
        "{}",
        answer.text
    );
}

async fn a_form_with_mistakes_keeps_what_was_typed_but_for_the_address(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let fields = [
        ("thread", "/harbour/"),
        ("name", "Ada Quill"),
        ("email", "ada-at-home"),
        ("colour", "ignored"),
        ("body", "Plums & <pears>, \"ripe\""),
    ];

    let answer = server.submit_form(&site.key, &fields).await.expect(422);

    assert!(is_page(&answer));
    assert!(answer.text.contains("Ada Quill"), "{}", answer.text);
    assert!(
        !answer.text.contains("ada-at-home"),
        "the address is sent back: {}",
        answer.text
    );
    assert!(
        answer.text.contains("Plums &amp; &lt;pears&gt;")
            || answer.text.contains("Plums &#38; &#60;pears&#62;"),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("<pears>"));
}

async fn a_form_may_use_the_names_wordpress_uses(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let fields = [
        ("comment_post_ID", "/harbour/"),
        ("author", "Ada"),
        ("email", "ada@post.example.org"),
        ("comment", "The plums are ripe."),
        ("comment_parent", ""),
    ];

    let answer = server.submit_form(&site.key, &fields).await;

    assert!(answer.status.is_success(), "{}", answer.text);
    assert_eq!(
        server.thread(&site.key, "/harbour/").await.json["comments"][0]["author"]["name"],
        "Ada"
    );
}

async fn sending_the_same_form_twice_makes_one_comment(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let form = server
        .get("/api/v1/sites/garden/form?thread=/harbour/")
        .await
        .expect(200);
    let stamp = form.json["stamp"].as_str().unwrap();
    let fields = [&VALID[..], &[("stamp", stamp)]].concat();

    let first = server.submit_form(&site.key, &fields).await;
    let second = server.submit_form(&site.key, &fields).await;

    assert!(first.status.is_success(), "{}", first.text);
    assert_eq!(second.status, first.status, "{}", second.text);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

fn location(answer: &Answer) -> &str {
    answer.headers["location"].to_str().unwrap()
}

fn is_page(answer: &Answer) -> bool {
    answer.headers["content-type"]
        .to_str()
        .unwrap()
        .starts_with("text/html")
}
