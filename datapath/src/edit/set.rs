//! Set-field: every field of the key that is in the frame, and the pipeline's own.

use crate::checksum::{sum_u64, sum_u128};
use crate::key::{VLAN_PRESENT, low_bits, slot};
use crate::packet::Packet;
use crate::parse::{L3, L4, be32};
use ofproto::field::FieldId;

impl Packet {
    /// Sets the bits of `field` that `mask` has to those of `value` (right-aligned; all ones sets the
    /// whole field), in the frame and in the key, checksums included. A packet without the field
    /// stays as it is, as does one where the new value is the old.
    ///
    /// Oddities: `ip_tos` sets the six DSCP bits and keeps ECN, as 1.0's `SET_NW_TOS` does;
    /// `vlan_tci` pushes a tag or pops it by its present bit, as Nicira's does. `eth_type` and
    /// `ip_proto` change how the rest is read, so a checksum left to hardware is finished first; the
    /// upper layer's checksum follows a new `ip_proto` at its old place.
    pub fn set_field(&mut self, field: FieldId, value: u128, mask: u128) {
        use FieldId as F;
        let Some(slot) = slot(field) else { return };
        if !self.has_field(field) {
            return;
        }
        let width = if slot.bits == 128 { u128::MAX } else { low_bits(slot.bits).into() };
        let mask = mask & width & if field == F::IpTos { 0xfc } else { u128::MAX };
        let old = self.key.read(slot);
        let new = old & !mask | value & mask;
        if new == old {
            return;
        }
        let l3 = usize::from(self.layout.l3);
        let l4 = usize::from(self.layout.l4);
        match field {
            F::EthDst => self.put48(0, new),
            F::EthSrc => self.put48(6, new),
            F::EthType => return self.set_eth_type(new as u16),
            F::VlanVid => return self.set_vlan_vid(new as u16),
            F::VlanPcp => return self.set_vlan_pcp(new as u8),
            F::VlanTci => return self.set_vlan_tci(new as u16),
            F::IpTos | F::IpDscp | F::IpEcn => {
                self.key.write(slot, new);
                return self.put_tos(l3, self.key.get(F::IpTos) as u16);
            }
            F::IpProto => return self.set_ip_proto(old as u8, new as u8),
            F::NwTtl => return self.set_nw_ttl(new as u8),
            F::Ipv4Src => self.set_ipv4(l3 + 12, old, new),
            F::Ipv4Dst => self.set_ipv4(l3 + 16, old, new),
            F::Ipv6Src => {
                self.put(l3 + 8, &new.to_be_bytes());
                self.pseudo_changed(sum_u128(old), sum_u128(new));
            }
            F::Ipv6Dst => {
                self.put(l3 + 24, &new.to_be_bytes());
                if !self.layout.routed {
                    self.pseudo_changed(sum_u128(old), sum_u128(new));
                }
            }
            F::Ipv6Flabel => self.put_bits32(l3, 0xf_ffff, new as u32),
            F::TcpSrc | F::UdpSrc | F::SctpSrc => self.set_port(l4, 16, old as u16, new as u16),
            F::TcpDst | F::UdpDst | F::SctpDst => self.set_port(l4 + 2, 0, old as u16, new as u16),
            F::TcpFlags => {
                let before = self.get16(l4 + 12);
                let after = before & 0xf000 | new as u16;
                self.put16(l4 + 12, after);
                self.l4_changed(before, after);
            }
            F::Icmpv4Type => self.set_icmp(l4, (new as u16) << 8, 0xff00),
            F::Icmpv4Code => self.set_icmp(l4, new as u16, 0x00ff),
            F::Icmpv6Type | F::Icmpv6Code => {
                if field == F::Icmpv6Type {
                    self.set_icmp(l4, (new as u16) << 8, 0xff00);
                } else {
                    self.set_icmp(l4, new as u16, 0x00ff);
                }
                // Neighbour discovery fields come and go with them.
                return self.reparse();
            }
            F::Ipv6NdTarget => {
                self.put(l4 + 8, &new.to_be_bytes());
                self.l4_changed(sum_u128(old), sum_u128(new));
            }
            F::Ipv6NdSll | F::Ipv6NdTll => {
                self.put48(usize::from(self.layout.nd_option) + 2, new);
                self.l4_changed(sum_u64(old as u64), sum_u64(new as u64));
            }
            F::ArpOp => self.put16(l3 + 6, new as u16),
            F::ArpSha => self.put48(l3 + 8, new),
            F::ArpSpa => self.put32(l3 + 14, new as u32),
            F::ArpTha => self.put48(l3 + 18, new),
            F::ArpTpa => self.put32(l3 + 24, new as u32),
            F::MplsLabel => self.put_bits32(l3, 0xffff_f000, (new as u32) << 12),
            F::MplsTc => self.put_bits32(l3, 0xe00, (new as u32) << 9),
            F::MplsBos => self.put_bits32(l3, 0x100, (new as u32) << 8),
            F::MplsTtl => return self.set_mpls_ttl(new as u8),
            F::PbbIsid => self.put_bits32(l3, 0xff_ffff, new as u32),
            F::PbbUca => self.put_bits32(l3, 1 << 27, (new as u32) << 27),
            // Read from the frame's shape, not from a field that could be written.
            F::IpFrag | F::Ipv6Exthdr | F::PacketType => return,
            // The pipeline's own fields are in the key alone.
            _ => {}
        }
        self.key.write(slot, new);
    }

    /// 1.0's and 1.1's `SET_TP_SRC`: the source port, or the ICMP type, whichever the packet has.
    pub fn set_tp_src(&mut self, port: u16) {
        self.set_tp(
            [FieldId::TcpSrc, FieldId::UdpSrc, FieldId::SctpSrc, FieldId::Icmpv4Type, FieldId::Icmpv6Type],
            port,
        );
    }

    /// 1.0's and 1.1's `SET_TP_DST`: the destination port, or the ICMP code.
    pub fn set_tp_dst(&mut self, port: u16) {
        self.set_tp(
            [FieldId::TcpDst, FieldId::UdpDst, FieldId::SctpDst, FieldId::Icmpv4Code, FieldId::Icmpv6Code],
            port,
        );
    }

    fn set_tp(&mut self, [tcp, udp, sctp, icmpv4, icmpv6]: [FieldId; 5], port: u16) {
        let field = match self.layout.l4_kind {
            L4::Tcp => tcp,
            L4::Udp => udp,
            L4::Sctp => sctp,
            L4::Icmpv4 => icmpv4,
            L4::Icmpv6 => icmpv6,
            L4::None => return,
        };
        self.set_field(field, port.into(), u128::MAX);
    }

    fn set_eth_type(&mut self, eth_type: u16) {
        if self.layout.eth_type == 0 {
            return;
        }
        self.finish_offload();
        self.put16(usize::from(self.layout.eth_type), eth_type);
        self.reparse();
    }

    fn set_ip_proto(&mut self, old: u8, new: u8) {
        self.finish_offload();
        // Before the key changes: it says where the checksum is.
        self.pseudo_changed(old.into(), new.into());
        let l3 = usize::from(self.layout.l3);
        self.put(usize::from(self.layout.ip_proto), &[new]);
        if self.layout.l3_kind == L3::Ipv4 {
            self.ipv4_changed(l3, old.into(), new.into());
        }
        self.reparse();
    }

    /// Finishes the checksum. Nobody could cut a super-frame by headers that are read anew, so it
    /// counts as one (long) frame from here on.
    fn finish_offload(&mut self) {
        self.finish_checksum();
        self.frame.offload.gso = None;
        self.frame.offload.checksum_valid = false;
    }

    fn put48(&mut self, at: usize, value: u128) {
        let [_, _, bytes @ ..]: [u8; 8] = (value as u64).to_be_bytes();
        self.put(at, &bytes);
    }

    fn put_bits32(&mut self, at: usize, mask: u32, value: u32) {
        let old = be32(self.frame.bytes(), at).unwrap_or(0);
        self.put32(at, old & !mask | value & mask);
    }

    fn put_tos(&mut self, l3: usize, tos: u16) {
        let old = self.get16(l3);
        if self.layout.l3_kind == L3::Ipv4 {
            let new = old & 0xff00 | tos;
            self.put16(l3, new);
            self.ipv4_changed(l3, old, new);
        } else {
            self.put16(l3, old & 0xf00f | tos << 4);
        }
    }

    fn set_ipv4(&mut self, at: usize, old: u128, new: u128) {
        let (before, after) = (sum_u64(old as u64), sum_u64(new as u64));
        self.put32(at, new as u32);
        self.ipv4_changed(usize::from(self.layout.l3), before, after);
        self.pseudo_changed(before, after);
    }

    fn set_port(&mut self, at: usize, shift: u32, old: u16, new: u16) {
        self.put16(at, new);
        if self.layout.l4_kind == L4::Sctp {
            self.sctp_changed(u32::from(old ^ new) << shift);
        } else {
            self.l4_changed(old, new);
        }
    }

    fn set_icmp(&mut self, at: usize, value: u16, mask: u16) {
        let old = self.get16(at);
        let new = old & !mask | value & mask;
        self.put16(at, new);
        self.l4_changed(old, new);
    }
}

const _: () = assert!(VLAN_PRESENT == 0x1000, "set_vlan_vid cuts the present bit off");
