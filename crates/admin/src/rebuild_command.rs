//! `cairn admin index rebuild`: asks for it, shows how far it is, and prints what came of it.

use std::time::Duration;

use crate::cli::human_bytes;
use crate::client::{AdminClient, AdminClientError};
use crate::progress::RebuildBar;
use crate::rebuild::{RebuildOptions, RebuildReport, RebuildStatus, ReportedKeys};

/// How often it is asked how far the rebuild is.
const PERIOD: Duration = Duration::from_millis(200);
/// Keys of each list that are shown; `--json` has more.
const KEYS_SHOWN: usize = 10;

/// Carries the verb out.
///
/// # Errors
/// [`AdminClientError`]; [`AdminClientError::Rebuild`] when the rebuild itself fails.
pub(crate) async fn run(client: &AdminClient, options: RebuildOptions, json: bool) -> Result<(), AdminClientError> {
    client.rebuild_index(options).await?;
    let bar = RebuildBar::new();
    let report = loop {
        let RebuildStatus { state, failure, report, .. } = &client.index_rebuild().await.inspect(|status| {
            if !json {
                bar.show(status);
            }
        })?;
        match (state.as_str(), failure, report) {
            ("failed", failure, _) => {
                bar.clear();
                return Err(AdminClientError::Rebuild(failure.clone().unwrap_or_default()));
            }
            ("done", _, Some(report)) => break report.clone(),
            _ => tokio::time::sleep(PERIOD).await,
        }
    };
    bar.clear();
    if json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &RebuildReport) {
    println!("{}", if report.dry_run { "The index would be rebuilt so:" } else { "The index stands again." });
    for range in &report.archive {
        let what = if range.range == 0 { "bucket names, layout" } else { "objects" };
        println!("archive    {what}: all that was answered up to {}", range.complete_to);
    }
    for reason in &report.without_archive {
        println!("archive    NONE: {reason}");
    }
    println!(
        "holds      {} buckets, {} objects, {} versions, {} delete markers, {}, {} uploads under way",
        report.buckets,
        report.objects,
        report.versions,
        report.markers,
        human_bytes(report.bytes),
        report.uploads
    );
    print_keys("unproven", "added: written, not known to have been committed", &report.unproven);
    print_keys("incomplete", "not all there", &report.incomplete);
    print_keys("left out", "all there, and not added", &report.left_out);
    for note in &report.notes {
        println!("note       {note}");
    }
}

fn print_keys(title: &str, meaning: &str, keys: &ReportedKeys) {
    println!("{title:10} {} ({meaning}), {}", keys.count, human_bytes(keys.bytes));
    for key in keys.keys.iter().take(KEYS_SHOWN) {
        println!("           {}/{}  ({})", key.bucket, key.key, key.reason);
    }
    if keys.count > KEYS_SHOWN as u64 {
        println!("           ... and {} more; --json names them", keys.count - KEYS_SHOWN as u64);
    }
}
