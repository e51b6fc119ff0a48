//! XML in: a small tree, read within limits. No DOCTYPE, so no entities but the five that XML has; namespaces and
//! attributes are ignored, as S3 does.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use crate::error::{ErrorCode, S3Error};

/// How deep elements may nest.
pub const DEPTH_MAX: usize = 16;

/// How many elements a document may have: a CompleteMultipartUpload of 10,000 parts with every checksum has fewer, and
/// without this bound 8 MiB of empty elements would take 150 MiB of memory.
pub const ELEMENTS_MAX: usize = 120_000;

/// One element: its local name, its own text, its children.
#[derive(Debug, Default)]
pub struct Element<'a> {
    name: Cow<'a, str>,
    text: Cow<'a, str>,
    children: Vec<Element<'a>>,
}

impl<'a> Element<'a> {
    /// Reads a whole document of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `MalformedXML` for anything but one well-formed element within the limits; `MaxMessageLengthExceeded` for a
    /// longer document; `MissingRequestBodyError` for an empty one.
    pub fn parse(document: &'a [u8], bytes_max: usize) -> Result<Self, S3Error> {
        if document.is_empty() {
            return Err(ErrorCode::MissingRequestBodyError.into());
        }
        if document.len() > bytes_max {
            return Err(
                S3Error::new(ErrorCode::MaxMessageLengthExceeded).with("MaxMessageLengthBytes", bytes_max.to_string())
            );
        }
        let text = std::str::from_utf8(document).map_err(|_| malformed())?;
        // XML has no other control characters (XML 1.0, section 2.2).
        if document.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
            return Err(malformed());
        }
        read_tree(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Its name without a namespace prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own text, white space included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its children in order.
    pub fn children(&self) -> &[Element<'a>] {
        &self.children
    }

    /// This element, if it is named so.
    ///
    /// # Errors
    /// `MalformedXML` when it isn't.
    pub fn named(self, name: &str) -> Result<Self, S3Error> {
        if self.name == name { Ok(self) } else { Err(malformed()) }
    }

    /// The one child named so, if it is there.
    ///
    /// # Errors
    /// `MalformedXML` when there are several.
    pub fn child(&self, name: &str) -> Result<Option<&Element<'a>>, S3Error> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(malformed()),
            (first, None) => Ok(first),
        }
    }

    /// The text of the one child named so, without white space around it.
    ///
    /// # Errors
    /// `MalformedXML` when there are several, or when it has children.
    pub fn child_text(&self, name: &str) -> Result<Option<&str>, S3Error> {
        match self.child(name)? {
            Some(child) if !child.children.is_empty() => Err(malformed()),
            child => Ok(child.map(|child| child.text.trim())),
        }
    }
}

/// `MalformedXML`, AWS's words.
pub(crate) fn malformed() -> S3Error {
    ErrorCode::MalformedXML.into()
}

fn read_tree(text: &str) -> Result<Element<'_>, S3Error> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut open: Vec<Element<'_>> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|_| malformed())?;
        let (started, empty) = match event {
            Event::Start(tag) => (Some(tag), false),
            Event::Empty(tag) => (Some(tag), true),
            Event::End(_) => {
                let element = open.pop().ok_or_else(malformed)?;
                place(element, &mut open, &mut root)?;
                (None, false)
            }
            Event::Text(text) => {
                add_text(&mut open, text.xml10_content())?;
                (None, false)
            }
            Event::CData(text) => {
                add_text(&mut open, text.xml10_content())?;
                (None, false)
            }
            Event::GeneralRef(reference) => {
                add_text(&mut open, resolve(&reference)?)?;
                (None, false)
            }
            Event::DocType(_) => return Err(malformed()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (None, false),
            Event::Eof => break,
        };
        let Some(tag) = started else { continue };
        elements += 1;
        if elements > ELEMENTS_MAX || open.len() >= DEPTH_MAX || root.is_some() {
            return Err(malformed());
        }
        let name = Cow::Owned(tag.local_name().as_ref().to_owned());
        let element = Element { name, ..Element::default() };
        if empty {
            place(element, &mut open, &mut root)?;
        } else {
            open.push(element);
        }
    }
    if open.is_empty() { root.ok_or_else(malformed) } else { Err(malformed()) }
}

/// Puts a finished element under the one that is open, or makes it the root.
fn place<'a>(element: Element<'a>, open: &mut [Element<'a>], root: &mut Option<Element<'a>>) -> Result<(), S3Error> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(malformed()),
    }
    Ok(())
}

/// Adds text to the open element; outside of the root only white space may stand.
fn add_text<'a>(open: &mut [Element<'a>], text: Cow<'a, str>) -> Result<(), S3Error> {
    match open.last_mut() {
        Some(element) if element.text.is_empty() => element.text = text,
        Some(element) => element.text.to_mut().push_str(&text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed()),
    }
    Ok(())
}

/// The character that a reference stands for. Control characters may be referred to, as AWS allows in keys.
fn resolve<'a>(reference: &BytesRef<'a>) -> Result<Cow<'a, str>, S3Error> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| malformed())? {
        return Ok(Cow::Owned(character.to_string()));
    }
    let character = match &*reference.clone().into_inner() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(malformed()),
    };
    Ok(Cow::Borrowed(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element<'_>, ErrorCode> {
        Element::parse(text.as_bytes(), 1 << 20).map_err(|error| error.code())
    }

    #[test]
    fn a_document_is_read_as_a_tree() {
        let tree = parse(
            "<?xml version=\"1.0\"?>\n<a:Delete xmlns:a='x'><Object><Key>a&amp;b &#x41;<![CDATA[<c>]]></Key></Object>\
             <!-- note --><Quiet> true </Quiet><Empty/></a:Delete>\n",
        )
        .unwrap();
        assert_eq!(tree.name(), "Delete");
        assert_eq!(tree.children()[0].child("Key").unwrap().unwrap().text(), "a&b A<c>");
        assert_eq!(tree.child_text("Quiet"), Ok(Some("true")));
        assert_eq!(tree.child_text("Empty"), Ok(Some("")));
        assert_eq!(tree.child_text("None"), Ok(None));
    }

    #[test]
    fn whatever_is_no_plain_document_is_malformed() {
        for text in [
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&unknown;</a>",
            "<a><b></a></b>",
            "<a>",
            "</a>",
            "<a/><b/>",
            "<a/>text",
            "text",
            "<a>\u{0}&#xD800;</a>",
            " ",
        ] {
            assert_eq!(parse(text).err(), Some(ErrorCode::MalformedXML), "{text}");
        }
        assert_eq!(parse("").err(), Some(ErrorCode::MissingRequestBodyError));
        assert!(Element::parse(b"<a>\xff</a>", 100).is_err());
    }

    #[test]
    fn depth_size_and_number_of_elements_are_bounded() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)).err(), Some(ErrorCode::MalformedXML));
        let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
        assert_eq!(parse(&many).err(), Some(ErrorCode::MalformedXML));
        let long = Element::parse(b"<a></a>", 6).map_err(|error| error.code());
        assert_eq!(long.err(), Some(ErrorCode::MaxMessageLengthExceeded));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(document: Vec<u8>) {
            let _ = Element::parse(&document, 1 << 20);
        }

        #[test]
        fn anything_like_markup_is_read_or_refused(document in "[<>/a!&;#x\\[\\]\\-? \"='D]{0,60}") {
            let _ = Element::parse(document.as_bytes(), 1 << 20);
        }
    }
}
