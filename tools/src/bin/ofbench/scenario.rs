//! Rules and frames of the built-in scenarios, the same at every run.
//!
//! Rules are made as text, so that `--write` can give them to another switch as well. Frames are 64 bytes
//! long with valid IPv4 headers; a scenario *of n flows* has n frames that differ in addresses or ports.

use crate::input::{Fault, Frames, Kind, Placed, Random, parse_rules};
use clap::ValueEnum;
use ofproto::Version;
use ofproto::ids::PortNo;
use std::collections::HashSet;
use std::fmt::Write as _;

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Scenario {
    /// One rule: from port 1 to port 2
    Port,
    /// One rule of UDP, a /8 source and a /16 destination
    Five,
    /// 10,000 prefixes; both MAC addresses are set, the TTL decremented
    L3,
    /// 1,000 rules of an access list, several hundred masks
    Acl1k,
    /// 10,000 rules of an access list, about a thousand masks
    Acl10k,
    /// Four tables: 10 VLANs, 20 users each whose address is rewritten, 10,000 prefixes, MAC addresses
    Gateway,
    /// The learning switch with 2,000 addresses
    L2,
}

impl Scenario {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Five => "five",
            Self::L3 => "l3",
            Self::Acl1k => "acl1k",
            Self::Acl10k => "acl10k",
            Self::Gateway => "gateway",
            Self::L2 => "l2",
        }
    }
}

/// What a scenario consists of.
#[derive(Debug)]
pub struct Made {
    /// Rules, one a line.
    pub text: String,
    /// The frames that come to port 1.
    pub frames: Frames,
    /// Frames that come before, and where.
    pub teach: Vec<(PortNo, Frames)>,
}

impl Made {
    /// The rules.
    ///
    /// # Errors
    /// None, or this module is wrong.
    pub fn rules(&self) -> anyhow::Result<Vec<Placed>> {
        parse_rules(&self.text, Kind::Flow, Version::V13)
            .map_err(|Fault { line, column, what }| anyhow::anyhow!("{line}:{column}: {what}"))
    }
}

/// Makes a scenario of `flows` flows, at least one.
pub fn make(scenario: Scenario, flows: usize) -> Made {
    let flows = flows.max(1);
    let mut frames = Frames::of_size(64);
    let mut teach = Vec::new();
    let text = match scenario {
        Scenario::Port | Scenario::Five => {
            let mut r = Random::new(1);
            for i in 0..flows as u32 {
                frames.push(
                    &Packet {
                        src: 0x0a00_0000 + (i & 0xff_ffff),
                        dst: 0xc0a8_0000 + r.bits(16) as u32,
                        sport: high_port(&mut r),
                        dport: high_port(&mut r),
                        ..Packet::default()
                    }
                    .bytes(),
                );
            }
            match scenario {
                Scenario::Port => "in_port=1,actions=output:2\n".to_owned(),
                _ => "priority=100,udp,nw_src=10.0.0.0/8,nw_dst=192.168.0.0/16,actions=output:2\n".to_owned(),
            }
        }
        Scenario::L3 => {
            let (list, mut r) = (prefixes(), Random::new(3));
            let mut text = String::new();
            for (a, l) in &list {
                let _ = writeln!(
                    text,
                    "table=0,priority={},ip,nw_dst={}/{l},actions=mod_dl_src:02:00:00:00:00:99,mod_dl_dst:{},dec_ttl,output:2",
                    100 + l,
                    ip(*a),
                    gateway_mac(&mut r)
                );
            }
            text += "table=0,priority=1,actions=drop\n";
            for i in 0..flows as u32 {
                let (a, l) = r.choice(&list);
                frames.push(
                    &Packet {
                        src: 0x0a00_0000 + i,
                        dst: a | r.bits(32 - l) as u32,
                        sport: high_port(&mut r),
                        dport: high_port(&mut r),
                        ..Packet::default()
                    }
                    .bytes(),
                );
            }
            text
        }
        Scenario::Acl1k => acl(1000, flows, &mut frames),
        Scenario::Acl10k => acl(10_000, flows, &mut frames),
        Scenario::Gateway => gateway(flows, &mut frames),
        Scenario::L2 => {
            const HOSTS: u64 = 1000;
            let mut r = Random::new(11);
            let (left, right) = (0x0200_0001_0000u64, 0x0200_0002_0000u64);
            for i in 0..flows as u64 {
                // So few flows are pairs of their own; more share the addresses.
                let (s, d) = if flows as u64 <= HOSTS { (i, i) } else { (r.below(HOSTS), r.below(HOSTS)) };
                frames.push(
                    &Packet {
                        src_mac: left + s,
                        dst_mac: right + d,
                        src: 0x0a00_0000 + s as u32,
                        dst: 0x0a01_0000 + d as u32,
                        sport: high_port(&mut r),
                        dport: high_port(&mut r),
                        ..Packet::default()
                    }
                    .bytes(),
                );
            }
            for (port, src, dst) in [(PortNo(2), right, left), (PortNo(1), left, right)] {
                let mut all = Frames::of_size(64);
                for i in 0..HOSTS {
                    all.push(&Packet { src_mac: src + i, dst_mac: dst + i, ..Packet::default() }.bytes());
                }
                teach.push((port, all));
            }
            "priority=1,actions=NORMAL\n".to_owned()
        }
    };
    Made { text, frames, teach }
}

/// A packet of 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Ethernet source.
    pub src_mac: u64,
    /// Ethernet destination.
    pub dst_mac: u64,
    /// VLAN, if tagged.
    pub vlan: Option<u16>,
    /// IP protocol.
    pub proto: u8,
    /// IPv4 source.
    pub src: u32,
    /// IPv4 destination.
    pub dst: u32,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            src_mac: 0x0200_0000_0001,
            dst_mac: 0x0200_0000_0002,
            vlan: None,
            proto: 17,
            src: 0x0a00_0001,
            dst: 0x0a00_0002,
            sport: 1024,
            dport: 1024,
        }
    }
}

impl Packet {
    /// Its bytes, padded with zeros.
    pub fn bytes(&self) -> Vec<u8> {
        let mut f = Vec::with_capacity(64);
        f.extend_from_slice(&self.dst_mac.to_be_bytes()[2..]);
        f.extend_from_slice(&self.src_mac.to_be_bytes()[2..]);
        if let Some(vlan) = self.vlan {
            f.extend_from_slice(&[0x81, 0]);
            f.extend_from_slice(&vlan.to_be_bytes());
        }
        f.extend_from_slice(&[8, 0]);
        let l3 = f.len();
        let length = 64 - l3 as u16;
        f.extend_from_slice(&[0x45, 0]);
        f.extend_from_slice(&length.to_be_bytes());
        f.extend_from_slice(&[0, 0, 0x40, 0, 64, self.proto, 0, 0]);
        f.extend_from_slice(&self.src.to_be_bytes());
        f.extend_from_slice(&self.dst.to_be_bytes());
        let sum = !datapath::checksum::sum(&f[l3..]);
        f[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        f.extend_from_slice(&self.sport.to_be_bytes());
        f.extend_from_slice(&self.dport.to_be_bytes());
        if self.proto == 6 {
            f.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
        } else {
            f.extend_from_slice(&(length - 20).to_be_bytes());
            f.extend_from_slice(&[0, 0]);
        }
        f.resize(64, 0);
        f
    }
}

fn high_port(r: &mut Random) -> u16 {
    1024 + r.below(60_000) as u16
}

fn ip(a: u32) -> std::net::Ipv4Addr {
    a.into()
}

fn gateway_mac(r: &mut Random) -> String {
    format!("02:00:00:{:02x}:{:02x}:{:02x}", r.bits(8), r.bits(8), r.bits(8))
}

/// The upper `len` bits.
const fn net(a: u32, len: u32) -> u32 {
    if len == 0 { 0 } else { a & u32::MAX << (32 - len) }
}

/// 10,000 prefixes whose lengths are spread as in the Internet's tables.
fn prefixes() -> Vec<(u32, u32)> {
    const LENGTHS: [(u32, u32); 11] =
        [(16, 3), (18, 3), (20, 8), (21, 6), (22, 12), (23, 8), (24, 55), (25, 1), (26, 1), (27, 1), (28, 2)];
    let lengths: Vec<u32> = LENGTHS.iter().flat_map(|(l, n)| std::iter::repeat_n(*l, *n as usize)).collect();
    let (mut r, mut seen, mut list) = (Random::new(2), HashSet::new(), Vec::new());
    while list.len() < 10_000 {
        let l = r.choice(&lengths);
        let a = net(r.bits(32) as u32, l);
        if matches!(a >> 24, 0 | 127 | 224..) || !seen.insert((a, l)) {
            continue;
        }
        list.push((a, l));
    }
    list
}

/// An access list in the manner of ClassBench, and frames that match its rules.
fn acl(rules: usize, flows: usize, frames: &mut Frames) -> String {
    const SRC: [(u32, u32); 9] = [(0, 2), (8, 1), (16, 3), (20, 1), (24, 6), (27, 1), (28, 2), (30, 1), (32, 8)];
    const DST: [(u32, u32); 9] = [(0, 1), (16, 2), (20, 1), (23, 1), (24, 6), (27, 1), (28, 2), (29, 1), (32, 10)];
    const PROTO: [(&str, u8, u64); 4] = [("tcp", 6, 65), ("udp", 17, 25), ("icmp", 1, 2), ("ip", 6, 8)];
    const PORTS: [u16; 18] =
        [80, 443, 53, 25, 22, 21, 110, 143, 123, 161, 389, 445, 1521, 3306, 3389, 5060, 8080, 8443];
    let spread =
        |of: &[(u32, u32)]| -> Vec<u32> { of.iter().flat_map(|(l, n)| std::iter::repeat_n(*l, *n as usize)).collect() };
    let (src_lens, dst_lens) = (spread(&SRC), spread(&DST));
    let mut r = Random::new(rules as u64);
    let nets: Vec<u32> = (0..(rules / 25).max(40)).map(|_| r.bits(32) as u32).collect();
    let (mut seen, mut list, mut text) = (HashSet::new(), Vec::new(), String::new());
    while list.len() < rules {
        let (s, d) = (r.choice(&src_lens), r.choice(&dst_lens));
        if s == 0 && d == 0 {
            continue;
        }
        let src = net(r.choice(&nets) ^ r.bits(16) as u32, s);
        let dst = net(r.choice(&nets) ^ r.bits(16) as u32, d);
        let mut at = r.below(100);
        let proto = PROTO
            .iter()
            .find(|p| {
                at < p.2 || {
                    at -= p.2;
                    false
                }
            })
            .unwrap_or(&PROTO[0]);
        let (mut sport, mut dport) = (None, None);
        if matches!(proto.0, "tcp" | "udp") {
            dport = match r.below(100) {
                0..55 => Some((r.choice(&PORTS), 0xffff)),
                55..63 => Some((1024 << r.below(5), 0xfc00)),
                63..68 => Some((r.bits(16) as u16 & 0xfff8, 0xfff8)),
                _ => None,
            };
            sport = match r.below(100) {
                0..8 => Some((r.choice(&PORTS), 0xffff)),
                8..12 => Some((r.bits(16) as u16 & 0xfc00, 0xfc00)),
                _ => None,
            };
        }
        let rule = (s, src, d, dst, (proto.0, proto.1), sport, dport);
        if !seen.insert(rule) {
            continue;
        }
        let priority = 60_000 - list.len() * 5;
        let _ = write!(text, "table=0,priority={priority},{}", proto.0);
        for (name, a, l) in [("nw_src", src, s), ("nw_dst", dst, d)] {
            if l > 0 {
                let _ = write!(text, ",{name}={}/{l}", ip(a));
            }
        }
        for (name, port) in [("tp_src", sport), ("tp_dst", dport)] {
            if let Some((value, mask)) = port {
                let _ = write!(text, ",{name}={value:#x}/{mask:#x}");
            }
        }
        let _ = writeln!(text, ",actions={}", if r.below(100) < 85 { "output:2" } else { "drop" });
        list.push(rule);
    }
    text += "table=0,priority=0,actions=output:2\n";
    for _ in 0..flows {
        let (s, src, d, dst, (_, proto), sport, dport) = r.choice(&list);
        let mut port = |p: Option<(u16, u16)>| match p {
            Some((value, mask)) => value | r.bits(16) as u16 & !mask,
            None => high_port(&mut r),
        };
        let (sport, dport) = (port(sport), port(dport));
        let packet = Packet {
            src: src | r.bits(32 - s) as u32,
            dst: dst | r.bits(32 - d) as u32,
            sport,
            dport,
            proto,
            ..Packet::default()
        };
        frames.push(&packet.bytes());
    }
    text
}

/// Users behind access VLANs towards the Internet.
fn gateway(flows: usize, frames: &mut Frames) -> String {
    const VLANS: u32 = 10;
    const USERS: u32 = 20;
    let (list, mut r, mut text) = (prefixes(), Random::new(5), String::new());
    for v in 0..VLANS {
        let _ =
            writeln!(text, "table=0,priority=100,in_port=1,dl_vlan={},actions=pop_vlan,goto_table:{}", v + 1, 10 + v);
        for u in 1..=USERS {
            let _ = writeln!(
                text,
                "table={},priority=100,ip,nw_src=10.{v}.0.{u},actions=mod_nw_src:100.64.{v}.{u},goto_table:100",
                10 + v
            );
        }
        let _ = writeln!(text, "table={},priority=1,actions=drop", 10 + v);
    }
    text += "table=0,priority=1,actions=drop\n";
    for (a, l) in &list {
        let _ = writeln!(
            text,
            "table=100,priority={},ip,nw_dst={}/{l},actions=mod_dl_dst:{},dec_ttl,goto_table:101",
            100 + l,
            ip(*a),
            gateway_mac(&mut r)
        );
    }
    text += "table=100,priority=1,actions=drop\ntable=101,priority=1,actions=mod_dl_src:02:00:00:00:00:99,output:2\n";
    for _ in 0..flows {
        let (v, u) = (r.below(u64::from(VLANS)) as u32, r.below(u64::from(USERS)) as u32);
        let (a, l) = r.choice(&list);
        let packet = Packet {
            vlan: Some(v as u16 + 1),
            proto: 6,
            src: 0x0a00_0001 + (v << 16) + u,
            dst: a | r.bits(32 - l) as u32,
            sport: high_port(&mut r),
            dport: high_port(&mut r),
            ..Packet::default()
        };
        frames.push(&packet.bytes());
    }
    text
}

/// The rules of three fields against which a tuple-space explosion is aimed.
pub const EXPLOSION_RULES: &str = "priority=100,tcp,tp_dst=80,actions=output:2\n\
                                   priority=90,tcp,nw_src=10.0.0.1,actions=output:2\n\
                                   priority=80,tcp,tp_src=12345,actions=output:2\n\
                                   priority=1,actions=drop\n";

/// Packets each of which differs from the rules at other bits, and so makes a mask of its own where masks
/// are learnt from packets.
pub fn explosion() -> Frames {
    let mut all = Frames::of_size(64);
    for i in 0..32 {
        for j in 0..16 {
            for k in 0..16 {
                let packet = Packet {
                    src: 0x0a00_0001 ^ 1 << i,
                    dst: 0x0a09_0909,
                    sport: 12345 ^ 1 << j,
                    dport: 80 ^ 1 << k,
                    proto: 6,
                    ..Packet::default()
                };
                all.push(&packet.bytes());
            }
        }
    }
    all.shuffled(3)
}

/// `flows` honest connections to port 80.
pub fn victims(flows: u32) -> Frames {
    let mut all = Frames::of_size(64);
    for i in 0..flows {
        let packet = Packet {
            src: 0x0b00_0000 + i,
            dst: 0x0a09_0909,
            sport: 5555u16.wrapping_add(i as u16),
            dport: 80,
            proto: 6,
            ..Packet::default()
        };
        all.push(&packet.bytes());
    }
    all
}

/// Packets with random addresses, ports and one of two protocols.
pub fn random_packets(n: usize) -> Frames {
    let (mut r, mut all) = (Random::new(9), Frames::of_size(64));
    for _ in 0..n {
        let packet = Packet {
            src: r.bits(32) as u32,
            dst: r.bits(32) as u32,
            sport: r.bits(16) as u16,
            dport: r.bits(16) as u16,
            proto: r.choice(&[6, 17]),
            ..Packet::default()
        };
        all.push(&packet.bytes());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Order, Phase, Setup, Until, idle, run};

    /// Frames, frames sent to port 2, table-misses.
    fn tried(scenario: Scenario, flows: usize) -> (u64, u64) {
        let made = make(scenario, flows);
        assert_eq!(made.frames.len(), flows);
        let mut setup = Setup::new(made.rules().unwrap(), made.frames);
        setup.teach = made.teach.into();
        setup.order = Order::File;
        setup.phases = vec![Phase::plain(Until::Frames(flows as u64), 1)];
        let o = run(&setup, &mut idle).unwrap();
        assert!(!o.drops.contains_key("table_miss"), "{scenario:?}: {:?}", o.drops);
        let taught: u64 = setup.teach.iter().map(|t| t.1.len() as u64).sum();
        (o.received - taught, o.sent.get(&2).copied().unwrap_or(0))
    }

    #[test]
    fn every_packet_of_the_forwarding_scenarios_goes_out() {
        for scenario in [Scenario::Port, Scenario::Five, Scenario::L3, Scenario::Gateway] {
            assert_eq!(tried(scenario, 300), (300, 300), "{scenario:?}");
        }
        // Half of the lesson flooded to port 2; nothing afterwards is flooded anywhere else.
        let (received, sent) = tried(Scenario::L2, 300);
        assert_eq!((received, sent >= 300), (300, true), "{sent}");
    }

    #[test]
    fn access_lists_forward_most_and_have_many_masks() {
        let (received, sent) = tried(Scenario::Acl1k, 1000);
        assert_eq!(received, 1000);
        assert!((700..1000).contains(&sent), "{sent}");
        let rules = make(Scenario::Acl10k, 1).rules().unwrap();
        assert_eq!(rules.len(), 10_001);
        let masks: HashSet<String> = rules
            .iter()
            .filter_map(|r| match &r.rule {
                crate::input::Rule::Flow(m) => {
                    Some(m.matching.fields.iter().map(|f| format!("{:?}/{:x} ", f.id, f.effective_mask())).collect())
                }
                _ => None,
            })
            .collect();
        assert!((500..2000).contains(&masks.len()), "{}", masks.len());
    }

    #[test]
    fn the_same_at_every_run_and_valid_packets() {
        let (a, b) = (make(Scenario::Gateway, 50), make(Scenario::Gateway, 50));
        assert_eq!((a.text, &a.frames), (b.text, &b.frames));
        for i in 0..50 {
            let f = a.frames.get(i);
            assert_eq!((f.len(), datapath::checksum::sum(&f[18..38])), (64, 0xffff));
        }
        assert_eq!((explosion().len(), victims(10).len(), random_packets(10).len()), (8192, 10, 10));
    }
}
