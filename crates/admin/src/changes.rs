//! Changing the cluster while it serves: what `cairn admin disk` and `cairn admin node` ask for, what would move, and how
//! far that is. Bodies of `/v1/disks/ID/CHANGE`, `/v1/nodes/ID/CHANGE`, `/v1/rebalance/WISH` and `/v1/moves`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::cli::human_bytes;

/// What becomes of a disk, or of a node with all its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// What lies there moves elsewhere; it is read until then, and given nothing new.
    Drain,
    /// It is in service again.
    Undrain,
    /// It is given up: what lay there is made again elsewhere.
    Out,
    /// It leaves the cluster, once nothing lies there.
    Remove,
}

impl Change {
    /// Its word in paths.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Out => "out",
            Self::Remove => "remove",
        }
    }
}

/// How a change is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOptions {
    /// Tell what would move, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What moves by a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePlan {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Slots that move.
    pub slots: u64,
    /// Bytes in them, about: all slots of a disk count alike.
    pub bytes: u64,
    /// Slots that have nowhere to go yet.
    pub homeless_slots: u64,
    /// From where to where.
    pub moves: Vec<PlannedMoves>,
}

/// Slots that move from one disk to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMoves {
    /// The disk that has them.
    pub from: String,
    /// The disk that gets them.
    pub to: String,
    /// How many.
    pub slots: u64,
    /// Bytes in them, about.
    pub bytes: u64,
}

/// What an operator wants of rebalancing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RebalanceWish {
    /// Move slots until disks hold what is in proportion to their size.
    Start,
    /// Begin no more moves until it goes on.
    Pause,
    /// Go on.
    Resume,
    /// Begin no more moves.
    Stop,
}

impl RebalanceWish {
    /// Its word in paths.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }
}

/// Slots on their way to new owners.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MovesStatus {
    /// How many move.
    pub slots: u64,
    /// Those of them whose disk was given up: they arrive once no writer of before can be left.
    #[serde(default)]
    pub slots_given_up: u64,
    /// Bytes in them, about; some may have been brought already.
    pub bytes: u64,
    /// Slots of disks that are out or being drained that have nowhere to go.
    pub homeless_slots: u64,
    /// How many have arrived since this node has seen some move.
    pub slots_done: u64,
    /// Seconds until all have arrived, by the pace so far.
    pub seconds_left: Option<u64>,
    /// `off`, `on` or `paused`: whether slots are moved so that disks hold what is in proportion to their size.
    #[serde(default)]
    pub rebalancing: String,
    /// Slots that are to move for that and do not yet.
    #[serde(default)]
    pub slots_to_rebalance: u64,
}

/// A plan, in words.
pub(crate) fn plan_lines(plan: &ChangePlan, node_of: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let would = if plan.dry_run { "would move" } else { "move" };
    write_plan(&mut text, plan, would, node_of).expect("a string takes text");
    text
}

fn write_plan(text: &mut String, plan: &ChangePlan, would: &str, node_of: impl Fn(&str) -> String) -> std::fmt::Result {
    if plan.slots == 0 {
        writeln!(text, "no slots {would}")?;
    } else {
        writeln!(text, "{} slots {would}, about {}", plan.slots, human_bytes(plan.bytes))?;
    }
    for moves in &plan.moves {
        let (from, to) = (node_of(&moves.from), node_of(&moves.to));
        writeln!(text, "  {from} -> {to}  {} slots, {}", moves.slots, human_bytes(moves.bytes))?;
    }
    if plan.homeless_slots > 0 {
        writeln!(text, "  {} slots have nowhere to go yet", plan.homeless_slots)?;
    }
    Ok(())
}

/// What moves, in one line.
pub(crate) fn moves_line(moves: &MovesStatus) -> String {
    let homeless = match moves.homeless_slots {
        0 => String::new(),
        slots => format!("; {slots} slots have nowhere to go"),
    };
    let rebalancing = match moves.rebalancing.as_str() {
        "" | "off" => String::new(),
        state => format!("; rebalancing is {state}, {} more slots to move", moves.slots_to_rebalance),
    };
    let homeless = homeless + &rebalancing;
    if moves.slots == 0 {
        return format!("nothing moves{homeless}");
    }
    let left = moves.seconds_left.map(|left| format!(", about {left} s left")).unwrap_or_default();
    let bytes = human_bytes(moves.bytes);
    let given_up = match moves.slots_given_up {
        0 => String::new(),
        slots => format!("; {slots} of disks that were given up arrive up to `ticket_idle` after their last writer"),
    };
    format!("{} slots move, about {bytes}; {} have arrived{left}{given_up}{homeless}", moves.slots, moves.slots_done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_and_progress_are_told() {
        let moves = vec![PlannedMoves { from: "a".to_owned(), to: "b".to_owned(), slots: 3, bytes: 3 << 20 }];
        let plan = ChangePlan { dry_run: true, slots: 3, bytes: 3 << 20, homeless_slots: 1, moves };
        let told = plan_lines(&plan, str::to_owned);
        assert_eq!(
            told,
            "3 slots would move, about 3.0 MiB\n  a -> b  3 slots, 3.0 MiB\n  1 slots have nowhere to go yet\n"
        );
        assert_eq!(plan_lines(&ChangePlan::default(), str::to_owned), "no slots move\n");
        let status =
            MovesStatus { slots: 4, bytes: 1 << 30, slots_done: 2, seconds_left: Some(9), ..MovesStatus::default() };
        assert_eq!(moves_line(&status), "4 slots move, about 1.0 GiB; 2 have arrived, about 9 s left");
        let given_up = MovesStatus { slots: 2, slots_given_up: 2, ..MovesStatus::default() };
        assert_eq!(
            moves_line(&given_up),
            "2 slots move, about 0 B; 0 have arrived; 2 of disks that were given up arrive up to `ticket_idle` after their \
             last writer"
        );
        assert_eq!(moves_line(&MovesStatus::default()), "nothing moves");
        let paused = MovesStatus { rebalancing: "paused".to_owned(), slots_to_rebalance: 5, ..MovesStatus::default() };
        assert_eq!(moves_line(&paused), "nothing moves; rebalancing is paused, 5 more slots to move");
    }
}
