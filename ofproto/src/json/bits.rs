//! Bitmaps that the model keeps as numbers: arrays of names, and the bits without a name as one
//! hexadecimal string.

macro_rules! bits {
    ($($(#[$doc:meta])* $codec:ident: $number:ty { $($name:literal = $bit:expr),* $(,)? })*) => {$(
        $(#[$doc])*
        pub(crate) mod $codec {
            use crate::json::codec::{Result, bad, hex, unnamed};
            use serde_json::Value;
            pub fn to(bits: &$number) -> Value {
                let mut rest = *bits;
                let mut out: Vec<Value> = Vec::new();
                $(if rest & $bit != 0 {
                    rest &= !$bit;
                    out.push($name.into());
                })*
                if rest != 0 {
                    out.push(hex::to(&rest));
                }
                out.into()
            }
            pub fn from(value: &Value) -> Result<$number> {
                let expected = || format!("an array of {}", [$($name),*].join(", "));
                if value.is_null() {
                    return Ok(0);
                }
                let list = value.as_array().ok_or_else(|| bad(value, expected()))?;
                list.iter().enumerate().try_fold(0, |bits, (i, v)| match v.as_str() {
                    $(Some($name) => Ok(bits | $bit),)*
                    _ => unnamed::<$number>(v).map(|n| bits | n).map_err(|mut e| {
                        e.expected = expected();
                        e.at(i)
                    }),
                })
            }
        }
    )*};
}

bits! {
    /// `OFPOPF_*`: features of an optical port.
    optical_features: u32 { "rx_tune" = 1, "tx_tune" = 2, "tx_pwr" = 4, "use_freq" = 8 }
    /// `OFPOSF_*`: which values of an optical port's statistics are valid.
    optical_flags: u32 {
        "rx_tune" = 1, "tx_tune" = 2, "tx_pwr" = 4, "rx_pwr" = 16, "tx_bias" = 32, "tx_temp" = 64,
    }
    /// `OFPSTF_*`: when a flow's statistics are sent.
    stat_trigger: u32 { "periodic" = 1, "only_first" = 2 }
    /// `OFPTMPEF_*`: what evicts a flow.
    eviction: u32 { "other" = 1, "importance" = 2, "lifetime" = 4 }
    /// `OFPTFF_*`: what a table is.
    table_features: u32 { "ingress_table" = 1, "egress_table" = 2, "first_egress" = 16 }
    /// Bits `1 << OFPGT_*`.
    group_types: u32 { "all" = 1, "select" = 2, "indirect" = 4, "ff" = 8 }
    /// Bits `1 << OFPMBT_*`.
    band_types: u32 { "drop" = 2, "dscp_remark" = 4 }
    /// `OFPMFF_*`: where meters may stand.
    meter_features: u32 { "action_set" = 1, "any_position" = 2, "multi_list" = 4 }
    /// `OFPMF_*`, as a meter's features have them.
    meter_flags: u32 { "kbps" = 1, "pktps" = 2, "burst" = 4, "stats" = 8 }
}
