//! A browser without a window, driven from outside, as a reader or a moderator sees the pages.
//!
//! Not a replacement for reading the HTML: what a form sends is tested without it, too.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use super::server::{http_client, pause};
use super::{programs, warden};

const PATIENCE: Duration = Duration::from_mins(1); // the first start of a browser is slow
const LOCAL_ONLY: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// One browser with a fresh profile.
pub(crate) struct Browser {
    pub(crate) page: Client,
    driver: Child,
    _profile: TempDir,
}

/// Whether pages may run their scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

impl Browser {
    /// Opens a browser; none, said aloud, if there is none on this machine.
    pub(crate) async fn open(scripts: Scripts) -> Option<Self> {
        let (Some(chromium), Some(driver)) = (
            programs::find("chromium", &[]),
            programs::find("chromedriver", &[]),
        ) else {
            programs::skip("browser", "browser (chromium and chromedriver)");
            return None;
        };
        let profile = tempfile::Builder::new()
            .prefix("anteroom-browser-")
            .tempdir()
            .unwrap();
        warden::remove_later(profile.path());
        let port = programs::free_port();
        let driver = programs::command_as(None, &driver)
            .arg(format!("--port={port}"))
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        warden::end_group_later(driver.id());
        let url = format!("http://127.0.0.1:{port}");
        wait_until_it_answers(&url).await;

        let mut flags: Vec<String> = LOCAL_ONLY.map(String::from).into();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push("--window-size=1200,1400".to_owned());
        let mut options = json!({"binary": chromium, "args": flags});
        if scripts == Scripts::Off {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .unwrap();
        Some(Self {
            page,
            driver,
            _profile: profile,
        })
    }

    /// Goes to a page.
    pub(crate) async fn visit(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    /// Types into the field with this name.
    pub(crate) async fn fill(&self, field: &str, text: &str) {
        let selector = format!("[name=\"{field}\"]");
        let asked_at = Instant::now();
        loop {
            let field = self.waited_for(&selector).await;
            // A script may put a form of its own in the place of the one that was found.
            let typed = match field.clear().await {
                Ok(()) => field.send_keys(text).await,
                Err(error) => Err(error),
            };
            match typed {
                Ok(()) => return,
                Err(error) => assert!(asked_at.elapsed() < PATIENCE, "{selector}: {error}"),
            }
            pause(asked_at).await;
        }
    }

    /// What stands in the field with this name.
    pub(crate) async fn value_of(&self, field: &str) -> String {
        let field = self.waited_for(&format!("[name=\"{field}\"]")).await;
        field.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Clicks on what a selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        self.waited_for(selector).await.click().await.unwrap();
    }

    /// Presses a key where nothing is being typed.
    pub(crate) async fn press(&self, key: &str) {
        self.waited_for("body").await.send_keys(key).await.unwrap();
    }

    /// The address of the page, without the part behind `#`.
    pub(crate) async fn address(&self) -> String {
        let mut url = self.page.current_url().await.unwrap();
        url.set_fragment(None);
        url.to_string()
    }

    /// Waits until the text can be read on the page.
    pub(crate) async fn see(&self, text: &str) {
        let asked_at = Instant::now();
        loop {
            let seen = self.text().await;
            if seen.contains(text) {
                return;
            }
            assert!(asked_at.elapsed() < PATIENCE, "no {text:?} in: {seen}");
            pause(asked_at).await;
        }
    }

    /// All that can be read on the page.
    pub(crate) async fn text(&self) -> String {
        match self.page.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(), // between two pages
        }
    }

    /// Keeps a picture of the page, in the folder `ANTEROOM_TEST_PICTURES` or else a temporary one.
    pub(crate) async fn picture(&self, name: &str) {
        let folder = std::env::var_os("ANTEROOM_TEST_PICTURES").map_or_else(
            || std::env::temp_dir().join("anteroom-pictures"),
            PathBuf::from,
        );
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.page.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// Closes the browser.
    pub(crate) async fn close(self) {
        self.page.clone().close().await.unwrap();
    }

    /// Waits for what a selector finds.
    pub(crate) async fn waited_for(&self, selector: &str) -> fantoccini::elements::Element {
        let found = self
            .page
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(selector))
            .await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no {selector}: {error}; on the page: {}", self.text().await),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let leader = self.driver.id();
        if let Ok(pid) = i32::try_from(leader)
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.driver.wait();
        warden::forget_group(leader);
    }
}

async fn wait_until_it_answers(url: &str) {
    let client = http_client();
    let asked_at = Instant::now();
    while client.get(format!("{url}/status")).send().await.is_err() {
        assert!(
            asked_at.elapsed() < PATIENCE,
            "chromedriver does not answer"
        );
        pause(asked_at).await;
    }
}

#[tokio::test]
async fn a_page_shows_whether_scripts_run() {
    const PAGE: &str = "data:text/html,<p>plain</p><form><input name=a></form>\
                        <script>document.querySelector('p').textContent='scripted'</script>";
    for (scripts, expected) in [(Scripts::On, "scripted"), (Scripts::Off, "plain")] {
        let Some(browser) = Browser::open(scripts).await else {
            return;
        };

        browser.visit(PAGE).await;

        browser.see(expected).await;
        browser.fill("a", "typed").await;
        assert_eq!(browser.value_of("a").await, "typed");
        browser.close().await;
    }
}
