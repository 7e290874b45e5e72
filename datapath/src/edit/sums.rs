//! Checksums under edits: incremental (RFC 1624), so that fragments, truncated packets and wrong
//! checksums come out as they should; and the pseudo-header sum where the checksum is left to hardware.

use crate::checksum::{SCTP_OFFSET, add, crc32c_delta, delta, update};
use crate::packet::Packet;
use crate::parse::ip::protocol;
use crate::parse::{L3, be16, be32};
use ofproto::field::FieldId;

/// The upper layer's Internet checksum.
#[derive(Clone, Copy)]
struct Field {
    at: usize,
    /// It covers the pseudo-header.
    pseudo: bool,
    /// 0 means that there is none, and a computed 0 is sent as 0xffff.
    zero_is_none: bool,
}

impl Packet {
    /// The upper layer's checksum field, if this frame has it: not in later fragments, perhaps not
    /// in truncated packets. The header around it needn't be complete.
    fn l4_checksum(&self) -> Option<Field> {
        if self.layout.l4 == 0 {
            return None;
        }
        let v6 = self.layout.l3_kind == L3::Ipv6;
        let (offset, pseudo, zero_is_none) = match self.key.get(FieldId::IpProto) as u8 {
            protocol::TCP => (16, true, false),
            protocol::UDP => (6, true, true),
            protocol::UDP_LITE | protocol::DCCP => (6, true, false),
            protocol::ICMP if !v6 => (2, false, false),
            protocol::ICMPV6 if v6 => (2, true, false),
            _ => return None,
        };
        let at = usize::from(self.layout.l4) + offset;
        (at + 2 <= self.layout.end as usize).then_some(Field { at, pseudo, zero_is_none })
    }

    /// Whether that field is the one left to hardware, holding the pseudo-header's sum.
    fn is_partial(&self, field: Field) -> bool {
        self.frame.offload.checksum.is_some_and(|c| {
            c.start == self.layout.l4
                && c.offset != SCTP_OFFSET
                && usize::from(c.start) + usize::from(c.offset) == field.at
        })
    }

    /// Whether the upper layer's checksum is left to hardware.
    pub(crate) fn has_partial_checksum(&self) -> bool {
        self.l4_checksum().is_some_and(|field| self.is_partial(field))
    }

    fn update_l4(&mut self, field: Field, change: u16) {
        let Some(old) = be16(self.frame.bytes(), field.at) else { return };
        if field.zero_is_none && old == 0 {
            return;
        }
        let new = update(old, change);
        self.put16(field.at, if field.zero_is_none && new == 0 { 0xffff } else { new });
    }

    /// Words of the upper layer that summed to `old` now sum to `new`.
    pub(super) fn l4_changed(&mut self, old: u16, new: u16) {
        if let Some(field) = self.l4_checksum()
            && !self.is_partial(field)
        {
            self.update_l4(field, delta(old, new));
        }
    }

    /// Words of the pseudo-header that summed to `old` now sum to `new`.
    pub(super) fn pseudo_changed(&mut self, old: u16, new: u16) {
        if old == new {
            return;
        }
        if let Some(field) = self.l4_checksum()
            && field.pseudo
        {
            if self.is_partial(field) {
                let sum = add(self.get16(field.at), delta(old, new));
                self.put16(field.at, sum);
            } else {
                self.update_l4(field, delta(old, new));
            }
        }
    }

    /// Words of the IPv4 header at `at` that summed to `old` now sum to `new`.
    pub(super) fn ipv4_changed(&mut self, at: usize, old: u16, new: u16) {
        if old != new {
            let checksum = self.get16(at + 10);
            self.put16(at + 10, update(checksum, delta(old, new)));
        }
    }

    /// The SCTP header's first four bytes were exclusive-or-ed with `difference`. In a fragment the
    /// CRC can't follow, as it depends on the length of what isn't here.
    pub(super) fn sctp_changed(&mut self, difference: u32) {
        let at = usize::from(self.layout.l4);
        if self.layout.fragment {
            return;
        }
        let following = (self.layout.declared_end as usize).saturating_sub(at + 4);
        if let Some(crc) = be32(self.frame.bytes(), at + 8) {
            // On the wire the CRC is little-endian.
            let change = crc32c_delta(&difference.to_be_bytes(), following).swap_bytes();
            self.put32(at + 8, crc ^ change);
        }
    }
}
