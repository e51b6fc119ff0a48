//! docs/s3-compatibility.md says of each operation what this crate knows of it.

use s3_wire::not_configured::{answer, is_served};
use s3_wire::{ErrorCode, Operation};
use types::{AccountId, BucketName, CanonicalId, Owner};

/// What the second column of the table says of an operation.
fn column(operation: Operation) -> String {
    let bucket = BucketName::new("bucket").expect("a name");
    let canonical_id = CanonicalId("0".into());
    let owner = Owner { account: AccountId::ROOT, canonical_id, display_name: "root".into() };
    match answer(operation, &bucket, &owner) {
        None => {
            assert!(is_served(operation), "{}", operation.name());
            "yes".to_owned()
        }
        Some(Ok(response)) => format!("no: {}, as never set", response.status().as_u16()),
        Some(Err(error)) if error.code() == ErrorCode::NotImplemented => "no: 501".to_owned(),
        Some(Err(error)) => format!("no: {} {}, as never set", error.status().as_u16(), error.code().as_str()),
    }
}

#[test]
fn the_table_of_operations_is_that_of_the_code() {
    let text = include_str!("../../../docs/s3-compatibility.md");
    let (_, table) = text.split_once("| operation | supported | what to know |\n|---|---|---|\n").expect("the table");
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    let said: Vec<(&str, &str)> = rows
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            (cells.next().expect("a name"), cells.next().expect("whether it is supported"))
        })
        .collect();
    let known: Vec<(&str, String)> = Operation::ALL.iter().map(|&each| (each.name(), column(each))).collect();
    let wanted: String = known.iter().map(|(name, says)| format!("| {name} | {says} |\n")).collect();
    let same = said.iter().copied().eq(known.iter().map(|(name, says)| (*name, says.as_str())));
    assert!(same, "the first columns of docs/s3-compatibility.md should be:\n{wanted}");
}
