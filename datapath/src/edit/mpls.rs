//! MPLS shims. A new one stands behind the VLAN tags and before what was there: the outermost shim
//! or the IP header (OpenFlow 1.1, 1.2 and 1.3.4 on; 1.3.0-1.3.3 put it before the VLAN tags, which
//! their successors call an error).

use crate::packet::Packet;
use crate::parse::{L3, be32};
use ofproto::field::FieldId;

const SHIM: usize = 4;
const BOTTOM: u32 = 1 << 8;

impl Packet {
    /// Pushes a shim and makes `ethertype` (0x8847 or 0x8848) the packet's. Label, TC and TTL are
    /// copied from the shim that was outermost; without one the label is 0, the TTL that of IP, and
    /// 0 where there is no IP (OpenFlow 1.3.5 §5.12.1).
    ///
    /// A frame without an ethertype (802.3 without SNAP) stays as it is.
    pub fn push_mpls(&mut self, ethertype: u16) {
        let at = usize::from(self.layout.l3);
        if at == 0 || !self.room_for(SHIM) {
            return;
        }
        let shim = match self.layout.l3_kind {
            L3::Mpls => be32(self.frame.bytes(), at).unwrap_or(0) & !BOTTOM,
            L3::Ipv4 | L3::Ipv6 => BOTTOM | self.key.get(FieldId::NwTtl) as u32,
            _ => BOTTOM,
        };
        self.frame.insert(at, SHIM);
        self.put32(at, shim);
        self.put16(usize::from(self.layout.eth_type), ethertype);
        self.grow_802_3(SHIM as i32);
        self.reparse();
    }

    /// Pops the outermost shim, if there is one; `ethertype` becomes the packet's, whatever the
    /// bottom-of-stack bit said, and what it names is parsed.
    pub fn pop_mpls(&mut self, ethertype: u16) {
        if self.layout.l3_kind != L3::Mpls {
            return;
        }
        self.frame.remove(usize::from(self.layout.l3), SHIM);
        self.put16(usize::from(self.layout.eth_type), ethertype);
        self.grow_802_3(-(SHIM as i32));
        self.reparse();
    }
}
