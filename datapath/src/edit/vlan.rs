//! VLAN tags. The outermost one stands right behind the MAC addresses (OpenFlow 1.3.5 §5.12).

use crate::key::{VLAN_PRESENT, word};
use crate::packet::Packet;
use crate::parse::{MAX_VLAN_TAGS, ethertype};

const TAG: usize = 4;
const TPID_AT: usize = 12;
const TCI_AT: usize = 14;

impl Packet {
    /// Pushes a tag with TPID `tpid` (0x8100 or 0x88a8). Id and priority are copied from the tag
    /// that was outermost, else 0; DEI is 0 (OpenFlow 1.3.5 §5.12.1).
    pub fn push_vlan(&mut self, tpid: u16) {
        let tci = if self.layout.vlan_tags > 0 { self.get16(TCI_AT) & !VLAN_PRESENT } else { 0 };
        self.push_tag(tpid, tci);
    }

    /// Pops the outermost tag, if there is one.
    pub fn pop_vlan(&mut self) {
        if self.layout.vlan_tags == 0 {
            return;
        }
        self.frame.remove(TPID_AT, TAG);
        if self.layout.vlan_tags == MAX_VLAN_TAGS {
            // Tags that stood beyond the parser's bound may come into sight.
            self.reparse();
            return;
        }
        self.layout.vlan_tags -= 1;
        self.shift_layout(-(TAG as i32));
        let tci = if self.layout.vlan_tags > 0 { self.get16(TCI_AT) | VLAN_PRESENT } else { 0 };
        self.write_key_tci(tci);
    }

    /// 1.0's `SET_VLAN_VID`: sets the outermost tag's id; without a tag pushes one with priority 0
    /// (OpenFlow 1.0.0 §3.3). From 1.1 on setting a field adds no tag: use `set_field`.
    pub fn set_vlan_vid(&mut self, vid: u16) {
        let old = self.untagged_or_tci();
        self.set_or_push_tci(old & !0xfff | vid & 0xfff);
    }

    /// 1.0's `SET_VLAN_PCP`: sets the outermost tag's priority; without a tag pushes one with id 0.
    pub fn set_vlan_pcp(&mut self, pcp: u8) {
        let old = self.untagged_or_tci();
        self.set_or_push_tci(old & 0x1fff | u16::from(pcp & 7) << 13);
    }

    /// The tag as Nicira's `vlan_tci` has it: with the present bit it is set, or pushed where there is
    /// none; without the present bit the outermost tag is popped. DEI keeps its value.
    pub(super) fn set_vlan_tci(&mut self, tci: u16) {
        if tci & VLAN_PRESENT == 0 {
            self.pop_vlan();
        } else {
            let dei = self.untagged_or_tci() & 0x1000;
            self.set_or_push_tci(tci & !0x1000 | dei);
        }
    }

    fn untagged_or_tci(&self) -> u16 {
        if self.layout.vlan_tags > 0 { self.get16(TCI_AT) } else { 0 }
    }

    fn set_or_push_tci(&mut self, tci: u16) {
        if self.layout.vlan_tags > 0 {
            self.put16(TCI_AT, tci);
            self.write_key_tci(tci | VLAN_PRESENT);
        } else {
            self.push_tag(ethertype::VLAN, tci);
        }
    }

    fn push_tag(&mut self, tpid: u16, tci: u16) {
        if !self.room_for(TAG) {
            return;
        }
        self.frame.insert(TPID_AT, TAG);
        self.put16(TPID_AT, tpid);
        self.put16(TCI_AT, tci);
        let known = tpid == ethertype::VLAN || tpid == ethertype::QINQ;
        if !known || self.layout.vlan_tags >= MAX_VLAN_TAGS {
            self.reparse();
            return;
        }
        self.layout.vlan_tags += 1;
        self.shift_layout(TAG as i32);
        self.write_key_tci(tci | VLAN_PRESENT);
    }

    fn write_key_tci(&mut self, tci: u16) {
        let w = &mut self.key.0[word::ETH_SRC_VLAN];
        *w = *w & !0xffff | u64::from(tci);
    }

    /// Moves every offset behind the MAC addresses.
    fn shift_layout(&mut self, by: i32) {
        let l = &mut self.layout;
        for at in [&mut l.eth_type, &mut l.length_802_3, &mut l.l3, &mut l.ip_proto, &mut l.l4, &mut l.nd_option] {
            if *at != 0 {
                *at = (i32::from(*at) + by) as u16;
            }
        }
        l.end = (l.end as i32 + by) as u32;
        l.declared_end = (l.declared_end as i32 + by) as u32;
    }
}
