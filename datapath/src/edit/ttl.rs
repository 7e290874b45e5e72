//! TTLs of IPv4, IPv6 and MPLS.

use crate::packet::{InvalidTtl, Packet};
use crate::parse::ip::protocol;
use crate::parse::{L3, be32};
use ofproto::field::FieldId;

/// A header with a TTL, by its offset.
#[derive(Clone, Copy)]
enum Header {
    Mpls(usize),
    Ipv4(usize),
    Ipv6(usize),
}

impl Packet {
    /// Sets the outermost shim's TTL.
    pub fn set_mpls_ttl(&mut self, ttl: u8) {
        if self.layout.l3_kind == L3::Mpls {
            self.write_ttl(Header::Mpls(usize::from(self.layout.l3)), ttl);
        }
    }

    /// Decrements the outermost shim's TTL.
    ///
    /// # Errors
    /// [`InvalidTtl`] if it is 0 or 1; the packet is unchanged.
    pub fn dec_mpls_ttl(&mut self) -> Result<(), InvalidTtl> {
        if self.layout.l3_kind == L3::Mpls {
            let ttl = self.key.get(FieldId::MplsTtl) as u8;
            self.set_mpls_ttl(decremented(ttl)?);
        }
        Ok(())
    }

    /// Sets IPv4's TTL or IPv6's hop limit.
    pub fn set_nw_ttl(&mut self, ttl: u8) {
        let at = usize::from(self.layout.l3);
        match self.layout.l3_kind {
            L3::Ipv4 => self.write_ttl(Header::Ipv4(at), ttl),
            L3::Ipv6 => self.write_ttl(Header::Ipv6(at), ttl),
            _ => {}
        }
    }

    /// Decrements IPv4's TTL or IPv6's hop limit.
    ///
    /// # Errors
    /// [`InvalidTtl`] if it is 0 or 1; the packet is unchanged.
    pub fn dec_nw_ttl(&mut self) -> Result<(), InvalidTtl> {
        if matches!(self.layout.l3_kind, L3::Ipv4 | L3::Ipv6) {
            let ttl = self.key.get(FieldId::NwTtl) as u8;
            self.set_nw_ttl(decremented(ttl)?);
        }
        Ok(())
    }

    /// Copies the TTL of the next-to-outermost header that has one to the outermost: MPLS to MPLS, IP
    /// to MPLS, IP to IP (OpenFlow 1.3.5 §5.12). Nothing happens unless there are two.
    pub fn copy_ttl_out(&mut self) {
        if let Some((outer, inner)) = self.ttl_headers() {
            let ttl = self.read_ttl(inner);
            self.write_ttl(outer, ttl);
        }
    }

    /// Copies the outermost TTL to the next header that has one.
    pub fn copy_ttl_in(&mut self) {
        if let Some((outer, inner)) = self.ttl_headers() {
            let ttl = self.read_ttl(outer);
            self.write_ttl(inner, ttl);
        }
    }

    fn ttl_headers(&self) -> Option<(Header, Header)> {
        let l3 = usize::from(self.layout.l3);
        match self.layout.l3_kind {
            L3::Mpls => {
                let outer = Header::Mpls(l3);
                if self.key.get(FieldId::MplsBos) == 0 {
                    be32(self.frame.bytes(), l3 + 4)?;
                    Some((outer, Header::Mpls(l3 + 4)))
                } else {
                    Some((outer, self.ip_header(l3 + 4)?))
                }
            }
            kind @ (L3::Ipv4 | L3::Ipv6) => {
                let outer = if kind == L3::Ipv4 { Header::Ipv4(l3) } else { Header::Ipv6(l3) };
                let encapsulated = matches!(self.key.get(FieldId::IpProto) as u8, protocol::IPV4 | protocol::IPV6);
                (encapsulated && self.layout.l4 != 0).then_some(())?;
                Some((outer, self.ip_header(usize::from(self.layout.l4))?))
            }
            _ => None,
        }
    }

    /// The IP header at `at`, by its version: behind a bottom of stack nothing else tells.
    fn ip_header(&self, at: usize) -> Option<Header> {
        let b = self.frame.bytes().get(at..)?;
        match b.first()? >> 4 {
            4 if b.len() >= 20 && b.first()? & 15 >= 5 => Some(Header::Ipv4(at)),
            6 if b.len() >= 40 => Some(Header::Ipv6(at)),
            _ => None,
        }
    }

    fn read_ttl(&self, header: Header) -> u8 {
        let at = match header {
            Header::Mpls(at) => at + 3,
            Header::Ipv4(at) => at + 8,
            Header::Ipv6(at) => at + 7,
        };
        self.frame.bytes().get(at).copied().unwrap_or(0)
    }

    fn write_ttl(&mut self, header: Header, ttl: u8) {
        let outermost = usize::from(self.layout.l3);
        match header {
            Header::Mpls(at) => {
                self.put(at + 3, &[ttl]);
                if at == outermost {
                    self.key.set(FieldId::MplsTtl, ttl.into());
                }
            }
            Header::Ipv4(at) => {
                let old = self.get16(at + 8);
                let new = old & 0xff | u16::from(ttl) << 8;
                self.put16(at + 8, new);
                self.ipv4_changed(at, old, new);
                if at == outermost {
                    self.key.set(FieldId::NwTtl, ttl.into());
                }
            }
            Header::Ipv6(at) => {
                let old = self.get16(at + 6);
                let new = old & 0xff00 | u16::from(ttl);
                self.put16(at + 6, new);
                if at == outermost {
                    self.key.set(FieldId::NwTtl, ttl.into());
                }
            }
        }
    }
}

fn decremented(ttl: u8) -> Result<u8, InvalidTtl> {
    if ttl > 1 { Ok(ttl - 1) } else { Err(InvalidTtl) }
}
