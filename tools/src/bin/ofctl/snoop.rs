//! `snoop`: a copy of every message of a switch's controllers.

use crate::channel::Channel;
use crate::cli::Options;
use crate::connection::hello;
use crate::monitor::{Moment, to_json};
use crate::print;
use crate::target::Target;
use anyhow::{Context as _, bail};
use clap::Args;
use ofproto::Version;
use ofproto::ids::Xid;
use ofproto::message::Message;
use ofproto::text::describe;
use ofproto::wire;
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct SnoopArgs {
    /// The bridge, for /run/switchd/NAME.snoop, or unix:PATH
    target: Target,
    /// End after this many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = crate::cli::seconds)]
    seconds: Option<f64>,
    /// The date and time (UTC) instead of the seconds since the beginning
    #[arg(long)]
    timestamp: bool,
}

/// `snoop`. Each message bears the version of its own connection.
pub fn run(o: &Options, args: &SnoopArgs) -> anyhow::Result<()> {
    let target = args.target.clone().watched();
    let mut channel = Channel::new(o.dial(&target)?);
    // Any version will do for the hellos.
    channel.send(&wire::encode(Version::V15, Xid(0), &hello(&Version::ALL))?)?;
    let first = channel.next(Some(Instant::now() + o.wait()))?.context("the switch doesn't greet")?;
    if !matches!(wire::decode(&first), Ok((_, Message::Hello(_)))) {
        bail!("{target} doesn't begin with a hello");
    }
    if !o.json {
        print(&format!(" watching the controllers of {target}"));
    }
    let start = Instant::now();
    let deadline = args.seconds.map(|s| start + Duration::from_secs_f64(s));
    let mut left = args.count;
    while left != Some(0) {
        let Some(bytes) = channel.next(deadline)? else { break };
        let moment = Moment::since(start, args.timestamp);
        let time = moment.text();
        match wire::decode(&bytes) {
            Ok((header, m)) if o.json => {
                let mut value = to_json(&header, &m, &moment);
                if let Some(object) = value.as_object_mut() {
                    let version = Version::from_wire(header.version).map(|v| v.to_string());
                    object.insert("version".into(), version.into());
                }
                print(&value.to_string());
            }
            Ok((header, m)) => print(&format!("{time} {}", describe(&header, &m))),
            Err(e) if o.json => print(&moment.json(json!({ "unreadable": e.to_string() })).to_string()),
            Err(e) => print(&format!("{time} a message of {} bytes that can't be read: {e}", bytes.len())),
        }
        left = left.map(|n| n - 1);
    }
    Ok(())
}
