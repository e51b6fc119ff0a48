//! What a website makes of a request: which object is its page, where it is redirected to, what is shown for an error.
//!
//! Pure decisions, in the order in which S3 takes them (S3 User Guide, "Hosting a static website"): rules without an
//! error code before anything is read, the page, then for an error the rules that name it and the error document.

use bytes::Bytes;

use crate::bucket_website::{NewKey, Protocol, Redirect, RoutingRule, WebsiteConfiguration};
use crate::error::S3Error;
use crate::percent;

/// The status of a redirect that names none.
const MOVED_PERMANENTLY: u16 = 301;

/// What is asked of a website.
#[derive(Debug, Clone, Copy)]
pub struct WebsiteRequest<'a> {
    /// By which protocol.
    pub protocol: Protocol,
    /// The host, as it was asked for.
    pub host: &'a str,
    /// The key: the path without its first slash, decoded.
    pub key: &'a [u8],
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The object of this key is its page.
    Object(Vec<u8>),
    /// It is redirected.
    Redirected(Redirected),
}

/// What is to be done when a page cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorPage {
    /// The request is redirected.
    Redirected(Redirected),
    /// Where an object of the first key is, the request is redirected; else as [`WebsiteConfiguration::error_page`] says
    /// of `as_file` false.
    Folder {
        /// The index of the folder that the request may have meant.
        index: Vec<u8>,
        /// Where to, if it is there.
        redirected: Redirected,
    },
    /// The object of this key is shown, under the error's own status.
    Object(Vec<u8>),
    /// The error itself is shown ([`error_page`]).
    Plain,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirected {
    /// 3xx.
    pub status: u16,
    /// The `Location`.
    pub location: String,
}

impl WebsiteConfiguration {
    /// What is to be done with a request.
    pub fn page(&self, request: &WebsiteRequest<'_>) -> Page {
        match self {
            Self::RedirectAll { host, protocol } => {
                let protocol = protocol.unwrap_or(request.protocol);
                Page::Redirected(Redirected {
                    status: MOVED_PERMANENTLY,
                    location: location(protocol, host, request.key),
                })
            }
            Self::Pages { index_suffix, rules, .. } => {
                let mut before = rules.iter().filter(|rule| rule.error_code.is_none());
                match before.find(|rule| rule.fits(request.key)) {
                    Some(rule) => Page::Redirected(rule.redirected(request)),
                    None if is_folder(request.key) => Page::Object([request.key, index_suffix.as_bytes()].concat()),
                    None => Page::Object(request.key.to_vec()),
                }
            }
        }
    }

    /// What is to be done when reading the page was answered `status`. `as_file` says whether the request's key may yet
    /// mean a folder, which was not looked for.
    pub fn error_page(&self, request: &WebsiteRequest<'_>, status: u16, as_file: bool) -> ErrorPage {
        let Self::Pages { index_suffix, error_key, rules } = self else { return ErrorPage::Plain };
        let mut on_error = rules.iter().filter(|rule| rule.error_code == Some(status));
        if as_file && matches!(status, 403 | 404) && !is_folder(request.key) {
            let folder = [request.key, b"/"].concat();
            let location = format!("/{}", percent::encode(&folder, true));
            let index = [&folder[..], index_suffix.as_bytes()].concat();
            return ErrorPage::Folder { index, redirected: Redirected { status: 302, location } };
        }
        match (on_error.find(|rule| rule.fits(request.key)), error_key) {
            (Some(rule), _) => ErrorPage::Redirected(rule.redirected(request)),
            (None, Some(key)) if (400..500).contains(&status) => ErrorPage::Object(key.clone().into_bytes()),
            (None, _) => ErrorPage::Plain,
        }
    }
}

/// An error as people see it: HTML, every text of a stranger escaped.
pub fn error_page(error: &S3Error, request_id: &str, host_id: &str) -> Bytes {
    let status = error.status();
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut items = vec![("Code", error.code().as_str()), ("Message", error.message())];
    items.extend(error.field("Key").map(|key| ("Key", key)));
    items.extend([("RequestId", request_id), ("HostId", host_id)]);
    let items: String = items.iter().map(|(name, text)| format!("<li>{name}: {}</li>\n", escaped(text))).collect();
    let page = format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n{items}</ul>\n<hr/>\n</body>\n</html>\n"
    );
    page.into()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

fn is_folder(key: &[u8]) -> bool {
    key.is_empty() || key.ends_with(b"/")
}

fn location(protocol: Protocol, host: &str, key: &[u8]) -> String {
    format!("{}://{host}/{}", protocol.name(), percent::encode(key, true))
}

impl RoutingRule {
    fn fits(&self, key: &[u8]) -> bool {
        self.key_prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
    }

    /// The request fits.
    fn redirected(&self, request: &WebsiteRequest<'_>) -> Redirected {
        let Redirect { protocol, host, key, status } = &self.redirect;
        let rest = &request.key[self.key_prefix.as_ref().map_or(0, String::len)..];
        let key = match key {
            None => request.key.to_vec(),
            Some(NewKey::Whole(key)) => key.clone().into_bytes(),
            Some(NewKey::Prefix(prefix)) => [prefix.as_bytes(), rest].concat(),
        };
        let host = host.as_deref().unwrap_or(request.host);
        let location = location(protocol.unwrap_or(request.protocol), host, &key);
        Redirected { status: status.unwrap_or(MOVED_PERMANENTLY), location }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn request(key: &str) -> WebsiteRequest<'_> {
        WebsiteRequest { protocol: Protocol::Http, host: "b.s3-website.localhost", key: key.as_bytes() }
    }

    fn rule(prefix: Option<&str>, error_code: Option<u16>, redirect: Redirect) -> RoutingRule {
        RoutingRule { key_prefix: prefix.map(str::to_owned), error_code, redirect }
    }

    fn pages(error_key: Option<&str>, rules: Vec<RoutingRule>) -> WebsiteConfiguration {
        let error_key = error_key.map(str::to_owned);
        WebsiteConfiguration::Pages { index_suffix: "index.html".to_owned(), error_key, rules }
    }

    fn to(status: u16, location: &str) -> Redirected {
        Redirected { status, location: location.to_owned() }
    }

    fn object(key: &str) -> Page {
        Page::Object(key.as_bytes().to_vec())
    }

    #[test]
    fn folders_are_their_index_and_other_keys_themselves() {
        let website = pages(None, Vec::new());
        assert_eq!(website.page(&request("")), object("index.html"));
        assert_eq!(website.page(&request("a/b/")), object("a/b/index.html"));
        assert_eq!(website.page(&request("a/b")), object("a/b"));
    }

    #[test]
    fn a_website_elsewhere_redirects_everything() {
        let host = "example.com:8080".to_owned();
        let website = WebsiteConfiguration::RedirectAll { host: host.clone(), protocol: None };
        let expected = Page::Redirected(to(301, "http://example.com:8080/a%20b/%C3%A4"));
        assert_eq!(website.page(&request("a b/ä")), expected);
        let website = WebsiteConfiguration::RedirectAll { host, protocol: Some(Protocol::Https) };
        assert_eq!(website.page(&request("")), Page::Redirected(to(301, "https://example.com:8080/")));
        assert_eq!(website.error_page(&request(""), 404, true), ErrorPage::Plain);
    }

    /// The examples of the S3 User Guide, "Configure advanced conditional redirects".
    #[test]
    fn rules_replace_prefixes_and_whole_keys() {
        let prefix = Redirect { key: Some(NewKey::Prefix("documents/".to_owned())), ..Redirect::default() };
        let website = pages(None, vec![rule(Some("docs/"), None, prefix)]);
        let moved = to(301, "http://b.s3-website.localhost/documents/page.html");
        assert_eq!(website.page(&request("docs/page.html")), Page::Redirected(moved));
        assert_eq!(website.page(&request("other/page.html")), object("other/page.html"));

        let whole = Redirect { key: Some(NewKey::Whole("folderdeleted.html".to_owned())), ..Redirect::default() };
        let website = pages(None, vec![rule(Some("images/"), None, whole)]);
        let gone = to(301, "http://b.s3-website.localhost/folderdeleted.html");
        assert_eq!(website.page(&request("images/a.jpg")), Page::Redirected(gone));

        let elsewhere = Redirect {
            host: Some("ec2.example.com".to_owned()),
            key: Some(NewKey::Prefix("report-404/".to_owned())),
            protocol: Some(Protocol::Https),
            status: Some(307),
        };
        let website = pages(Some("error.html"), vec![rule(None, Some(404), elsewhere)]);
        assert_eq!(website.page(&request("missing.html")), object("missing.html"), "only once it is missing");
        let reported = to(307, "https://ec2.example.com/report-404/missing.html");
        let page = website.error_page(&request("missing.html"), 404, false);
        assert_eq!(page, ErrorPage::Redirected(reported));
        let shown = ErrorPage::Object(b"error.html".to_vec());
        assert_eq!(website.error_page(&request("missing.html"), 403, false), shown, "another error is another matter");
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let named = |key: &str| Redirect { key: Some(NewKey::Whole(key.to_owned())), ..Redirect::default() };
        let rules = vec![
            rule(Some("a/b/"), Some(404), named("of-an-error")),
            rule(Some("a/b/"), None, named("first")),
            rule(Some("a/"), None, named("second")),
            rule(None, None, named("rest")),
        ];
        let website = pages(None, rules);
        for (key, to_key) in [("a/b/c", "first"), ("a/c", "second"), ("b", "rest"), ("", "rest")] {
            let Page::Redirected(redirected) = website.page(&request(key)) else { panic!("{key} is redirected") };
            assert_eq!(redirected.location, format!("http://b.s3-website.localhost/{to_key}"), "{key}");
        }
    }

    #[test]
    fn what_is_not_there_may_be_a_folder_else_it_is_an_error() {
        let website = pages(Some("errors/404.html"), Vec::new());
        let folder = ErrorPage::Folder { index: b"a b/index.html".to_vec(), redirected: to(302, "/a%20b/") };
        assert_eq!(website.error_page(&request("a b"), 404, true), folder);
        let shown = ErrorPage::Object(b"errors/404.html".to_vec());
        assert_eq!(website.error_page(&request("a b"), 404, false), shown);
        assert_eq!(website.error_page(&request("a/"), 404, true), shown, "a folder is none within another");
        assert_eq!(website.error_page(&request("a"), 503, true), ErrorPage::Plain, "what is no fault of the request");
        assert_eq!(pages(None, Vec::new()).error_page(&request("a"), 404, false), ErrorPage::Plain);
    }

    #[test]
    fn errors_are_shown_as_html_and_nothing_of_them_is_markup() {
        let error = S3Error::new(ErrorCode::NoSuchKey).with("Key", "<script>'\"&");
        let page = error_page(&error, "REQUEST", "HOST");
        let text = std::str::from_utf8(&page).unwrap();
        assert!(text.contains("<title>404 Not Found</title>") && text.contains("<li>Code: NoSuchKey</li>"), "{text}");
        assert!(
            text.contains("<li>Key: &lt;script&gt;&#39;&quot;&amp;</li>") && text.contains("<li>HostId: HOST</li>")
        );
    }
}
