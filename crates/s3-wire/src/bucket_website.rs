//! PutBucketWebsite and GetBucketWebsite: how a bucket is to be a website. What it means for a request is `website`.

use bytes::Bytes;

use crate::error::S3Error;
use crate::operation::XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter, malformed};

/// How many routing rules a website may have.
pub const ROUTING_RULES_MAX: usize = 50;

/// A bucket as a website.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebsiteConfiguration {
    /// Every request is redirected to another host.
    RedirectAll {
        /// The host.
        host: String,
        /// The protocol; `None` is the request's.
        protocol: Option<Protocol>,
    },
    /// Objects are its pages.
    Pages {
        /// What is read of a key that ends with a slash, or is empty.
        index_suffix: String,
        /// The object that is shown in place of an error.
        error_key: Option<String>,
        /// Redirects, in order.
        rules: Vec<RoutingRule>,
    },
}

/// The protocol of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Redirects some requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingRule {
    /// Only keys that begin so.
    pub key_prefix: Option<String>,
    /// Only requests that would be answered this status: 4xx or 5xx.
    pub error_code: Option<u16>,
    /// Where to.
    pub redirect: Redirect,
}

/// Where a rule redirects to; what is missing is the request's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirect {
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// The host.
    pub host: Option<String>,
    /// The key.
    pub key: Option<NewKey>,
    /// 3xx but 300; `None` is 301.
    pub status: Option<u16>,
}

/// The key that a redirect names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewKey {
    /// This one.
    Whole(String),
    /// The request's, with this in place of the prefix that the rule names.
    Prefix(String),
}

impl Protocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(text: &str) -> Result<Self, S3Error> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(S3Error::invalid_request(
                "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
                 automatically.",
            )),
        }
    }
}

impl WebsiteConfiguration {
    /// Reads the document.
    ///
    /// # Errors
    /// `MalformedXML`; `InvalidArgument` and `InvalidRequest` in AWS's words for what contradicts itself.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let document = Element::parse(body, XML_BYTES_MAX)?.named("WebsiteConfiguration")?;
        if let Some(all) = document.child("RedirectAllRequestsTo")? {
            if document.children().len() > 1 {
                let message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
                return Err(S3Error::invalid_argument(message, "RedirectAllRequestsTo", "not null"));
            }
            let host = host(all)?.ok_or_else(malformed)?;
            return Ok(Self::RedirectAll { host, protocol: protocol(all)? });
        }
        let Some(index) = document.child("IndexDocument")? else {
            let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
            return Err(S3Error::invalid_argument(message, "IndexDocument", "null"));
        };
        let suffix = index.child_text("Suffix")?.unwrap_or_default();
        if suffix.is_empty() || suffix.contains('/') {
            let message = "The IndexDocument Suffix is not well formed";
            return Err(S3Error::invalid_argument(message, "IndexDocument", suffix));
        }
        let error_key = match document.child("ErrorDocument")? {
            None => None,
            Some(error) => {
                Some(error.child_text("Key")?.filter(|key| !key.is_empty()).ok_or_else(malformed)?.to_owned())
            }
        };
        let rules = match document.child("RoutingRules")? {
            None => Vec::new(),
            Some(rules) => routing_rules(rules)?,
        };
        Ok(Self::Pages { index_suffix: suffix.to_owned(), error_key, rules })
    }

    /// The document, as it is stored and answered.
    pub fn document(&self) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root("WebsiteConfiguration");
        match self {
            Self::RedirectAll { host, protocol } => {
                xml.open("RedirectAllRequestsTo");
                xml.text("HostName", host);
                write_protocol(&mut xml, *protocol);
                xml.close("RedirectAllRequestsTo");
            }
            Self::Pages { index_suffix, error_key, rules } => {
                xml.open("IndexDocument");
                xml.text("Suffix", index_suffix);
                xml.close("IndexDocument");
                if let Some(key) = error_key {
                    xml.open("ErrorDocument");
                    xml.text("Key", key);
                    xml.close("ErrorDocument");
                }
                if !rules.is_empty() {
                    xml.open("RoutingRules");
                    rules.iter().for_each(|rule| rule.write(&mut xml));
                    xml.close("RoutingRules");
                }
            }
        }
        xml.close("WebsiteConfiguration");
        xml.finish()
    }
}

fn routing_rules(element: &Element<'_>) -> Result<Vec<RoutingRule>, S3Error> {
    let rules = element.children();
    if rules.is_empty() || rules.iter().any(|rule| rule.name() != "RoutingRule") {
        return Err(malformed());
    }
    if rules.len() > ROUTING_RULES_MAX {
        return Err(S3Error::invalid_request(format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to 50.",
            rules.len()
        )));
    }
    rules.iter().map(RoutingRule::parse).collect()
}

impl RoutingRule {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        let mut rule =
            Self { redirect: Redirect::parse(element.child("Redirect")?.ok_or_else(malformed)?)?, ..Self::default() };
        if let Some(condition) = element.child("Condition")? {
            rule.key_prefix = condition.child_text("KeyPrefixEquals")?.map(str::to_owned);
            let code = condition.child_text("HttpErrorCodeReturnedEquals")?;
            rule.error_code = code.map(|code| status(code, 400..600, "error", "4XX or 5XX")).transpose()?;
            if rule.key_prefix.is_none() && rule.error_code.is_none() {
                return Err(S3Error::invalid_request(
                    "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                     shouldn't be present.",
                ));
            }
        }
        Ok(rule)
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.open("RoutingRule");
        if self.key_prefix.is_some() || self.error_code.is_some() {
            xml.open("Condition");
            if let Some(prefix) = &self.key_prefix {
                xml.text("KeyPrefixEquals", prefix);
            }
            if let Some(code) = self.error_code {
                xml.plain("HttpErrorCodeReturnedEquals", code);
            }
            xml.close("Condition");
        }
        self.redirect.write(xml);
        xml.close("RoutingRule");
    }
}

impl Redirect {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        let whole = element.child_text("ReplaceKeyWith")?;
        let prefix = element.child_text("ReplaceKeyPrefixWith")?;
        let key = match (whole, prefix) {
            (Some(_), Some(_)) => {
                let message = "You can only define ReplaceKeyPrefix or ReplaceKey but not both.";
                return Err(S3Error::invalid_request(message));
            }
            (Some(key), None) => Some(NewKey::Whole(key.to_owned())),
            (None, prefix) => prefix.map(|prefix| NewKey::Prefix(prefix.to_owned())),
        };
        let code = element.child_text("HttpRedirectCode")?;
        let status = code.map(|code| status(code, 301..400, "redirect", "3XX except 300")).transpose()?;
        let redirect = Self { protocol: protocol(element)?, host: host(element)?, key, status };
        if redirect == Self::default() { Err(malformed()) } else { Ok(redirect) }
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.open("Redirect");
        write_protocol(xml, self.protocol);
        if let Some(host) = &self.host {
            xml.text("HostName", host);
        }
        match &self.key {
            Some(NewKey::Whole(key)) => xml.text("ReplaceKeyWith", key),
            Some(NewKey::Prefix(prefix)) => xml.text("ReplaceKeyPrefixWith", prefix),
            None => {}
        }
        if let Some(status) = self.status {
            xml.plain("HttpRedirectCode", status);
        }
        xml.close("Redirect");
    }
}

fn protocol(element: &Element<'_>) -> Result<Option<Protocol>, S3Error> {
    element.child_text("Protocol")?.map(Protocol::parse).transpose()
}

/// A host that a `Location` can name: what ends a host there, or the header, is no part of one.
fn host(element: &Element<'_>) -> Result<Option<String>, S3Error> {
    let Some(host) = element.child_text("HostName")? else { return Ok(None) };
    if host.is_empty() {
        let message = "A host name must be provided to redirect all requests (e.g. \"example.com\").";
        return Err(S3Error::invalid_request(message));
    }
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'\\' | b'@');
    if host.bytes().all(fits) { Ok(Some(host.to_owned())) } else { Err(malformed()) }
}

fn status(text: &str, range: std::ops::Range<u16>, what: &str, valid: &str) -> Result<u16, S3Error> {
    let code: u16 = text.parse().map_err(|_| malformed())?;
    if range.contains(&code) {
        return Ok(code);
    }
    Err(S3Error::invalid_request(format!(
        "The provided HTTP {what} code ({code}) is not valid. Valid codes are {valid}."
    )))
}

fn write_protocol(xml: &mut XmlWriter, protocol: Option<Protocol>) {
    if let Some(protocol) = protocol {
        xml.text("Protocol", protocol.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn parse(content: &str) -> Result<WebsiteConfiguration, (ErrorCode, String)> {
        let document = format!("<WebsiteConfiguration>{content}</WebsiteConfiguration>");
        let refused = |error: S3Error| (error.code(), error.message().to_owned());
        WebsiteConfiguration::parse(document.as_bytes()).map_err(refused)
    }

    const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";

    fn with_rules(rules: &str) -> String {
        format!("{INDEX}<RoutingRules>{rules}</RoutingRules>")
    }

    fn with_redirect(redirect: &str) -> String {
        with_rules(&format!("<RoutingRule><Redirect>{redirect}</Redirect></RoutingRule>"))
    }

    #[test]
    fn a_website_reads_back_as_it_is_stored() {
        for content in [
            INDEX.to_owned(),
            "<RedirectAllRequestsTo><HostName>example.com</HostName></RedirectAllRequestsTo>".to_owned(),
            "<RedirectAllRequestsTo><HostName>a:8080</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>"
                .to_owned(),
            format!("<ErrorDocument><Key>errors/all &amp; sundry</Key></ErrorDocument>{INDEX}"),
            with_rules(
                "<RoutingRule><Condition><KeyPrefixEquals>docs/</KeyPrefixEquals>\
                 <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect>\
                 <Protocol>http</Protocol><HostName>b</HostName><ReplaceKeyPrefixWith/>\
                 <HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule>\
                 <RoutingRule><Redirect><ReplaceKeyWith>other</ReplaceKeyWith></Redirect></RoutingRule>",
            ),
        ] {
            let read = parse(&content).unwrap();
            assert_eq!(WebsiteConfiguration::parse(&read.document()), Ok(read), "{content}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_in_aws_words() {
        let redirect_all = "<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>";
        let condition = |content: &str| {
            with_rules(&format!(
                "<RoutingRule><Condition>{content}</Condition><Redirect><HostName>h</HostName></Redirect></RoutingRule>"
            ))
        };
        use ErrorCode::{InvalidArgument, InvalidRequest};
        for (content, code, message) in [
            (
                String::new(),
                InvalidArgument,
                "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            ),
            (
                "<IndexDocument><Suffix>a/b</Suffix></IndexDocument>".to_owned(),
                InvalidArgument,
                "The IndexDocument Suffix is not well formed",
            ),
            (
                format!("{INDEX}{redirect_all}"),
                InvalidArgument,
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
            ),
            (
                with_redirect("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"),
                InvalidRequest,
                "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
            ),
            (
                with_redirect("<HttpRedirectCode>300</HttpRedirectCode>"),
                InvalidRequest,
                "The provided HTTP redirect code (300) is not valid. Valid codes are 3XX except 300.",
            ),
            (
                condition("<HttpErrorCodeReturnedEquals>200</HttpErrorCodeReturnedEquals>"),
                InvalidRequest,
                "The provided HTTP error code (200) is not valid. Valid codes are 4XX or 5XX.",
            ),
            (
                condition(""),
                InvalidRequest,
                "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                 shouldn't be present.",
            ),
            (
                with_redirect("<Protocol>ftp</Protocol>"),
                InvalidRequest,
                "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
                 automatically.",
            ),
            (
                with_rules(&"<RoutingRule><Redirect><HostName>h</HostName></Redirect></RoutingRule>".repeat(51)),
                InvalidRequest,
                "51 routing rules provided, the number of routing rules in a website configuration is limited to 50.",
            ),
        ] {
            assert_eq!(parse(&content).unwrap_err(), (code, message.to_owned()));
        }
    }

    #[test]
    fn what_is_no_website_is_malformed() {
        for content in [
            "<RedirectAllRequestsTo/>".to_owned(),
            format!("{INDEX}<ErrorDocument/>"),
            format!("{INDEX}{INDEX}"),
            with_rules(""),
            with_rules("<Rule/>"),
            with_rules("<RoutingRule/>"),
            with_redirect(""),
            with_redirect("<HttpRedirectCode>soon</HttpRedirectCode>"),
            with_redirect("<HostName>a/b</HostName>"),
            with_redirect("<HostName>a&#13;&#10;Set-Cookie: b</HostName>"),
        ] {
            assert_eq!(parse(&content).unwrap_err().0, ErrorCode::MalformedXML, "{content}");
        }
    }
}
