//! The names that match fields have: OXM, NXM and flow-syntax ones.

use crate::field::{Code, FIELDS, FieldId, FieldInfo};

/// The names of `NXM_OF_…`, by field number.
const NXM0: [&str; 18] = [
    "IN_PORT",
    "ETH_DST",
    "ETH_SRC",
    "ETH_TYPE",
    "VLAN_TCI",
    "IP_TOS",
    "IP_PROTO",
    "IP_SRC",
    "IP_DST",
    "TCP_SRC",
    "TCP_DST",
    "UDP_SRC",
    "UDP_DST",
    "ICMP_TYPE",
    "ICMP_CODE",
    "ARP_OP",
    "ARP_SPA",
    "ARP_TPA",
];

/// The name of one header form of a field: `OXM_OF_ETH_DST`, `NXM_NX_REG0`.
pub fn code_name(info: &FieldInfo, code: Code) -> String {
    match code {
        Code::Oxm(_) => format!("OXM_OF_{}", info.name.to_ascii_uppercase()),
        Code::Nxm0(n) => match NXM0.get(usize::from(n)) {
            Some(name) => format!("NXM_OF_{name}"),
            None => format!("NXM_OF_{n}"),
        },
        Code::Nxm1(_) => {
            let name = match info.id {
                FieldId::IpEcn => "IP_ECN".to_owned(),
                FieldId::NwTtl => "IP_TTL".to_owned(),
                FieldId::TunIpv4Src => "TUN_IPV4_SRC".to_owned(),
                FieldId::TunIpv4Dst => "TUN_IPV4_DST".to_owned(),
                _ => info.alias.to_ascii_uppercase(),
            };
            format!("NXM_NX_{name}")
        }
        Code::PacketRegs(n) => format!("OXM_OF_PKT_REG{n}"),
        Code::Onf(_) => format!("ONFOXM_ET_{}", info.name.to_ascii_uppercase()),
        Code::Nsh(_) => format!("NXOXM_{}", info.name.to_ascii_uppercase()),
    }
}

/// The header form by whose name a field is called in actions: Nicira's, where there is one of the
/// field's own width.
pub(crate) fn preferred_code(info: &FieldInfo) -> Option<Code> {
    if info.id == FieldId::InPort {
        return Some(Code::Oxm(0));
    }
    info.codes.iter().copied().find(|c| matches!(c, Code::Nxm0(_) | Code::Nxm1(_))).or(info.codes.first().copied())
}

/// The bits that a field has in this header form: Nicira's `in_port` has 16.
pub(crate) fn code_bits(info: &FieldInfo, code: Option<Code>) -> u16 {
    match code.or(preferred_code(info)) {
        Some(Code::Nxm0(0)) => 16,
        _ => info.bits,
    }
}

/// The name of a field in `set_field` and `learn`, and on its own in a match.
pub fn field_text_name(id: FieldId) -> &'static str {
    match id {
        FieldId::EthDst => "eth_dst",
        FieldId::EthSrc => "eth_src",
        FieldId::EthType => "eth_type",
        FieldId::Ipv4Src => "ip_src",
        FieldId::Ipv4Dst => "ip_dst",
        FieldId::Icmpv4Type => "icmp_type",
        FieldId::Icmpv4Code => "icmp_code",
        FieldId::TunnelId => "tun_id",
        FieldId::Ipv6Flabel => "ipv6_label",
        FieldId::IpEcn => "nw_ecn",
        FieldId::IpProto => "nw_proto",
        FieldId::IpTos => "nw_tos",
        FieldId::Ipv6NdTarget => "nd_target",
        FieldId::Ipv6NdSll => "nd_sll",
        FieldId::Ipv6NdTll => "nd_tll",
        _ => id.info().name,
    }
}

/// Further names.
const ALIASES: &[(&str, FieldId)] = &[
    ("ip_src", FieldId::Ipv4Src),
    ("ip_dst", FieldId::Ipv4Dst),
    ("nw_frag", FieldId::IpFrag),
    ("tun_ipv4_src", FieldId::TunIpv4Src),
    ("tun_ipv4_dst", FieldId::TunIpv4Dst),
    ("ip_ttl", FieldId::NwTtl),
    ("nw_tos_shifted", FieldId::IpDscp),
    ("in_port_oxm", FieldId::InPort),
    // Where no match says which protocol: matches settle these themselves.
    ("tp_src", FieldId::TcpSrc),
    ("tp_dst", FieldId::TcpDst),
];

/// A field by any of its names, and the header form if it was called by one that has another width
/// than the preferred.
pub fn field_by_any_name(name: &str) -> Option<(FieldId, Option<Code>)> {
    if let Some(id) = FieldId::by_name(name) {
        return Some((id, None));
    }
    if let Some((_, id)) = ALIASES.iter().find(|(n, _)| *n == name) {
        return Some((*id, None));
    }
    if !["NXM_", "OXM_", "ONFOXM_", "NXOXM_"].iter().any(|p| name.starts_with(p)) {
        return None;
    }
    FIELDS.iter().find_map(|info| {
        let code = info.codes.iter().copied().find(|c| code_name(info, *c) == name)?;
        Some((info.id, (code_bits(info, Some(code)) != code_bits(info, None)).then_some(code)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_form_of_every_field_has_a_name_of_its_own() {
        let mut seen = HashMap::new();
        for info in FIELDS {
            for code in info.codes {
                let name = code_name(info, *code);
                assert_eq!(seen.insert(name.clone(), info.id), None, "{name}");
                assert_eq!(field_by_any_name(&name).map(|(id, _)| id), Some(info.id), "{name}");
            }
            for name in [info.name, info.alias, field_text_name(info.id)] {
                assert_eq!(field_by_any_name(name), Some((info.id, None)), "{name}");
            }
        }
        assert_eq!(seen["NXM_NX_TUN_IPV4_SRC"], FieldId::TunIpv4Src);
        assert_eq!(seen["NXM_OF_ARP_TPA"], FieldId::ArpTpa);
        assert_eq!(seen["NXM_NX_ND_TARGET"], FieldId::Ipv6NdTarget);
        assert_eq!(seen["OXM_OF_IPV6_ND_TARGET"], FieldId::Ipv6NdTarget);
    }
}
