//! Runs that become garbage, and runs that must not be named any more.

use platform::leaves_out;
use types::{Part, Run, RunId};

use super::{Applying, Site, Stop};
use crate::command::{Answer, Refusal};
use crate::keys;
use crate::rows::{DegradedKept, PartRow, runs_of, with_home};

impl Applying<'_> {
    /// Refuses a part whose runs may be collected already: written under a ticket that is over, or given up by their
    /// writer. `known` are runs that a row names: those may be named again.
    pub(super) fn check_runs(&mut self, part: &Part, known: &[&Run]) -> Result<(), Stop> {
        let floor = self.floor();
        for run in runs_of(part) {
            if known.iter().any(|other| other.id == run.id) {
                continue;
            }
            if (run.id.ticket < floor && !leaves_out("ticket-check")) || self.is_discarded(run.id)? {
                return Err(Refusal::BelowFloor.into());
            }
        }
        Ok(())
    }

    fn is_discarded(&self, run: RunId) -> Result<bool, Stop> {
        Ok(self.memory.any_discarded && self.tables.is_discarded(self.range, run)?)
    }

    /// Queues the runs of a part that no row names any more; those in `kept` it still does.
    pub(super) fn free_part(&mut self, site: &Site<'_>, part: &PartRow<'_>, kept: &[&Run]) -> Result<(), Stop> {
        for run in part.runs() {
            if !kept.iter().any(|other| other.id == run.id) {
                self.tables.put_garbage(self.range, self.stamp, &with_home(run, || site.home()))?;
            }
        }
        Ok(())
    }

    /// The part's row of `degraded` follows its flag.
    pub(super) fn note_degraded(&self, site: &Site<'_>, row: &DegradedKept, was: bool, is: bool) -> Result<(), Stop> {
        match (was, is) {
            (false, true) => self.tables.put_degraded(&site.place, row)?,
            (true, false) => self.tables.delete_degraded(&site.place, row)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn remove_garbage(&mut self, rows: &[Vec<u8>]) -> Result<Answer, Stop> {
        for row in rows.iter().filter(|row| row.starts_with(&self.range.0.to_be_bytes())) {
            self.tables.delete_garbage(row)?;
        }
        Ok(Answer::Done)
    }

    /// A run without a home cannot be looked up, so it is left to be found as an orphan once its ticket is over; one
    /// that a row names lives, whatever its writer believes. From here on apply takes no part that names the others:
    /// a late copy of the writer's command must not bring back what is being freed.
    pub(super) fn discard_runs(&mut self, runs: &[Run]) -> Result<Answer, Stop> {
        let floor = self.floor();
        for run in runs {
            let Some(home) = &run.home else { continue };
            if self.tables.run_lives(&keys::place(home.bucket, &home.key), run.id)? {
                continue;
            }
            self.tables.put_garbage(self.range, self.stamp, run)?;
            if run.id.ticket >= floor {
                self.tables.put_discarded(self.range, run.id)?;
                self.memory.any_discarded = true;
            }
        }
        Ok(Answer::Done)
    }
}
