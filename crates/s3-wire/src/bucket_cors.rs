//! PutBucketCors and GetBucketCors: the rules by which pages of other origins may use a bucket.

use bytes::Bytes;

use crate::error::{ErrorCode, S3Error};
use crate::xml::{Element, XmlWriter, malformed};

/// How many rules a bucket may have.
pub const CORS_RULES_MAX: usize = 100;

/// How long the document may be, in bytes (S3 User Guide, "Elements of a CORS configuration").
pub const CORS_BYTES_MAX: usize = 64 << 10;

const ID_CHARACTERS_MAX: usize = 255;

/// Methods that a rule may allow, and a preflight may ask about.
pub(crate) const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// A bucket's rules, in order: the first that fits decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConfiguration {
    /// At least one.
    pub rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsRule {
    /// What its maker calls it.
    pub id: Option<String>,
    /// Headers that may be sent, each with at most one `*`.
    pub allowed_headers: Vec<String>,
    /// Methods; at least one.
    pub allowed_methods: Vec<String>,
    /// Origins, each with at most one `*`; at least one.
    pub allowed_origins: Vec<String>,
    /// Headers of answers that pages may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may go by a preflight's answer, in seconds.
    pub max_age_seconds: Option<u32>,
}

impl CorsConfiguration {
    /// Reads the document.
    ///
    /// # Errors
    /// `MalformedXML`, also for no rule, too many of them, or one without origin or method; `InvalidRequest` for a method
    /// that no rule can have, and for wildcards too many; `InvalidArgument` for an id that is too long.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let document = Element::parse(body, CORS_BYTES_MAX)?.named("CORSConfiguration")?;
        let rules = document.children();
        if rules.is_empty() || rules.len() > CORS_RULES_MAX {
            return Err(malformed());
        }
        let rules = rules.iter().map(CorsRule::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rules })
    }

    /// The document, as it is stored and answered.
    pub fn document(&self) -> Bytes {
        let mut xml = XmlWriter::document();
        xml.open_root("CORSConfiguration");
        for rule in &self.rules {
            rule.write(&mut xml);
        }
        xml.close("CORSConfiguration");
        xml.finish()
    }
}

impl CorsRule {
    fn parse(element: &Element<'_>) -> Result<Self, S3Error> {
        if element.name() != "CORSRule" {
            return Err(malformed());
        }
        let mut rule = Self::default();
        for child in element.children() {
            if !child.children().is_empty() {
                return Err(malformed());
            }
            let text = child.text().trim();
            match child.name() {
                "ID" if rule.id.is_none() => rule.id = Some(text.to_owned()),
                "AllowedHeader" => rule.allowed_headers.push(text.to_owned()),
                "AllowedMethod" => rule.allowed_methods.push(text.to_owned()),
                "AllowedOrigin" => rule.allowed_origins.push(text.to_owned()),
                "ExposeHeader" => rule.expose_headers.push(text.to_owned()),
                "MaxAgeSeconds" if rule.max_age_seconds.is_none() => {
                    rule.max_age_seconds = Some(text.parse().map_err(|_| malformed())?);
                }
                _ => return Err(malformed()),
            }
        }
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), S3Error> {
        if self.allowed_origins.is_empty() || self.allowed_methods.is_empty() {
            return Err(malformed());
        }
        if let Some(method) = self.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(S3Error::invalid_request(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        for (name, patterns) in [("AllowedOrigin", &self.allowed_origins), ("AllowedHeader", &self.allowed_headers)] {
            if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
                return Err(S3Error::invalid_request(format!(
                    "{name} \"{pattern}\" can not have more than one wildcard."
                )));
            }
        }
        if let Some(header) = self.expose_headers.iter().find(|header| header.contains('*')) {
            return Err(S3Error::invalid_request(format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            )));
        }
        match &self.id {
            Some(id) if id.chars().count() > ID_CHARACTERS_MAX => Err(S3Error::new(ErrorCode::InvalidArgument)
                .with_message("ID length should not exceed allowed limit of 255")),
            _ => Ok(()),
        }
    }

    fn write(&self, xml: &mut XmlWriter) {
        xml.open("CORSRule");
        if let Some(id) = &self.id {
            xml.text("ID", id);
        }
        let lists = [
            ("AllowedMethod", &self.allowed_methods),
            ("AllowedOrigin", &self.allowed_origins),
            ("AllowedHeader", &self.allowed_headers),
            ("ExposeHeader", &self.expose_headers),
        ];
        for (name, texts) in lists {
            for text in texts {
                xml.text(name, text);
            }
        }
        if let Some(seconds) = self.max_age_seconds {
            xml.plain("MaxAgeSeconds", seconds);
        }
        xml.close("CORSRule");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rules: &str) -> Result<CorsConfiguration, (ErrorCode, String)> {
        let document = format!("<CORSConfiguration>{rules}</CORSConfiguration>");
        let refused = |error: S3Error| (error.code(), error.message().to_owned());
        CorsConfiguration::parse(document.as_bytes()).map_err(refused)
    }

    fn rule(content: &str) -> String {
        format!("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>{content}</CORSRule>")
    }

    #[test]
    fn a_configuration_reads_back_as_it_is_stored() {
        let rules = rule(
            "<ID>first &amp; only</ID><AllowedHeader>x-*</AllowedHeader><AllowedMethod>PUT</AllowedMethod>\
             <AllowedOrigin>http://*.example.com</AllowedOrigin><ExposeHeader>ETag</ExposeHeader>\
             <MaxAgeSeconds>3000</MaxAgeSeconds>",
        ) + &rule("");
        let read = parse(&rules).unwrap();
        assert_eq!(read.rules.len(), 2);
        assert_eq!(read.rules[0].allowed_methods, ["GET", "PUT"]);
        assert_eq!(read.rules[0].allowed_origins, ["*", "http://*.example.com"]);
        assert_eq!((read.rules[0].id.as_deref(), read.rules[0].max_age_seconds), (Some("first & only"), Some(3000)));
        assert_eq!(CorsConfiguration::parse(&read.document()), Ok(read));
    }

    #[test]
    fn what_is_no_configuration_is_malformed() {
        let method = "<AllowedMethod>GET</AllowedMethod>";
        for rules in [
            String::new(),
            "<CORSRule/>".to_owned(),
            format!("<CORSRule>{method}</CORSRule>"),
            "<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>".to_owned(),
            format!("<Rule><AllowedOrigin>*</AllowedOrigin>{method}</Rule>"),
            rule("<MaxAgeSeconds>soon</MaxAgeSeconds>"),
            rule("<MaxAgeSeconds>-1</MaxAgeSeconds>"),
            rule("<Other>x</Other>"),
            rule("<ID>a</ID><ID>b</ID>"),
            rule("").repeat(101),
        ] {
            assert_eq!(parse(&rules).unwrap_err().0, ErrorCode::MalformedXML, "{rules}");
        }
        assert!(parse(&rule("").repeat(100)).is_ok());
    }

    #[test]
    fn what_a_rule_cannot_say_is_refused_in_aws_words() {
        let message = |content: &str| {
            let (code, message) = parse(&rule(content)).unwrap_err();
            assert_eq!(code, ErrorCode::InvalidRequest, "{content}");
            message
        };
        assert_eq!(
            message("<AllowedMethod>PATCH</AllowedMethod>"),
            "Found unsupported HTTP method in CORS config. Unsupported method is PATCH"
        );
        assert_eq!(message("<AllowedMethod/>"), "Found unsupported HTTP method in CORS config. Unsupported method is ");
        assert_eq!(
            message("<AllowedOrigin>*a*</AllowedOrigin>"),
            "AllowedOrigin \"*a*\" can not have more than one wildcard."
        );
        assert_eq!(
            message("<AllowedHeader>**</AllowedHeader>"),
            "AllowedHeader \"**\" can not have more than one wildcard."
        );
        assert_eq!(
            message("<ExposeHeader>x-*</ExposeHeader>"),
            "ExposeHeader \"x-*\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        );
        let (code, _) = parse(&rule(&format!("<ID>{}</ID>", "i".repeat(256)))).unwrap_err();
        assert_eq!(code, ErrorCode::InvalidArgument);
    }
}
