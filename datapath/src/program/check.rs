//! What is known of a packet at each point of an action list, for prerequisites
//! (OpenFlow 1.3.5 §7.2.3.8, §7.2.5).

use ofproto::field::{FieldId, Prereq};
use ofproto::matching::Match;

/// Facts about the packets that reach an action: what the match says and what earlier actions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Without a match that says everything (bucket, packet-out), what isn't known is allowed.
    pub lax: bool,
    /// `eth_type`
    pub eth_type: Option<u16>,
    /// `ip_proto`
    pub ip_proto: Option<u8>,
    /// `icmpv6_type`
    pub icmpv6_type: Option<u8>,
    /// Whether there is a VLAN tag.
    pub vlan: Option<bool>,
    /// A tag that was there was popped: the match named what a VLAN field needs (OpenFlow 1.3.5 §7.2.5), and there may
    /// be another tag below.
    pub popped: bool,
}

impl Facts {
    /// Nothing known, anything allowed.
    pub const fn unknown() -> Self {
        Self { lax: true, eth_type: None, ip_proto: None, icmpv6_type: None, vlan: None, popped: false }
    }

    /// What a match says.
    pub fn of_match(m: &Match) -> Self {
        let exact = |id| m.get(id).filter(|f| f.mask.is_none_or(|k| k == f.id.info().all_ones())).map(|f| f.value);
        let mut facts = Self {
            lax: false,
            eth_type: exact(FieldId::EthType).map(|v| v as u16),
            ip_proto: exact(FieldId::IpProto).map(|v| v as u8),
            icmpv6_type: exact(FieldId::Icmpv6Type).map(|v| v as u8),
            vlan: None,
            popped: false,
        };
        for id in [FieldId::VlanVid, FieldId::VlanTci] {
            if let Some(f) = m.get(id)
                && f.effective_mask() & 0x1000 != 0
            {
                facts.vlan = Some(f.value & 0x1000 != 0);
            }
        }
        // packet_type (1, ethertype) says the ethertype (1.5.1 §7.2.3.11).
        if let Some(p) = exact(FieldId::PacketType)
            && p >> 16 == 1
        {
            facts.eth_type = Some(p as u16);
        }
        facts
    }

    /// Whether `prereq` holds here.
    pub fn allow(&self, prereq: Prereq) -> bool {
        let eth = |types: &[u16]| self.eth_type.map_or(self.lax, |t| types.contains(&t));
        let ip = || eth(&[0x0800, 0x86dd]);
        let proto = |n: u8| ip() && self.ip_proto.map_or(self.lax, |p| p == n);
        let icmpv6 = |types: &[u8]| {
            eth(&[0x86dd])
                && self.ip_proto.map_or(self.lax, |p| p == 58)
                && self.icmpv6_type.map_or(self.lax || types.is_empty(), |t| types.is_empty() || types.contains(&t))
        };
        match prereq {
            Prereq::None | Prereq::InPort => true,
            Prereq::Vlan => self.vlan.unwrap_or(self.lax || self.popped),
            Prereq::Ip => ip(),
            Prereq::Ipv4 => eth(&[0x0800]),
            Prereq::Ipv6 => eth(&[0x86dd]),
            Prereq::Arp => eth(&[0x0806, 0x8035]),
            Prereq::Mpls => eth(&[0x8847, 0x8848]),
            Prereq::Pbb => eth(&[0x88e7]),
            Prereq::Nsh => eth(&[0x894f]),
            Prereq::Tcp => proto(6),
            Prereq::Udp => proto(17),
            Prereq::Sctp => proto(132),
            Prereq::Icmpv4 => eth(&[0x0800]) && self.ip_proto.map_or(self.lax, |p| p == 1),
            Prereq::Icmpv6 => icmpv6(&[]),
            Prereq::Nd => icmpv6(&[135, 136]),
            Prereq::NdSol => icmpv6(&[135]),
            Prereq::NdAdv => icmpv6(&[136]),
        }
    }

    /// The outermost VLAN tag, if any, was popped.
    pub fn pop_vlan(&mut self) {
        self.popped |= self.vlan == Some(true);
        self.vlan = None;
    }

    /// The packet's payload type changed to `eth_type`, or to something unknown.
    pub const fn retype(&mut self, eth_type: Option<u16>) {
        self.eth_type = eth_type;
        self.ip_proto = None;
        self.icmpv6_type = None;
        if eth_type.is_none() {
            self.lax = true;
        }
    }

    /// What sits under an uncovered header: the type is known, what it carries isn't.
    pub const fn uncover(&mut self, eth_type: u16) {
        self.retype(Some(eth_type));
        self.lax = true;
    }

    /// A field was set.
    pub const fn set(&mut self, field: FieldId, value: u128) {
        match field {
            FieldId::EthType => self.eth_type = Some(value as u16),
            FieldId::IpProto => self.ip_proto = Some(value as u8),
            FieldId::Icmpv6Type => self.icmpv6_type = Some(value as u8),
            FieldId::VlanVid => self.vlan = Some(true),
            _ => {}
        }
    }
}
