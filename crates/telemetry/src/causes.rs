//! Errors as people read them.

use std::error::Error;

/// An error and what caused it, in one line. A cause that an error's own text ends with is not said again.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("the file cannot be read")]
        Plain(#[source] io::Error),
        #[error("the directory cannot be used: {0}")]
        Shown(#[source] Box<Layered>),
        #[error(transparent)]
        Through(Box<Layered>),
    }

    #[test]
    fn a_cause_is_said_once() {
        let plain = || Layered::Plain(io::Error::other("no such file"));
        assert_eq!(with_causes(&plain()), "the file cannot be read: no such file");
        let shown = Layered::Shown(Box::new(plain()));
        assert_eq!(with_causes(&shown), "the directory cannot be used: the file cannot be read: no such file");
        let through = Layered::Through(Box::new(shown));
        assert_eq!(with_causes(&through), "the directory cannot be used: the file cannot be read: no such file");
    }
}
