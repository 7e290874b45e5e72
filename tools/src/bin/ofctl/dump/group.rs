//! Groups and meters.

use super::features::ACTIONS;
use super::{reply_json, unexpected};
use crate::cli::Options;
use crate::show::{self, bits, seconds};
use crate::target::Target;
use crate::text_input::port_names;
use crate::{print, print_json};
use ofproto::Version;
use ofproto::ids::{GroupId, MeterId};
use ofproto::message::{MultipartReply, MultipartRequest};
use ofproto::text::{MeterText, Printer};

/// `dump-groups`
pub fn groups(o: &Options, target: &Target, group: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let wanted = group.map_or(GroupId::ALL, GroupId);
    // Before 1.5 the request has no group: the whole list comes.
    let asked = if c.version() >= Version::V15 { wanted } else { GroupId::ALL };
    let mut reply = c.query(MultipartRequest::GroupDesc(asked), "group descriptions")?;
    let MultipartReply::GroupDesc(groups) = &mut reply else { return unexpected("group descriptions") };
    groups.retain(|g| group.is_none() || g.group == wanted);
    groups.sort_by_key(|g| g.group);
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let names = if o.shows_names() { port_names(&c.ports()?) } else { Vec::new() };
    let printer = Printer { version: c.version(), ports: &names };
    if let MultipartReply::GroupDesc(groups) = &reply {
        for g in groups {
            print(&format!(" {}", printer.group(g)));
        }
    }
    Ok(())
}

/// `dump-group-stats`
pub fn group_stats(o: &Options, target: &Target, group: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Group(group.map_or(GroupId::ALL, GroupId)), "group statistics")?;
    let MultipartReply::Group(groups) = &reply else { return unexpected("group statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let rows = groups.iter().map(|g| Counted {
        id: g.group.to_string(),
        sum: (g.packet_count, g.byte_count),
        references: g.ref_count,
        age: (c.version() >= Version::V13).then(|| seconds(g.duration_sec, g.duration_nsec)),
        parts: &g.buckets,
    });
    print_counted(["group", "bucket"], rows);
    Ok(())
}

/// `dump-group-features`
pub fn group_features(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::GroupFeatures, "group features")?;
    let MultipartReply::GroupFeatures(f) = &reply else { return unexpected("group features") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let capabilities = bits(
        f.capabilities.bits(),
        &[(1, "select_weight"), (2, "select_liveness"), (4, "chaining"), (8, "chaining_checks")],
    );
    print(&format!(" capabilities: {capabilities}"));
    print(&show::table(
        ["type", "at most", "actions"],
        &[1],
        ["all", "select", "indirect", "ff"].into_iter().enumerate().filter(|(i, _)| f.types >> i & 1 == 1).map(
            |(i, name)| {
                let at = |list: &[u32; 4]| list.get(i).copied().unwrap_or(0);
                [name.to_owned(), at(&f.max_groups).to_string(), action_types(at(&f.actions))]
            },
        ),
    ));
    Ok(())
}

/// The names of wire action types (OpenFlow 1.3.5 §7.2.5).
fn action_types(bitmap: u32) -> String {
    let names = ACTIONS.map(|(ty, name)| (1u32 << ty, name));
    bits(bitmap, &names)
}

/// `dump-meters`
pub fn meters(o: &Options, target: &Target, meter: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::MeterConfig(meter.map_or(MeterId::ALL, MeterId)), "meter descriptions")?;
    let MultipartReply::MeterConfig(meters) = &reply else { return unexpected("meter descriptions") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    for m in meters {
        print(&format!(" {}", MeterText(m)));
    }
    Ok(())
}

/// `meter-stats`
pub fn meter_stats(o: &Options, target: &Target, meter: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Meter(meter.map_or(MeterId::ALL, MeterId)), "meter statistics")?;
    let MultipartReply::Meter(meters) = &reply else { return unexpected("meter statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let rows = meters.iter().map(|m| Counted {
        id: m.meter.to_string(),
        sum: (m.packet_in_count, m.byte_in_count),
        references: m.ref_count,
        age: Some(seconds(m.duration_sec, m.duration_nsec)),
        parts: &m.bands,
    });
    print_counted(["meter", "band"], rows);
    Ok(())
}

/// `meter-features`
pub fn meter_features(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::MeterFeatures, "meter features")?;
    let MultipartReply::MeterFeatures(f) = &reply else { return unexpected("meter features") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    print(&format!(
        " at most {} meters of {} bands, colours to {}\n bands: {}\n flags: {}",
        f.max_meter,
        f.max_bands,
        f.max_color,
        bits(f.band_types, &[(1 << 1, "drop"), (1 << 2, "dscp_remark")]),
        bits(f.capabilities, &[(1, "kbps"), (2, "pktps"), (4, "burst"), (8, "stats")]),
    ));
    if c.version() >= Version::V15 {
        let names = [(1, "action_set"), (2, "any_position"), (4, "multi_list")];
        print(&format!(" features: {}", bits(f.features, &names)));
    }
    Ok(())
}

/// The counters of a group or meter, and of its buckets or bands.
struct Counted<'a> {
    id: String,
    /// Packets and bytes.
    sum: (u64, u64),
    references: u32,
    /// Unless the version doesn't tell.
    age: Option<String>,
    /// Packets and bytes of each.
    parts: &'a [(u64, u64)],
}

fn print_counted<'a>([whole, part]: [&'static str; 2], all: impl Iterator<Item = Counted<'a>>) {
    let mut rows = Vec::new();
    for c in all {
        rows.push([
            c.id,
            String::new(),
            c.sum.0.to_string(),
            c.sum.1.to_string(),
            c.references.to_string(),
            c.age.unwrap_or_else(|| "-".into()),
        ]);
        for (i, (packets, bytes)) in c.parts.iter().enumerate() {
            let blank = String::new;
            rows.push([blank(), i.to_string(), packets.to_string(), bytes.to_string(), blank(), blank()]);
        }
    }
    print(&show::table([whole, part, "packets", "bytes", "references", "seconds"], &[0, 1, 2, 3, 4, 5], rows));
}
