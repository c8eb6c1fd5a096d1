//! What every route has in common, said once and put into the description that is generated from the handlers: how
//! problems look, what a status means where a handler says no more, and who may call.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// Completes a generated description to a valid OpenAPI 3.1 document.
pub(super) fn complete(document: &mut Value) {
    document["components"]["schemas"]["Problem"] = problem();
    document["components"]["securitySchemes"] = json!({
        "siteKey": {
            "type": "http", "scheme": "bearer",
            "description": "A site's API key: the blog itself speaks.",
        },
        "moderator": {
            "type": "http", "scheme": "bearer",
            "description": "A moderator's API token.",
        },
        "receipt": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "`Receipt` and the token that came with the answer to a submission.",
        },
    });
    let Some(Value::Object(paths)) = document.get_mut("paths") else {
        return;
    };
    for operation in paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
    {
        let Some(operation) = operation.as_object_mut() else {
            continue;
        };
        if let Some(security) = security_of(operation) {
            operation.insert("security".to_owned(), security);
        }
        if let Some(Value::Object(responses)) = operation.get_mut("responses") {
            for (status, response) in responses {
                complete_response(status, response);
            }
        }
    }
}

/// Who may call, by the operation's tag; `{}` is anybody.
fn security_of(operation: &Map<String, Value>) -> Option<Value> {
    let tag = operation.get("tags")?.get(0)?.as_str()?;
    Some(match tag {
        "moderators" => json!([{ "moderator": [] }]),
        "authors" => json!([{ "receipt": [] }]),
        _ => json!([{}, { "siteKey": [] }]),
    })
}

fn complete_response(status: &str, response: &mut Value) {
    let code = status.parse::<u16>().ok();
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let Value::Object(response) = response else {
        return;
    };
    let reason = code.and_then(|code| code.canonical_reason());
    response
        .entry("description")
        .or_insert_with(|| reason.unwrap_or("As the status says").into());
    let is_problem = code.is_some_and(|code| code.is_client_error() || code.is_server_error());
    if is_problem {
        response.entry("content").or_insert_with(|| {
            json!({ "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } })
        });
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457. Some kinds have members of their own, such as the standing decision of a conflict.",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "description": "`/problems/` and the name of the kind." },
            "title": { "type": "string" },
            "status": { "type": ["integer", "string"] },
            "detail": { "type": "string" },
            "instance": { "type": "string", "description": "The request's id, to quote in a question." },
            "errors": { "type": "array", "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": { "type": "string", "description": "As in the request: `author.email`." },
                    "code": { "type": "string" },
                    "detail": { "type": "string" },
                },
            } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_described_and_every_refusal_is_a_problem() {
        let mut document = json!({ "paths": { "/a": { "get": {
            "tags": ["moderators"],
            "responses": { "200": { "description": "A page" }, "404": {} },
        } } } });

        complete(&mut document);

        let get = &document["paths"]["/a"]["get"];
        assert_eq!(get["responses"]["200"], json!({ "description": "A page" }));
        assert_eq!(get["responses"]["404"]["description"], "Not Found");
        assert!(get["responses"]["404"]["content"]["application/problem+json"].is_object());
        assert_eq!(get["security"], json!([{ "moderator": [] }]));
    }
}
