//! The public contract as sentences a test can say: submit, read, claim, decide.
//!
//! Not a client library. An answer is kept as it came, so that a test can look at all of it.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::server::{Anteroom, text_of};

/// One answer, with whatever JSON it carried; `null` if it carried none.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    /// The id of the comment or decision that was answered.
    pub(crate) fn id(&self) -> String {
        text_of(&self.json["id"])
    }

    /// The author's private token.
    pub(crate) fn receipt(&self) -> String {
        text_of(&self.json["receipt"])
    }

    /// Fails, showing the answer, unless it came with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// A valid submission to the thread `/harbour/`, each from an author of their own.
pub(crate) fn a_submission(number: usize, body: &str) -> Value {
    json!({
        "thread": {"key": "/harbour/"},
        "author": {
            "name": format!("Reader {number}"),
            "email": format!("reader-{number}@post.example.org"),
        },
        "body": body,
    })
}

/// A text as it stands in a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Sends a request and keeps its answer; the error is a connection that broke.
pub(crate) async fn ask(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status();
    let headers = response.headers().clone();
    let text = response.text().await?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        headers,
        text,
        json,
    })
}

impl Anteroom {
    /// Gets a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.http.get(format!("{}{path}", self.url)))
            .await
            .unwrap()
    }

    /// Gets a path as a moderator.
    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url));
        ask(request.bearer_auth(token)).await.unwrap()
    }

    /// Posts JSON as a moderator.
    pub(crate) async fn post_as(&self, token: &str, path: &str, content: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url));
        ask(request.bearer_auth(token).json(content)).await.unwrap()
    }

    /// The request that submits a comment as JSON.
    pub(crate) fn submission(&self, site: &str, content: &Value) -> RequestBuilder {
        let path = format!("{}/api/v1/sites/{site}/comments", self.url);
        self.http.post(path).json(content)
    }

    /// Submits a comment as JSON.
    pub(crate) async fn submit(&self, site: &str, content: &Value) -> Answer {
        ask(self.submission(site, content)).await.unwrap()
    }

    /// Submits a comment as a browser without script does.
    pub(crate) async fn submit_form(&self, site: &str, fields: &[(&str, &str)]) -> Answer {
        let path = format!("{}/api/v1/sites/{site}/comments", self.url);
        ask(self.http.post(path).form(fields)).await.unwrap()
    }

    /// Reads the first page of a thread.
    pub(crate) async fn thread(&self, site: &str, key: &str) -> Answer {
        let query = [("thread", key), ("limit", "200")];
        let path = format!("{}/api/v1/sites/{site}/comments", self.url);
        ask(self.http.get(path).query(&query))
            .await
            .unwrap()
            .expect(200)
    }

    /// Reads the author's own view of a comment.
    pub(crate) async fn receipt_view(&self, id: &str, receipt: &str) -> Answer {
        let path = format!("{}/api/v1/comments/{id}", self.url);
        let request = self
            .http
            .get(path)
            .header("authorization", format!("Receipt {receipt}"));
        ask(request).await.unwrap()
    }

    /// Every id a list of pages holds under `items`, as `pick` finds it in an item.
    pub(crate) async fn every_page(
        &self,
        token: Option<&str>,
        path: &str,
        items: &str,
        pick: fn(&Value) -> &Value,
    ) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{path}{cursor}");
            let page = match token {
                Some(token) => self.get_as(token, &path).await,
                None => self.get(&path).await,
            }
            .expect(200);
            ids.extend(
                page.json[items]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(pick)
                    .map(text_of),
            );
            match page.json["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", percent_encoded(next)),
                None => return ids,
            }
        }
    }

    /// Every comment of the queue of a site, by paging through it.
    pub(crate) async fn queue(&self, token: &str, site: &str) -> Vec<String> {
        let path = format!("/api/v1/queue?site={site}&order=oldest&limit=100");
        self.every_page(Some(token), &path, "items", |item| &item["comment"]["id"])
            .await
    }

    /// Every comment of a thread, by paging through it.
    pub(crate) async fn whole_thread(&self, site: &str, key: &str) -> Vec<String> {
        let path = format!("/api/v1/sites/{site}/comments?thread={key}&limit=200");
        self.every_page(None, &path, "comments", |comment| &comment["id"])
            .await
    }

    /// Decides on version 1 of a pending comment.
    pub(crate) async fn decide(&self, token: &str, id: &str, decision: &str) -> Answer {
        let mut content = json!({"decision": decision, "version": 1, "from": "pending"});
        if decision == "reject" {
            content["label"] = "spam".into();
        }
        self.post_as(token, &format!("/api/v1/comments/{id}/decision"), &content)
            .await
    }
}
