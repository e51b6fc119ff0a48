//! JSON of policies: values as they stand, in their order, to a bounded depth. What is said twice is seen by whoever
//! reads an object.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep a document may be. A policy without flaws has a depth of six.
const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A number as conditions take it.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// The members in their order.
    Object(Vec<(String, Json)>),
}

/// Reads all of `text`; `None` if it is not JSON, or too deep.
pub(crate) fn parse(text: &str) -> Option<Json> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Depth(0).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Reads a value that is this deep.
struct Depth(usize);

impl Depth {
    fn below<E: Error>(&self) -> Result<Self, E> {
        if self.0 < DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(E::custom("the document is too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below()?)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((name, map.next_value_seed(self.below()?)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_their_order() {
        let text = |text: &str| Json::Text(text.to_owned());
        let read = parse(r#" {"b": [1, -2, 0.5, true, null], "a": {"x": "\u00e9"}, "b": "again"} "#);
        let number = |text: &str| Json::Number(text.to_owned());
        let list = vec![number("1"), number("-2"), number("0.5"), Json::Bool(true), Json::Null];
        let expected = vec![
            ("b".to_owned(), Json::List(list)),
            ("a".to_owned(), Json::Object(vec![("x".to_owned(), text("é"))])),
            ("b".to_owned(), text("again")),
        ];
        assert_eq!(read, Some(Json::Object(expected)));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused() {
        for bad in ["", "{", "{} {}", "{'a': 1}", "{\"a\": 1,}", "[1", "nul"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(parse(&format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))).is_some());
        assert!(parse(&format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1))).is_none());
        assert!(parse(&"[".repeat(20_000)).is_none());
    }
}
