//! The console over plain HTTP: what a browser would send, and what nobody should get away with.
//!
//! Not here: how it looks and what keys do, which a browser shows.

use crate::rig::Backend;
use crate::rig::server::Settings;
use crate::rig::talk::ask;

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
