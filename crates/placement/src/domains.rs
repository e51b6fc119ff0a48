//! Failure domains: what dies together.

use std::collections::{BTreeMap, BTreeSet};

use types::{Disk, DiskId, Layout, Node, NodeId, Profile};

/// At which level the slots of a group are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainLevel {
    /// One node: its disks.
    Disk,
    /// Several nodes.
    Node,
    /// All nodes have a rack, and there are several.
    Rack,
    /// All nodes have a zone, and there are several.
    Zone,
}

/// A failure domain's name at some level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Domain<'a> {
    Disk(DiskId),
    Node(NodeId),
    /// Racks of two zones may have one label.
    Rack(Option<&'a str>, &'a str),
    Zone(&'a str),
}

/// A disk and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) disk: &'a Disk,
    rack: Option<&'a str>,
    zone: Option<&'a str>,
}

impl<'a> Site<'a> {
    /// Its domain at `level`; that of its node where it has no label.
    pub(crate) fn domain(&self, level: DomainLevel) -> Domain<'a> {
        let named = match level {
            DomainLevel::Disk => Some(Domain::Disk(self.disk.id)),
            DomainLevel::Node => None,
            DomainLevel::Rack => self.rack.map(|rack| Domain::Rack(self.zone, rack)),
            DomainLevel::Zone => self.zone.map(Domain::Zone),
        };
        named.unwrap_or(Domain::Node(self.disk.node))
    }
}

/// The level at which a layout keeps the slots of `profile` apart: the highest one at which its disks (those that are
/// down too, so that an outage doesn't lower it; not those that are out or drained) hold the profile; the node's, where
/// there are several nodes, even if they cannot hold it, and the disk's where there is one.
pub fn domain_level(layout: &Layout, profile: Profile) -> DomainLevel {
    let sites: Vec<Site<'_>> = standing_sites(layout).collect();
    let labelled = |level| match level {
        DomainLevel::Zone => sites.iter().all(|site| site.zone.is_some()),
        DomainLevel::Rack => sites.iter().all(|site| site.rack.is_some()),
        DomainLevel::Node | DomainLevel::Disk => true,
    };
    let usable = |level: &DomainLevel| labelled(*level) && by_domain(&sites, *level).len() > 1;
    let above_nodes = [DomainLevel::Zone, DomainLevel::Rack];
    let held = above_nodes.into_iter().find(|level| usable(level) && cap(&sites, *level, profile).is_some());
    held.unwrap_or(if usable(&DomainLevel::Node) { DomainLevel::Node } else { DomainLevel::Disk })
}

/// How many failure domains of the layout's nodes, or of its disks where there is one node, are up; a wanted profile
/// is proposed by it ([`Profile::for_domains`]).
pub fn live_domains(layout: &Layout) -> usize {
    let sites: Vec<Site<'_>> = live_sites(layout, &[]).collect();
    let nodes = by_domain(&sites, DomainLevel::Node).len();
    if nodes > 1 { nodes } else { sites.len() }
}

/// In how many failure domains these nodes stand, where a layout keeps the slots of `profile` apart.
pub fn domains_of_nodes(layout: &Layout, profile: Profile, nodes: &BTreeSet<NodeId>) -> usize {
    let level = domain_level(layout, profile);
    let rows: BTreeMap<NodeId, &Node> = layout.nodes.iter().map(|node| (node.id, node)).collect();
    let domain = |id: &NodeId| {
        let row = rows.get(id);
        let rack = row.and_then(|row| row.rack.as_deref());
        let zone = row.and_then(|row| row.zone.as_deref());
        match level {
            DomainLevel::Disk | DomainLevel::Node => None,
            DomainLevel::Rack => rack.map(|rack| Domain::Rack(zone, rack)),
            DomainLevel::Zone => zone.map(Domain::Zone),
        }
        .unwrap_or(Domain::Node(*id))
    };
    nodes.iter().map(domain).collect::<BTreeSet<_>>().len()
}

/// Disks that are up and not avoided.
pub(crate) fn live_sites<'a>(layout: &'a Layout, avoid: &'a [DiskId]) -> impl Iterator<Item = Site<'a>> {
    sites(layout, |disk| disk.state.is_written() && !avoid.contains(&disk.id))
}

/// All disks.
pub(crate) fn all_sites(layout: &Layout) -> impl Iterator<Item = Site<'_>> {
    sites(layout, |_| true)
}

/// Disks that are to stay, also those that are down.
pub(crate) fn standing_sites(layout: &Layout) -> impl Iterator<Item = Site<'_>> {
    sites(layout, |disk| !disk.state.is_left())
}

fn sites<'a>(layout: &'a Layout, wanted: impl Fn(&Disk) -> bool) -> impl Iterator<Item = Site<'a>> {
    let nodes: BTreeMap<NodeId, &Node> = layout.nodes.iter().map(|node| (node.id, node)).collect();
    let disks = layout.disks.iter().filter(move |disk| wanted(disk));
    disks.map(move |disk| {
        let node = nodes.get(&disk.node);
        let label = |label: fn(&Node) -> Option<&str>| node.and_then(|node| label(node));
        Site { disk, rack: label(|node| node.rack.as_deref()), zone: label(|node| node.zone.as_deref()) }
    })
}

/// How many of the sites stand in each domain.
pub(crate) fn by_domain<'a>(sites: &[Site<'a>], level: DomainLevel) -> BTreeMap<Domain<'a>, usize> {
    let mut counts = BTreeMap::new();
    for site in sites {
        *counts.entry(site.domain(level)).or_insert(0) += 1;
    }
    counts
}

/// The most slots of one group that a domain takes, at each level at which they are kept apart, the highest first.
pub(crate) type Caps = Vec<(DomainLevel, usize)>;

/// As [`cap`], at the level, and then, as few as that leaves possible, at each level below it down to the node's.
pub(crate) fn caps(sites: &[Site<'_>], level: DomainLevel, profile: Profile) -> Option<Caps> {
    let levels = match level {
        DomainLevel::Disk => vec![level],
        _ => [DomainLevel::Zone, DomainLevel::Rack, DomainLevel::Node].into_iter().filter(|at| *at <= level).collect(),
    };
    let mut caps = Caps::new();
    for at in levels {
        let holds = |cap: &usize| room(sites, &[&caps[..], &[(at, *cap)]].concat()) >= profile.width();
        let cap = (1..=profile.m().max(1)).find(holds)?;
        caps.push((at, cap));
    }
    Some(caps)
}

/// How many slots of one group the sites take.
fn room(sites: &[Site<'_>], caps: &[(DomainLevel, usize)]) -> usize {
    let Some(((level, cap), below)) = caps.split_first() else { return sites.len() };
    let mut domains: BTreeMap<Domain<'_>, Vec<Site<'_>>> = BTreeMap::new();
    for site in sites {
        domains.entry(site.domain(*level)).or_default().push(*site);
    }
    domains.values().map(|sites| room(sites, below).min(*cap)).sum()
}

/// How many domains of each level may be lost of what is stored where a profile is wanted, by all disks that are to stay:
/// an outage makes it no less.
pub(crate) struct Bearing(Vec<(DomainLevel, usize)>);

impl Bearing {
    pub(crate) fn of(layout: &Layout, wanted: Profile) -> Self {
        let sites: Vec<Site<'_>> = standing_sites(layout).collect();
        // Of what they cannot hold, whatever is there, nothing is promised.
        let caps = caps(&sites, domain_level(layout, wanted), wanted).unwrap_or_default();
        Self(caps.into_iter().map(|(level, cap)| (level, wanted.m() / cap)).collect())
    }

    /// The most slots of one group of `profile` that a domain may have; a profile of less parity bears what that allows.
    pub(crate) fn caps(&self, profile: Profile) -> Caps {
        let most = |losses: usize| match losses.min(profile.m()) {
            0 => profile.width(),
            losses => profile.m() / losses,
        };
        self.0.iter().map(|(level, losses)| (*level, most(*losses))).collect()
    }

    /// Whether groups of `profile` that are planned with these caps bear as much.
    pub(crate) fn allows(&self, profile: Profile, caps: &Caps) -> bool {
        let most = self.caps(profile);
        let is_within = |(level, cap): &(DomainLevel, usize)| most.iter().all(|(at, most)| at != level || cap <= most);
        caps.iter().all(is_within)
    }
}

/// The most slots of one group that a domain must take so that the sites hold `profile`, as few as possible and at
/// most m (at least one: without parity, nothing survives a domain anyway); `None` if they cannot hold it.
pub(crate) fn cap(sites: &[Site<'_>], level: DomainLevel, profile: Profile) -> Option<usize> {
    let counts = by_domain(sites, level);
    let holds = |cap: usize| counts.values().map(|&disks| disks.min(cap)).sum::<usize>() >= profile.width();
    (1..=profile.m().max(1)).find(|&cap| holds(cap))
}
