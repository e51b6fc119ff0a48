//! What a bucket's rules say to a browser: the answer to a preflight (OPTIONS), and the headers of other answers.
//!
//! The rules are S3's (S3 User Guide, "How does Amazon S3 evaluate the CORS configuration on a bucket?"): the first rule
//! that fits origin, method and headers decides.

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::answer;
use crate::bucket_cors::{CorsConfiguration, CorsRule, METHODS};
use crate::error::{ErrorCode, S3Error};
use crate::target::Level;

const ANY: &str = "*";
const VARIES_BY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// What a preflight asks: whether a page of this origin may send such a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The page's origin.
    origin: String,
    /// The method.
    method: String,
    /// Names of headers, in lower case.
    headers: Vec<String>,
    level: Level,
}

/// Why a preflight is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disallowed {
    /// There is no such bucket.
    NoBucket,
    /// The bucket has no rules.
    NoRules,
    /// No rule fits.
    NoRuleFits,
}

impl Preflight {
    /// Reads the question.
    ///
    /// # Errors
    /// `BadRequest` without an origin, or without a method that there is.
    pub fn parse(headers: &HeaderMap, level: Level) -> Result<Self, S3Error> {
        let bad = |message: String| S3Error::new(ErrorCode::BadRequest).with_message(message);
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let Some(origin) = text(&ORIGIN).filter(|origin| !origin.is_empty()) else {
            return Err(bad("Insufficient information. Origin request header needed.".to_owned()));
        };
        let method = text(&ACCESS_CONTROL_REQUEST_METHOD).unwrap_or("null");
        if !METHODS.contains(&method) {
            return Err(bad(format!("Invalid Access-Control-Request-Method: {method}")));
        }
        let lists = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let names = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        let names = names.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        Ok(Self { origin: origin.to_owned(), method: method.to_owned(), headers: names.collect(), level })
    }

    /// The answer by a bucket's rules.
    ///
    /// # Errors
    /// `AccessForbidden` where no rule fits.
    pub fn answer(&self, rules: &CorsConfiguration) -> Result<Response<Bytes>, S3Error> {
        let fits = |rule: &&CorsRule| {
            rule.fits(&self.origin, &self.method) && self.headers.iter().all(|name| rule.allows_header(name))
        };
        let rule = rules.rules.iter().find(fits).ok_or_else(|| self.refused(Disallowed::NoRuleFits))?;
        let mut answer = answer::empty(StatusCode::OK);
        rule.tell(answer.headers_mut(), &self.origin);
        if !self.headers.is_empty() {
            answer::set(answer.headers_mut(), "access-control-allow-headers", self.headers.join(", "));
        }
        Ok(answer)
    }

    /// `AccessForbidden` in AWS's words.
    pub fn refused(&self, why: Disallowed) -> S3Error {
        let message = match why {
            Disallowed::NoBucket => "CORSResponse: Bucket not found",
            Disallowed::NoRules => "CORSResponse: CORS is not enabled for this bucket.",
            // AWS writes it so.
            Disallowed::NoRuleFits => {
                "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                 request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted \
                 by the resource's CORS spec."
            }
        };
        let resource = if self.level == Level::Object { "OBJECT" } else { "BUCKET" };
        let error = S3Error::new(ErrorCode::AccessForbidden).with_message(message);
        error.with("Method", &self.method).with("ResourceType", resource)
    }
}

/// Puts on the answer to another request what the rules say to its origin: nothing where none fits.
///
/// `request` are the request's headers, which name an origin.
pub fn set_headers(answer: &mut HeaderMap, rules: &CorsConfiguration, request: &HeaderMap, method: &str) {
    answer.append(VARY, HeaderValue::from_static(VARIES_BY));
    let text = |name: &HeaderName| request.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let Some(origin) = text(&ORIGIN).filter(|origin| !origin.is_empty()) else { return };
    // What a page says that it would do goes before what it does, as in S3.
    let method = text(&ACCESS_CONTROL_REQUEST_METHOD).unwrap_or(method);
    if let Some(rule) = rules.rules.iter().find(|rule| rule.fits(origin, method)) {
        rule.tell(answer, origin);
    }
}

impl CorsRule {
    fn fits(&self, origin: &str, method: &str) -> bool {
        self.allowed_methods.iter().any(|allowed| allowed == method)
            && self.allowed_origins.iter().any(|pattern| matches(pattern, origin))
    }

    /// `name` is in lower case.
    fn allows_header(&self, name: &str) -> bool {
        self.allowed_headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
    }

    fn tell(&self, headers: &mut HeaderMap, origin: &str) {
        // The origin itself, unless anybody may: only then may a page send what tells who its user is.
        let pattern = self.allowed_origins.iter().find(|pattern| matches(pattern, origin));
        let is_anybody = pattern.is_some_and(|pattern| pattern == ANY);
        answer::set(headers, "access-control-allow-origin", if is_anybody { ANY } else { origin });
        answer::set(headers, "access-control-allow-methods", self.allowed_methods.join(", "));
        if !self.expose_headers.is_empty() {
            answer::set(headers, "access-control-expose-headers", self.expose_headers.join(", "));
        }
        if let Some(seconds) = self.max_age_seconds {
            answer::set(headers, "access-control-max-age", seconds);
        }
        if !is_anybody {
            answer::set(headers, "access-control-allow-credentials", "true");
        }
        if !headers.contains_key(VARY) {
            answer::set(headers, "vary", VARIES_BY);
        }
    }
}

/// Whether a text is what a pattern with at most one `*` says.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CorsConfiguration {
        let rule = |origins: &[&str], methods: &[&str]| CorsRule {
            allowed_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            allowed_methods: methods.iter().map(|&method| method.to_owned()).collect(),
            ..CorsRule::default()
        };
        let first = CorsRule {
            allowed_headers: vec!["X-Amz-*".to_owned(), "content-type".to_owned()],
            expose_headers: vec!["ETag".to_owned(), "x-amz-meta-a".to_owned()],
            max_age_seconds: Some(3000),
            ..rule(&["http://exact", "https://*.example.com"], &["GET", "PUT"])
        };
        CorsConfiguration { rules: vec![first, rule(&["*"], &["GET"])] }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    const METHOD: &str = "access-control-request-method";
    const HEADERS: &str = "access-control-request-headers";

    fn preflight(pairs: &[(&'static str, &'static str)]) -> Result<Response<Bytes>, S3Error> {
        Preflight::parse(&headers(pairs), Level::Object)?.answer(&rules())
    }

    #[test]
    fn a_preflight_that_fits_is_told_what_it_may() {
        let asked = [("origin", "https://a.example.com"), (METHOD, "PUT"), (HEADERS, "Content-Type, x-amz-date,")];
        let answer = preflight(&asked).unwrap();
        let shown = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(answer.status(), 200);
        assert_eq!(shown("access-control-allow-origin"), Some("https://a.example.com"));
        assert_eq!(shown("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(shown("access-control-allow-headers"), Some("content-type, x-amz-date"));
        assert_eq!(shown("access-control-expose-headers"), Some("ETag, x-amz-meta-a"));
        assert_eq!(shown("access-control-max-age"), Some("3000"));
        assert_eq!(shown("access-control-allow-credentials"), Some("true"));
        assert_eq!(shown("vary"), Some(VARIES_BY));
        let answer = preflight(&[("origin", "http://other"), (METHOD, "GET")]).unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"), "anybody is nobody");
        assert!(!answer.headers().contains_key("access-control-allow-headers"));
    }

    #[test]
    fn a_preflight_that_no_rule_fits_is_forbidden_and_says_why() {
        for asked in [
            &[("origin", "http://other"), (METHOD, "PUT")][..],
            &[("origin", "http://exact"), (METHOD, "DELETE")],
            &[("origin", "HTTP://EXACT"), (METHOD, "PUT")],
            &[("origin", "https://.example.co"), (METHOD, "PUT")],
            &[("origin", "http://exact"), (METHOD, "PUT"), (HEADERS, "x-other")],
            &[("origin", "http://other"), (METHOD, "GET"), (HEADERS, "content-type")],
        ] {
            let error = preflight(asked).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AccessForbidden, "{asked:?}");
            assert!(error.message().starts_with("CORSResponse: This CORS request is not allowed."));
            assert_eq!((error.field("Method"), error.field("ResourceType")), (Some(asked[1].1), Some("OBJECT")));
        }
        let asked = Preflight::parse(&headers(&[("origin", "x"), (METHOD, "GET")]), Level::Bucket).unwrap();
        let error = asked.refused(Disallowed::NoRules);
        assert_eq!(error.message(), "CORSResponse: CORS is not enabled for this bucket.");
        assert_eq!(error.field("ResourceType"), Some("BUCKET"));
        assert_eq!(asked.refused(Disallowed::NoBucket).message(), "CORSResponse: Bucket not found");
    }

    #[test]
    fn a_question_without_origin_or_method_is_none() {
        let message = |pairs: &[(&'static str, &'static str)]| {
            let error = preflight(pairs).unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadRequest);
            error.message().to_owned()
        };
        let no_origin = "Insufficient information. Origin request header needed.";
        assert_eq!(message(&[]), no_origin);
        assert_eq!(message(&[("origin", ""), (METHOD, "GET")]), no_origin);
        assert_eq!(message(&[("origin", "x")]), "Invalid Access-Control-Request-Method: null");
        assert_eq!(message(&[("origin", "x"), (METHOD, "PATCH")]), "Invalid Access-Control-Request-Method: PATCH");
    }

    #[test]
    fn other_answers_get_what_the_first_rule_says_or_nothing() {
        let set = |pairs: &[(&'static str, &'static str)], method: &str| {
            let mut answer = HeaderMap::new();
            set_headers(&mut answer, &rules(), &headers(pairs), method);
            answer
        };
        let answer = set(&[("origin", "http://exact")], "PUT");
        assert_eq!(answer["access-control-allow-origin"], "http://exact");
        assert_eq!(answer["access-control-expose-headers"], "ETag, x-amz-meta-a");
        assert_eq!(answer.get_all("vary").iter().count(), 1);
        let answer = set(&[("origin", "http://other")], "PUT");
        assert!(!answer.contains_key("access-control-allow-origin"));
        assert_eq!(answer["vary"], VARIES_BY, "another origin would see another answer");
        let answer = set(&[("origin", "http://other"), (METHOD, "GET")], "PUT");
        assert_eq!(answer["access-control-allow-origin"], "*");
    }

    #[test]
    fn one_wildcard_stands_for_any_text() {
        assert!(matches("*", "") && matches("*", "a") && matches("a*b", "ab") && matches("a*b", "axxb"));
        assert!(!matches("ab*ba", "aba"), "what stands before and after it does not overlap");
        assert!(!matches("a", "A") && !matches("a*", "ba") && !matches("*.x", "xx"));
    }
}
