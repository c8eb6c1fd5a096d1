//! The same way in for a page without script.

use crate::rig::server::{Anteroom, Settings};
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
    a_form_that_wants_to_lead_elsewhere_is_shown_again_with_every_mistake,
    one_stamp_with_other_words_shows_the_form_again_with_a_fresh_stamp,
    a_duplicate_shows_the_form_again_and_the_way_back,
    a_form_that_came_too_often_shows_the_form_again_and_says_when,
    a_reply_to_what_is_gone_can_be_sent_to_the_post,
    the_demonstration_without_script_hands_over_the_receipt,
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
    let stamp = a_stamp(&server).await;
    let fields = [&VALID[..], &[("stamp", &*stamp)]].concat();

    let first = server.submit_form(&site.key, &fields).await;
    let second = server.submit_form(&site.key, &fields).await;

    assert!(first.status.is_success(), "{}", first.text);
    assert_eq!(second.status, first.status, "{}", second.text);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 1);
}

async fn a_form_that_wants_to_lead_elsewhere_is_shown_again_with_every_mistake(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let fields = [
        ("thread", "/harbour/"),
        ("name", "Ada Quill"),
        ("email", "ada-at-home"),
        ("body", "The plums are ripe."),
        ("redirect", "https://evil.test/"),
    ];

    let both = server.submit_form(&site.key, &fields).await.expect(422);
    let alone = [&VALID[..], &[("redirect", "https://evil.test/")]].concat();
    let alone = server.submit_form(&site.key, &alone).await.expect(422);

    assert!(both.text.contains("2 things to correct"), "{}", both.text);
    for answer in [&both, &alone] {
        assert!(answer.text.contains("is not the blog"), "{}", answer.text);
        assert!(answer.text.contains("The plums are ripe.</textarea>"));
        assert!(!answer.text.contains("evil.test"), "{}", answer.text);
    }
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 0);
}

async fn one_stamp_with_other_words_shows_the_form_again_with_a_fresh_stamp(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let stamp = a_stamp(&server).await;
    let first = [&VALID[..], &[("stamp", &*stamp)]].concat();
    server.submit_form(&site.key, &first).await.expect(201);
    let back = ("redirect", "https://garden.test/harbour/");
    let other = [
        VALID[0],
        VALID[1],
        VALID[2],
        ("body", "The pears are not."),
        back,
    ];

    let reused = server
        .submit_form(&site.key, &[&other[..], &[("stamp", &*stamp)]].concat())
        .await
        .expect(422);
    let fresh = field_of(&reused.text, "stamp");
    let again = [&other[..], &[("stamp", &*fresh)]].concat();
    server.submit_form(&site.key, &again).await.expect(303);

    assert!(is_page(&reused));
    assert!(reused.text.contains("The pears are not.</textarea>"));
    assert!(reused.text.contains("This form was sent before"));
    assert_eq!(field_of(&reused.text, "redirect"), back.1);
    assert_ne!(fresh, stamp);
    assert_eq!(server.thread(&site.key, "/harbour/").await.json["total"], 2);
}

async fn a_duplicate_shows_the_form_again_and_the_way_back(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;
    let fields = [&VALID[..], &[("redirect", "https://garden.test/harbour/")]].concat();
    server.submit_form(&site.key, &fields).await.expect(303);

    let answer = server.submit_form(&site.key, &fields).await.expect(409);

    assert!(is_page(&answer));
    assert!(
        answer
            .text
            .contains("You have said exactly this here before")
    );
    assert!(answer.text.contains("The plums are ripe.</textarea>"));
    assert!(
        answer.text.contains("Back to <bdi>the post</bdi>"),
        "{}",
        answer.text
    );
}

async fn a_form_that_came_too_often_shows_the_form_again_and_says_when(backend: &Backend) {
    let settings =
        Settings::judging_by_words(backend).with("ANTEROOM_RATES__SUBMIT_PER_IP_MIN", "1");
    let server = settings.start().await;
    let site = server.add_site("garden").await;
    let later = [VALID[0], VALID[1], VALID[2], ("body", "So are the pears.")];
    server.submit_form(&site.key, &VALID).await.expect(201);

    let answer = server.submit_form(&site.key, &later).await.expect(429);

    assert!(is_page(&answer));
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.text.contains("Try again in"), "{}", answer.text);
    assert!(answer.text.contains("So are the pears.</textarea>"));
}

async fn a_reply_to_what_is_gone_can_be_sent_to_the_post(backend: &Backend) {
    const GONE: &str = "019f0000-0000-7000-8000-000000000000";
    let server = Anteroom::judging_by_words(backend).await;
    let site = server.add_site("garden").await;

    for (parent, status) in [(GONE, 404), ("nobody", 422)] {
        let fields = [&VALID[..], &[("parent", parent)]].concat();
        let answer = server.submit_form(&site.key, &fields).await.expect(status);

        assert!(is_page(&answer));
        assert!(answer.text.contains("answers the post"), "{}", answer.text);
        assert!(answer.text.contains("The plums are ripe.</textarea>"));
        assert!(!answer.text.contains("name=\"parent\""), "{}", answer.text);
    }
}

async fn the_demonstration_without_script_hands_over_the_receipt(backend: &Backend) {
    let server = Anteroom::judging_by_words(backend).await;
    let demo = server.get("/demo").await.expect(200);
    let fields = [
        ("thread", "/demo"),
        ("name", "Ada"),
        ("email", "ada@post.example.org"),
        ("body", "please wait"),
        ("stamp", &field_of(&demo.text, "stamp")),
    ];

    let answer = server.submit_form("demo", &fields).await.expect(202);

    assert!(!demo.text.contains("name=\"redirect\""), "{}", demo.text);
    assert!(answer.text.contains("receipt="), "{}", answer.text);
    assert!(
        answer
            .text
            .contains("<a href=\"/demo\">Back to <bdi>the post</bdi></a>")
    );
}

async fn a_stamp(server: &Anteroom) -> String {
    let path = "/api/v1/sites/garden/form?thread=/harbour/";
    let form = server.get(path).await.expect(200);
    form.json["stamp"].as_str().unwrap().to_owned()
}

/// The value of a hidden field of a page's form.
fn field_of(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
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
