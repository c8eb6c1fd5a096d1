//! Pages for readers: the demonstration post, what came of a form, the receipt's page; and the files pages load.
//!
//! All of it works without script.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use url::Url;

use super::api::{author_problem, find_site, may_send, read_form};
use super::extract::{Form, Pairs, Path, Query};
use super::pages::reader::{AppealState, BackTo, EditView, Refusal, ReplyTo};
use super::pages::{
    CommentHtml, DemoPage, FieldNote, FormErrorsPage, ProblemPage, ReceiptPage, RefusedPage,
    ReplyForm, SubmittedPage, Template, ThreadComment, When,
};
use super::problem::{FieldProblem, Problem, Slug};
use super::session::faulty;
use super::{assets, avatar};
use crate::app::App;
use crate::app::author::{self, AuthorError, OwnComment};
use crate::app::submit::{Answer, Receipt};
use crate::app::threads::{self, Order, PageKey};
use crate::domain::{CommentId, Draft, Site, Status, ThreadKey};
use crate::text::markdown;

/// Key of the demonstration's site and of its one thread.
const DEMO_SITE: &str = "demo";
const DEMO_THREAD: &str = "/demo";

/// The pages' routes.
pub fn routes<S>() -> Router<S>
where
    App: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/", get(home))
        .route("/demo", get(demo))
        .route("/c/{id}", get(receipt))
        .route("/c/{id}/edit", post(edit))
        .route("/c/{id}/withdraw", post(withdraw))
        .route("/c/{id}/appeal", post(appeal))
        .route("/embed.js", get(embed))
        .route("/favicon.ico", get(favicon))
        .route("/assets/{name}", get(asset))
        .route("/assets/avatar/{name}", get(picture))
}

async fn home(State(app): State<App>) -> Redirect {
    let has_demo = app.sites.current().by_key(DEMO_SITE).is_some();
    Redirect::to(if has_demo { "/demo" } else { "/console" })
}

async fn demo(State(app): State<App>, Query(query): Query) -> Result<Response, Problem> {
    let site = find_site(&app, DEMO_SITE).await?;
    let thread =
        ThreadKey::parse(DEMO_THREAD).map_err(|wrong| Problem::internal(wrong.to_string()))?;
    let key = PageKey {
        order: Order::Oldest,
        limit: 200,
        after: None,
    };
    let page = threads::page(&app, &site, &thread, key)
        .await
        .map_err(|fault| faulty(&fault))?;
    let now = app.clock.now();
    let comments = page.comments.into_iter().map(|(id, face)| ThreadComment {
        id: id.to_string(),
        parent: face.parent.map(|parent| parent.to_string()),
        name: face.name.clone().unwrap_or_else(|| "(erased)".to_owned()),
        url: face.website.clone(),
        avatar: avatar::data_uri(&face.avatar_seed),
        html: CommentHtml::from_allow_list(markdown::html(&face.body)),
        at: When::new(face.created_at, now),
        is_edited: face.edited_at.is_some(),
    });
    let comments: Vec<ThreadComment> = comments.collect();
    let answered = query.get("reply");
    let parent = comments
        .iter()
        .find(|comment| answered == Some(comment.id.as_str()))
        .map(|comment| ReplyTo {
            id: comment.id.clone(),
            name: comment.name.clone(),
        });
    let demo = DemoPage {
        nonce: String::new(),
        comments,
        form: ReplyForm {
            site: DEMO_SITE.to_owned(),
            thread: DEMO_THREAD.to_owned(),
            parent,
            // Without script the page with the outcome is the one place that can hand over the receipt.
            redirect: None,
            stamp: stamp(&app, &site, DEMO_THREAD)?,
            trap_field: app.keyring.trap_field(site.id),
            is_open: !page.closed,
            is_on_post: true,
            ..ReplyForm::default()
        },
        is_pending: query.get("comment") == Some("pending"),
    };
    html(StatusCode::OK, &demo)
}

fn stamp(app: &App, site: &Site, thread: &str) -> Result<String, Problem> {
    app.keyring
        .stamp(site.id, thread, app.clock.now())
        .map_err(|error| Problem::internal(error.to_string()))
}

/// What a plain form answers: the way back to the post, or a page with the outcome and what was typed.
pub(super) fn form_outcome(
    app: &App,
    site: &Site,
    headers: &HeaderMap,
    form: &Pairs,
    outcome: Result<Receipt, Problem>,
) -> Response {
    let draft = read_form(app, site, form);
    let redirect = wanted_redirect(form).and_then(|address| own_address(site, headers, address));
    let mut back = post_of(site, headers, &draft, redirect.as_ref());
    let receipt = match outcome {
        Ok(receipt) => receipt,
        Err(problem) => return form_problem(app, site, draft, redirect.as_ref(), back, &problem),
    };
    let receipt_href = format!("/c/{}?receipt={}", receipt.id, receipt.token);
    let published = match receipt.answer {
        Answer::Published => true,
        Answer::Waiting => false,
        Answer::Rejected { label, reply } => {
            let told = super::api::rejected(label, reply);
            let refused = RefusedPage {
                reply: told
                    .detail
                    .map(std::borrow::Cow::into_owned)
                    .unwrap_or_default(),
                text: draft.body,
                receipt_href,
                back,
            };
            return page(&refused, StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    if let Some(mut url) = redirect {
        if published {
            url.set_fragment(Some(&format!("comment-{}", receipt.id)));
        } else {
            let others: Vec<(String, String)> = url
                .query_pairs()
                .into_owned()
                .filter(|(name, _)| name != "comment")
                .collect();
            url.query_pairs_mut()
                .clear()
                .extend_pairs(others)
                .append_pair("comment", "pending");
        }
        let mut response = StatusCode::SEE_OTHER.into_response();
        if let Ok(location) = HeaderValue::from_str(url.as_str()) {
            response.headers_mut().insert(LOCATION, location);
        }
        return response;
    }
    if published && let Some(back) = &mut back {
        let _ = write!(back.href, "#comment-{}", receipt.id); // writing to a string cannot fail
    }
    let now = app.clock.now();
    let submitted = SubmittedPage {
        is_published: published,
        name: draft.name,
        text: draft.body,
        receipt_href,
        back,
        edit_until: Some(When::new(receipt.edit_until, now)),
    };
    page(
        &submitted,
        if published {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        },
    )
}

/// What is wrong with where a form wants to lead: nothing, if it wants to lead nowhere or to a page of the site.
pub(super) fn redirect_fault(
    site: &Site,
    headers: &HeaderMap,
    form: &Pairs,
) -> Option<FieldProblem> {
    let address = wanted_redirect(form)?;
    own_address(site, headers, address)
        .is_none()
        .then(|| FieldProblem {
            field: "redirect".into(),
            code: "foreign".into(),
            detail: "the page wanted to lead you to an address that is not the blog's; \
                     send this again, and you will see here what came of it"
                .into(),
        })
}

fn wanted_redirect(form: &Pairs) -> Option<&str> {
    let address = form.get("redirect")?.trim();
    (!address.is_empty()).then_some(address)
}

/// The post to go back to: where the form leads, else the post's address as the form has it, else the demonstration.
fn post_of(
    site: &Site,
    headers: &HeaderMap,
    draft: &Draft,
    redirect: Option<&Url>,
) -> Option<BackTo> {
    let named = || own_address(site, headers, &draft.thread_url);
    let href = match redirect.cloned().or_else(named) {
        Some(mut url) => {
            url.set_fragment(None);
            url.into()
        }
        None if site.key.as_str() == DEMO_SITE && draft.thread_key == DEMO_THREAD => {
            DEMO_THREAD.to_owned()
        }
        None => return None,
    };
    Some(BackTo {
        href,
        title: "the post".to_owned(),
    })
}

fn form_problem(
    app: &App,
    site: &Site,
    draft: Draft,
    redirect: Option<&Url>,
    back: Option<BackTo>,
    problem: &Problem,
) -> Response {
    let status = problem.status();
    let retry_after_s = problem.retry_after.map(|wait| wait.as_secs().max(1));
    let parent_is_wrong = problem.slug == Slug::NotFound
        || problem.errors.iter().any(|error| error.field == "parent");
    let refusal = refusal(problem.slug, !draft.parent.is_empty());
    if refusal.is_none() && problem.slug != Slug::Fields {
        let (_, code, title) = problem.slug.words();
        let told = ProblemPage {
            retry_after_s,
            back,
            typed: Some(draft.body),
            ..ProblemPage::new(code, title, problem.detail.clone().unwrap_or_default())
        };
        let mut response = page(&told, status);
        problem.set_headers(&mut response);
        return response;
    }
    // Where the first sending may still arrive, the old stamp stays: sent again, it finds the first answer.
    let may_arrive = matches!(problem.slug, Slug::InFlight | Slug::Unavailable);
    let stamp = if may_arrive && !draft.stamp.is_empty() {
        draft.stamp
    } else {
        match stamp(app, site, &draft.thread_key) {
            Ok(stamp) => stamp,
            Err(problem) => return problem.into_response(),
        }
    };
    let notes = problem.errors.iter().map(|error| {
        let field = error.field.strip_prefix("author.").unwrap_or(&error.field);
        let detail = match field {
            "parent" => PARENT_IS_GONE,
            _ => &*error.detail,
        };
        FieldNote::new(field, detail)
    });
    let again = FormErrorsPage {
        form: ReplyForm {
            site: site.key.to_string(),
            thread: draft.thread_key,
            parent: Some(draft.parent)
                .filter(|id| !id.is_empty() && !parent_is_wrong)
                .map(|id| ReplyTo {
                    id,
                    name: String::new(),
                }),
            redirect: redirect.map(Url::to_string),
            stamp,
            trap_field: app.keyring.trap_field(site.id),
            name: draft.name,
            url: draft.url,
            body: draft.body,
            notes: notes.collect(),
            is_open: true,
            is_on_post: false,
        },
        refusal,
        retry_after_s,
        back,
    };
    let mut response = page(&again, status);
    problem.set_headers(&mut response);
    response
}

const PARENT_IS_GONE: &str = "the comment you answer is not in this discussion any more; \
                              send this again, and it answers the post";

/// Why a form was not taken, where sending it again can help and no field says why.
fn refusal(slug: Slug, is_reply: bool) -> Option<Refusal> {
    let (title, reason) = match slug {
        Slug::Duplicate => (
            "You have said exactly this here before",
            "It has arrived, so you need not send it again. If you meant something else, change the words below.",
        ),
        Slug::KeyReused => (
            "This form was sent before",
            "What you sent with it then has arrived. The words below are others: send them, too, if you want to say both.",
        ),
        Slug::InFlight => (
            "This is on its way already",
            "Your first click is not answered yet. Send it again in a moment to see what came of it.",
        ),
        Slug::TooManyRequests => (
            "That was a lot at once",
            "More comments arrived here than can be taken at a time. Nothing is lost: send it again a little later.",
        ),
        Slug::Unavailable => (
            "This does not work at the moment",
            "Your comment could not be stored. Send it again a little later.",
        ),
        Slug::NotFound if is_reply => (
            "What you answer is not here any more",
            "The comment was withdrawn or taken down. Send this again, and it answers the post.",
        ),
        _ => return None,
    };
    Some(Refusal { title, reason })
}

/// An address on an origin of the site, or on our own.
fn own_address(site: &Site, headers: &HeaderMap, address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
    (is_web && may_send(site, &url.origin().ascii_serialization(), host)).then_some(url)
}

async fn receipt(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let (id, receipt) = read_receipt(&id, &query)?;
    let own = author::view(&app, id, &receipt)
        .await
        .map_err(author_problem)?;
    let notice = match query.get("done") {
        Some("edit") => Some("Your change is saved."),
        Some("withdraw") => Some("Your comment is withdrawn."),
        Some("appeal") => Some("Your words are with the moderators."),
        _ => None,
    };
    receipt_page(&app, own, receipt, StatusCode::OK, notice, Vec::new(), None)
}

fn receipt_page(
    app: &App,
    own: OwnComment,
    receipt: String,
    status: StatusCode,
    notice: Option<&str>,
    notes: Vec<FieldNote>,
    typed: Option<String>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let href = own.thread_url.clone();
    let title = own.thread_title.clone();
    // What readers see is what the page says first, even while a person looks at it again, or at a change of it.
    let status_told = own.public_version.map_or(own.status, |_| Status::Approved);
    let page = ReceiptPage {
        id: own.id.to_string(),
        receipt,
        status: status_told,
        label: own.label,
        reply: own.reply,
        name: own.face.name.unwrap_or_default(),
        text: own.public_body.unwrap_or(own.face.body),
        at: When::new(own.face.created_at, now),
        version: own.public_version.unwrap_or(own.version),
        edit: own.edit.map(|edit| EditView {
            is_refused: edit.status == Status::Rejected,
            label: edit.label,
            reply: edit.reply,
            text: edit.body,
        }),
        post: match (href, own.face.thread.as_str()) {
            (Some(href), _) => Some(BackTo {
                title: title.unwrap_or_else(|| href.clone()),
                href,
            }),
            (None, DEMO_THREAD) if own.site_key == DEMO_SITE => Some(BackTo {
                href: "/demo".to_owned(),
                title: "the demonstration post".to_owned(),
            }),
            (None, _) => None,
        },
        edit_until: own.can_edit.then(|| When::new(own.edit_until, now)),
        can_withdraw: own.status != Status::Withdrawn,
        appeal: if own.can_appeal {
            AppealState::Open
        } else {
            AppealState::None
        },
        notice: notice.map(str::to_owned),
        notes,
        typed,
    };
    html(status, &page)
}

async fn edit(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    let (id, receipt) = read_receipt(&id, &form)?;
    let typed = form.any_of(&["body"]);
    match author::edit(&app, id, &receipt, typed.clone()).await {
        Ok((_, Answer::Published | Answer::Waiting)) => Ok(done(id, &receipt, "edit")),
        Ok((own, Answer::Rejected { .. })) => {
            // The page itself says why.
            let note = "this was not published; you can change the words and save them again";
            let note = FieldNote::new("body", note);
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            receipt_page(&app, own, receipt, status, None, vec![note], Some(typed))
        }
        Err(AuthorError::Fields(errors)) => {
            let notes = errors
                .iter()
                .map(|error| FieldNote::new(error.field, error.wrong.to_string()));
            let notes = notes.collect();
            let own = author::view(&app, id, &receipt)
                .await
                .map_err(author_problem)?;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            receipt_page(&app, own, receipt, status, None, notes, Some(typed))
        }
        Err(error) => Err(author_problem(error)),
    }
}

async fn withdraw(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    let (id, receipt) = read_receipt(&id, &form)?;
    author::withdraw(&app, id, &receipt)
        .await
        .map_err(author_problem)?;
    Ok(done(id, &receipt, "withdraw"))
}

async fn appeal(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Problem> {
    let (id, receipt) = read_receipt(&id, &form)?;
    let typed = form.any_of(&["text"]);
    match author::appeal(&app, id, &receipt, typed.clone()).await {
        Ok(_) => Ok(done(id, &receipt, "appeal")),
        Err(AuthorError::Fields(errors)) => {
            let notes = errors
                .iter()
                .map(|error| FieldNote::new(error.field, error.wrong.to_string()));
            let notes = notes.collect();
            let own = author::view(&app, id, &receipt)
                .await
                .map_err(author_problem)?;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            receipt_page(&app, own, receipt, status, None, notes, Some(typed))
        }
        Err(error) => Err(author_problem(error)),
    }
}

fn read_receipt(id: &str, pairs: &Pairs) -> Result<(CommentId, String), Problem> {
    let wrong = || Problem::not_found("There is no such comment, or this is not its receipt.");
    let id = id.parse().map_err(|_| wrong())?;
    let receipt = pairs
        .get("receipt")
        .filter(|receipt| !receipt.is_empty())
        .ok_or_else(wrong)?;
    Ok((id, receipt.to_owned()))
}

fn done(id: CommentId, receipt: &str, what: &str) -> Response {
    let receipt: String = url::form_urlencoded::byte_serialize(receipt.as_bytes()).collect();
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/c/{id}?receipt={receipt}&done={what}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

async fn embed(headers: HeaderMap) -> Response {
    let script = HeaderValue::from_static("text/javascript; charset=utf-8");
    let body = assets::embed_script().as_bytes();
    file(
        &headers,
        body,
        script,
        assets::embed_etag(),
        "public, max-age=300",
    )
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = assets::at(&format!("/assets/{name}"))
        .ok_or_else(|| Problem::not_found("There is no such file."))?;
    let media = HeaderValue::from_static(asset.content_type);
    Ok(file(&headers, asset.bytes, media, &asset.etag, FOR_EVER))
}

async fn favicon(headers: HeaderMap) -> Response {
    let icon = assets::at(assets::path("icon.svg"));
    icon.map_or_else(
        || Problem::not_found("There is no icon.").into_response(),
        |icon| {
            let media = HeaderValue::from_static("image/svg+xml");
            file(
                &headers,
                icon.bytes,
                media,
                &icon.etag,
                "public, max-age=86400",
            )
        },
    )
}

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Draws the picture for a seed; its address stands in every comment.
async fn picture(Path(name): Path<String>) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("There is no such picture.");
    let digits = name.strip_suffix(".svg").ok_or_else(unknown)?;
    let mut seed = [0; 16];
    hex::decode_to_slice(digits, &mut seed).map_err(|_| unknown())?;
    let mut response = avatar::svg(&seed).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    Ok(response)
}

fn file(
    headers: &HeaderMap,
    bytes: &'static [u8],
    media: HeaderValue,
    etag: &str,
    cache: &'static str,
) -> Response {
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.contains(etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        bytes.into_response()
    };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, media);
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        out.insert(ETAG, etag);
    }
    response
}

/// A problem on a page, where a person is looking.
pub(super) fn problem_page(problem: &Problem, request_id: &str) -> Option<Response> {
    let (_, status, title) = problem.slug.words();
    let detail = problem
        .errors
        .first()
        .map(|error| error.detail.clone().into_owned());
    let detail = problem
        .detail
        .clone()
        .map(std::borrow::Cow::into_owned)
        .or(detail);
    let told = ProblemPage {
        retry_after_s: problem.retry_after.map(|wait| wait.as_secs().max(1)),
        request_id: Some(request_id.to_owned()),
        ..ProblemPage::new(status, title, detail.unwrap_or_default())
    };
    told.render().ok().map(|text| Html(text).into_response())
}

fn page(page: &impl Template, status: StatusCode) -> Response {
    html(status, page).unwrap_or_else(IntoResponse::into_response)
}

fn html(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let text = page
        .render()
        .map_err(|error| Problem::internal(format!("template: {error}")))?;
    Ok((status, Html(text)).into_response())
}
