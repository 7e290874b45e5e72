//! What `pipeline` is given: rules and frames from files.
//!
//! A file of rules has one a line, in the flow syntax; a line may begin with `flow`, `group` or `meter`, as
//! in the bundles of ovs-ofctl, and a line without is a flow's (in a file of groups, a group's). `#` begins
//! a comment. A refusal names the file, the line and the column.

use anyhow::{Context as _, bail};
use datapath::frame::MAX_FRAME;
use datapath::port::FramePool;
use datapath::port::pcap::PcapReader;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::group::{GroupMod, GroupModCommand};
use ofproto::ids::PortNo;
use ofproto::instruction::Instruction;
use ofproto::meter::{MeterMod, MeterModCommand};
use ofproto::nicira::NxAction;
use ofproto::text::{ParseContext, TextError, parse_flow_mod, parse_group_mod, parse_meter_mod};
use std::collections::BTreeSet;
use std::path::Path;

/// One change of the switch's state.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A flow-mod.
    Flow(FlowMod),
    /// A group-mod.
    Group(GroupMod),
    /// A meter-mod.
    Meter(MeterMod),
}

/// A rule and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The rule.
    pub rule: Rule,
    /// Its line, from 1; 0 for one that was made here.
    pub line: usize,
}

impl From<FlowMod> for Placed {
    fn from(m: FlowMod) -> Self {
        Self { rule: Rule::Flow(m), line: 0 }
    }
}

/// What a line without a word in front is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `flow`
    Flow,
    /// `group`
    Group,
    /// `meter`
    Meter,
}

/// Reads a file of rules.
///
/// # Errors
/// Unreadable, or the first line's fault as `FILE:LINE:COLUMN: …`.
pub fn read_rules(path: &Path, kind: Kind, version: Version) -> anyhow::Result<Vec<Placed>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_rules(&text, kind, version)
        .map_err(|f| anyhow::anyhow!("{}:{}:{}: {}", path.display(), f.line, f.column, f.what))
}

/// Where a text is wrong, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads rules.
///
/// # Errors
/// The first fault.
pub fn parse_rules(text: &str, kind: Kind, version: Version) -> Result<Vec<Placed>, Fault> {
    let ctx = ParseContext::new(version);
    let mut rules = Vec::new();
    for (i, whole) in text.lines().enumerate() {
        let line = whole.find('#').and_then(|end| whole.get(..end)).unwrap_or(whole);
        if line.trim().is_empty() {
            continue;
        }
        let start = line.len() - line.trim_start().len();
        let (kind, body) = [("flow", Kind::Flow), ("group", Kind::Group), ("meter", Kind::Meter)]
            .into_iter()
            .find_map(|(word, kind)| {
                let rest = line[start..].strip_prefix(word)?;
                rest.starts_with([' ', '\t']).then(|| (kind, start + word.len()))
            })
            .unwrap_or((kind, start));
        let fault = |e: TextError| {
            let at = body + e.offset.min(line.len() - body);
            Fault { line: i + 1, column: whole.get(..at).map_or(1, |s| s.chars().count() + 1), what: reason(&e) }
        };
        let body_text = &line[body..];
        let rule = match kind {
            Kind::Flow => Rule::Flow(parse_flow_mod(body_text, FlowModCommand::Add, &ctx).map_err(fault)?),
            Kind::Group => Rule::Group(parse_group_mod(body_text, GroupModCommand::Add, &ctx).map_err(fault)?),
            Kind::Meter => Rule::Meter(parse_meter_mod(body_text, MeterModCommand::Add, &ctx).map_err(fault)?),
        };
        rules.push(Placed { rule, line: i + 1 });
    }
    Ok(rules)
}

/// The fault without its offset, which the column tells.
fn reason(e: &TextError) -> String {
    e.to_string().replacen(&format!(" at offset {}", e.offset), "", 1)
}

/// The ports that rules send to, in order.
pub fn mentioned_ports(rules: &[Placed]) -> BTreeSet<PortNo> {
    let mut ports = BTreeSet::new();
    for r in rules {
        match &r.rule {
            Rule::Flow(m) => {
                for i in &m.instructions {
                    if let Instruction::ApplyActions(a) | Instruction::WriteActions(a) = i {
                        actions_ports(a, &mut ports);
                    }
                }
            }
            Rule::Group(m) => {
                for b in &m.buckets {
                    ports.insert(b.watch_port);
                    actions_ports(&b.actions, &mut ports);
                }
            }
            Rule::Meter(_) => {}
        }
    }
    ports.retain(|p| p.0 != 0 && *p <= PortNo::MAX);
    ports
}

/// The syntax bounds how deep actions nest.
fn actions_ports(actions: &[Action], ports: &mut BTreeSet<PortNo>) {
    for a in actions {
        match a {
            Action::Output { port, .. } | Action::Enqueue { port, .. } => {
                ports.insert(*port);
            }
            Action::Nicira(NxAction::Bundle { members, .. }) => ports.extend(members),
            Action::Nicira(NxAction::Clone(inner)) => actions_ports(inner, ports),
            _ => {}
        }
    }
}

/// Frames in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Bytes of each, if all have as many; else `places` tells.
    stride: usize,
    places: Vec<(u32, u32)>,
}

impl Frames {
    /// No frames, to be filled with frames of `size` bytes.
    pub fn of_size(size: usize) -> Self {
        Self { stride: size, ..Self::default() }
    }

    /// Adds a frame. One of another size than the first makes the sizes differ.
    pub fn push(&mut self, frame: &[u8]) {
        if self.bytes.is_empty() && self.stride == 0 {
            self.stride = frame.len();
        }
        if self.places.is_empty() && frame.len() != self.stride {
            let size = self.stride.max(1);
            self.places = (0..self.bytes.len() / size).map(|i| ((i * size) as u32, size as u32)).collect();
            self.places.push((self.bytes.len() as u32, frame.len() as u32));
        } else if !self.places.is_empty() {
            self.places.push((self.bytes.len() as u32, frame.len() as u32));
        }
        self.bytes.extend_from_slice(frame);
    }

    /// How many.
    pub fn len(&self) -> usize {
        if self.places.is_empty() { self.bytes.len().checked_div(self.stride).unwrap_or(0) } else { self.places.len() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of one; empty beyond the end.
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        let (at, len) = match self.places.get(i) {
            Some((at, len)) => (*at as usize, *len as usize),
            None => (i * self.stride, self.stride),
        };
        self.bytes.get(at..at + len).unwrap_or_default()
    }

    /// All of them, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same frames in a random order that `seed` decides.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        let mut random = Random::new(seed);
        for i in (1..order.len()).rev() {
            order.swap(i, random.below(i as u64 + 1) as usize);
        }
        let mut all = Self::of_size(self.stride);
        for i in order {
            all.push(self.get(i));
        }
        all
    }
}

/// Frames of `size` bytes one after the other, or a capture: the first bytes tell.
///
/// # Errors
/// Unreadable, empty, or with half a frame at the end.
pub fn read_frames(path: &Path, size: usize) -> anyhow::Result<Frames> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_frames(bytes, size).with_context(|| path.display().to_string())
}

fn parse_frames(bytes: Vec<u8>, size: usize) -> anyhow::Result<Frames> {
    const CAPTURES: [[u8; 4]; 4] =
        [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];
    let frames = if CAPTURES.iter().any(|m| bytes.starts_with(m)) {
        let mut reader = PcapReader::new(&bytes[..])?;
        let (mut frames, mut pool) = (Frames::default(), FramePool::default());
        while let Some((_, frame)) =
            reader.next_frame(&mut pool).with_context(|| format!("frame {}", frames.len() + 1))?
        {
            if !frame.is_empty() {
                frames.push(frame.bytes());
            }
            pool.put(frame);
        }
        frames
    } else {
        if !(14..=MAX_FRAME).contains(&size) {
            bail!("frames of {size} bytes: from 14 to {MAX_FRAME} it can be");
        }
        let rest = bytes.len() % size;
        if rest != 0 {
            let whole = bytes.len() - rest;
            bail!("neither a capture nor frames of {size} bytes: {rest} bytes are left over at offset {whole}");
        }
        Frames { bytes, stride: size, places: Vec::new() }
    };
    if frames.is_empty() {
        bail!("holds no frames");
    }
    if u32::try_from(frames.bytes.len()).is_err() {
        bail!("more than 4 GiB of frames");
    }
    Ok(frames)
}

/// Numbers that look random: xorshift64*. The same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From any seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    /// 64 bits.
    #[inline]
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`; 0 if `n` is 0.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// So many random bits, at most 64.
    pub const fn bits(&mut self, n: u32) -> u64 {
        if n == 0 { 0 } else { self.next() >> (64 - n) }
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are none.
    pub fn choice<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_line_and_a_column() {
        let text =
            "# first\n priority=5,ip,actions=output:2 # and so on\n\nflow add ip,nw_dst=10.0.0.300,actions=drop\n";
        let f = parse_rules(text, Kind::Flow, Version::V13).unwrap_err();
        assert_eq!((f.line, f.column), (4, "flow add ip,nw_dst=".len() + 1), "{f:?}");
        assert!(!f.what.contains("offset"), "{f:?}");
        let f = parse_rules("ip", Kind::Flow, Version::V13).unwrap_err();
        assert_eq!((f.line, f.column), (1, 3), "{f:?}");
    }

    #[test]
    fn a_file_may_hold_flows_groups_and_meters() {
        let text = "group group_id=1,type=all,bucket=output:3,bucket=output:7\n\
                    meter meter=1,pktps,bands=type=drop,rate=10\n\
                    in_port=1,actions=clone(output:4),group:1\n";
        let rules = parse_rules(text, Kind::Flow, Version::V13).unwrap();
        assert!(matches!(
            rules.iter().map(|r| &r.rule).collect::<Vec<_>>()[..],
            [Rule::Group(_), Rule::Meter(_), Rule::Flow(_)]
        ));
        assert_eq!(mentioned_ports(&rules).into_iter().map(|p| p.0).collect::<Vec<_>>(), [3, 4, 7]);
        assert_eq!(rules[2].line, 3);
        let rules = parse_rules("group_id=1,type=indirect,bucket=output:3", Kind::Group, Version::V13).unwrap();
        assert!(matches!(rules[0].rule, Rule::Group(_)));
    }

    #[test]
    fn frames_come_raw_or_from_a_capture() {
        let f = parse_frames(vec![7; 192], 64).unwrap();
        assert_eq!((f.len(), f.get(2), f.get(3)), (3, &[7; 64][..], &[][..]));
        let e = parse_frames(vec![7; 200], 64).unwrap_err().to_string();
        assert!(e.contains("8 bytes are left over at offset 192"), "{e}");
        assert!(parse_frames(Vec::new(), 64).is_err());
        assert!(parse_frames(vec![0; 10], 5).is_err());
        let mut w = datapath::port::pcap::PcapWriter::new(Vec::new()).unwrap();
        for len in [60, 60, 90] {
            w.write(datapath::clock::Time::ZERO, &vec![len; usize::from(len)]).unwrap();
        }
        let file = w.finish().unwrap();
        let f = parse_frames(file.clone(), 64).unwrap();
        assert_eq!((f.len(), f.get(1).len(), f.get(2)), (3, 60, &[90; 90][..]));
        assert!(parse_frames(file[..file.len() - 1].to_vec(), 64).is_err());
    }

    #[test]
    fn shuffling_keeps_every_frame() {
        let mut f = Frames::default();
        for i in 0..100u8 {
            f.push(&vec![i; 14 + usize::from(i % 3)]);
        }
        let s = f.shuffled(1);
        assert_ne!(f, s);
        assert_eq!(s, f.shuffled(1));
        let mut seen: Vec<_> = (0..s.len()).map(|i| s.get(i).to_vec()).collect();
        seen.sort();
        assert_eq!(seen, (0..f.len()).map(|i| f.get(i).to_vec()).collect::<Vec<_>>());
    }
}
