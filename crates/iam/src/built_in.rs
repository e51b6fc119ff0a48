//! Managed policies that every account has: `arn:aws:iam::aws:policy/NAME`.

use index::command::BUILT_IN_POLICIES;

/// Name and text of each. What a name means never gets wider.
const ALL: [(&str, &str); 5] = [
    (
        "readonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"arn:aws:s3:::*"}]}"#,
    ),
    (
        "readwrite",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*"}]}"#,
    ),
    (
        "writeonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::*/*"}]}"#,
    ),
    (
        "consoleAdmin",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*","s3:*"],"Resource":"*"}]}"#,
    ),
    ("AdministratorAccess", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#),
];

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(|(name, _)| name)
}

/// The text of the one that an ARN names.
pub fn document(arn: &str) -> Option<&'static str> {
    let name = arn.strip_prefix(BUILT_IN_POLICIES)?;
    ALL.into_iter().find(|(known, _)| *known == name).map(|(_, document)| document)
}

#[cfg(test)]
mod tests {
    use authz::{Policy, PolicyKind};

    use super::*;

    #[test]
    fn every_built_in_policy_is_in_order() {
        for name in names() {
            let document = document(&format!("{BUILT_IN_POLICIES}{name}")).expect("it is there");
            Policy::identity(document.as_bytes(), PolicyKind::Managed)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert_eq!(document("arn:aws:iam::aws:policy/none"), None);
        assert_eq!(document("arn:aws:iam::000000000007:policy/readonly"), None);
    }
}
