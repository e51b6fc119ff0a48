//! Progress as a terminal shows it.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::changes::{MovesStatus, moves_line};
use crate::rebuild::RebuildStatus;
use crate::status::{RestripeStatus, Status};

/// Steps of a bar: progress is shown to a tenth of a percent.
const STEPS: u64 = 1000;

/// Bars for scrub, and for each disk that is being rebuilt.
pub struct StatusBars {
    bars: MultiProgress,
    scrub: ProgressBar,
    repair: ProgressBar,
    /// While what is stored is written anew.
    restripe: Option<ProgressBar>,
    rebuilding: BTreeMap<String, ProgressBar>,
}

/// How all bars of [`StatusBars`] look.
fn bar(prefix: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:8} [{bar:40}] {msg}").expect("the template is valid");
    ProgressBar::new(STEPS).with_style(style).with_prefix(prefix)
}

impl StatusBars {
    /// Bars on stderr.
    ///
    /// # Panics
    /// Never: the templates are constants.
    pub fn new() -> Self {
        let bars = MultiProgress::new();
        let (scrub, repair) = (bars.add(bar("scrub")), bars.add(bar("repair")));
        Self { scrub, repair, restripe: None, rebuilding: BTreeMap::new(), bars }
    }

    /// Shows `status`.
    pub fn show(&mut self, status: &Status) {
        let scrub = &status.scrub;
        self.scrub.set_position(steps(if scrub.running { scrub.progress } else { 0.0 }));
        self.scrub.set_message(match (scrub.running, scrub.last_pass_ended) {
            (true, _) => format!("{} shards verified, {} damaged", scrub.verified_shards, scrub.damaged_shards),
            (false, Some(_)) => format!("idle; the last pass found {} damaged shards", scrub.damaged_shards),
            (false, None) => "idle; no pass yet".to_owned(),
        });
        let repair = &status.repair;
        let waiting = repair.waiting_shards + repair.degraded_parts;
        let done = repair.repaired_shards + repair.restriped_parts;
        let share = if waiting == 0 { 1.0 } else { done as f64 / (done + waiting) as f64 };
        self.repair.set_position(steps(share));
        self.repair.set_message(format!(
            "{} shards rebuilt, {} waiting; {} parts re-striped, {} waiting",
            repair.repaired_shards, repair.waiting_shards, repair.restriped_parts, repair.degraded_parts
        ));
        self.show_restripe(&status.restripe);
        self.show_rebuilding(&repair.rebuilding);
    }

    fn show_restripe(&mut self, status: &RestripeStatus) {
        if !status.running {
            if let Some(bar) = self.restripe.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = self.restripe.get_or_insert_with(|| self.bars.add(bar("restripe")));
        bar.set_position(steps(status.share()));
        bar.set_message(status.line());
    }

    fn show_rebuilding(&mut self, disks: &[(String, f64)]) {
        self.rebuilding.retain(|disk, bar| {
            let goes_on = disks.iter().any(|(of, _)| of == disk);
            if !goes_on {
                bar.finish_and_clear();
            }
            goes_on
        });
        for (disk, share) in disks {
            let new = || self.bars.add(bar("rebuild"));
            let bar = self.rebuilding.entry(disk.clone()).or_insert_with(new);
            bar.set_position(steps(*share));
            bar.set_message(format!("{:.1} % of disk {disk}", share * 100.0));
        }
    }

    /// Prints a line above the bars.
    pub fn line(&self, text: &str) {
        // A terminal that went away is no reason to stop watching.
        let _ = self.bars.println(text);
    }
}

/// One bar for slots that move.
pub struct MovesBar(ProgressBar);

impl MovesBar {
    /// A bar on stderr.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("moves    [{bar:40}] {msg}").expect("the template is valid");
        Self(ProgressBar::new(STEPS).with_style(style))
    }

    /// Shows how far they are.
    pub fn show(&self, moves: &MovesStatus) {
        let all = moves.slots + moves.slots_done;
        self.0.set_position(if all == 0 { STEPS } else { steps(moves.slots_done as f64 / all as f64) });
        self.0.set_message(moves_line(moves));
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Default for MovesBar {
    fn default() -> Self {
        Self::new()
    }
}

/// One bar for a rebuild of the index.
pub struct RebuildBar(ProgressBar);

impl RebuildBar {
    /// A bar on stderr.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix:14} [{bar:40}] {msg}");
        Self(ProgressBar::new(STEPS).with_style(style.expect("the template is valid")))
    }

    /// Shows how far it is.
    pub fn show(&self, status: &RebuildStatus) {
        self.0.set_prefix(status.phase.clone());
        self.0.set_position(if status.all == 0 { 0 } else { steps(status.done as f64 / status.all as f64) });
        self.0.set_message(match status.all {
            0 => status.done.to_string(),
            all => format!("{} of {all}", status.done),
        });
        self.0.tick();
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Default for RebuildBar {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for StatusBars {
    fn default() -> Self {
        Self::new()
    }
}

fn steps(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * STEPS as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disk_that_is_rebuilt_has_a_bar_until_it_is_whole() {
        let mut bars = StatusBars::new();
        let mut status = Status::default();
        status.repair.rebuilding = vec![("a".to_owned(), 0.25), ("b".to_owned(), 0.0)];
        bars.show(&status);
        let at = |bars: &StatusBars, disk: &str| bars.rebuilding.get(disk).map(ProgressBar::position);
        assert_eq!((at(&bars, "a"), at(&bars, "b")), (Some(250), Some(0)));
        status.repair.rebuilding = vec![("b".to_owned(), 0.5)];
        bars.show(&status);
        assert_eq!((at(&bars, "a"), at(&bars, "b")), (None, Some(500)));
    }
}
