//! Short talks with the switch: is it there, how fast does it answer, what role has this side, what does it do with
//! fragments.

use crate::cli::Options;
use crate::connection::Connection;
use crate::target::Target;
use crate::{print, print_json, report};
use anyhow::bail;
use clap::ValueEnum;
use ofproto::Version;
use ofproto::message::{Message, SwitchConfig};
use ofproto::role::{Role, RoleMsg};
use ofproto::wire::message_name;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// `barrier`
pub fn barrier(o: &Options, target: &Target) -> anyhow::Result<()> {
    match o.connect(target)?.ask(&Message::BarrierRequest, "barrier")? {
        Message::BarrierReply => Ok(()),
        other => bail!("the answer to barrier is an {}", message_name(&other)),
    }
}

/// What a message can hold behind its header.
const LONGEST_ECHO: usize = ofproto::wire::MAX_MESSAGE_LEN - ofproto::wire::HEADER_LEN;

fn echo(c: &mut Connection, size: usize, seed: u8) -> anyhow::Result<Duration> {
    let data: Vec<u8> = (0..size).map(|i| (i as u8).wrapping_add(seed)).collect();
    let start = Instant::now();
    match c.ask(&Message::EchoRequest(data.clone().into()), "echo")? {
        Message::EchoReply(back) if back == data => Ok(start.elapsed()),
        Message::EchoReply(_) => bail!("the echo came back with other data"),
        other => bail!("the answer to echo is an {}", message_name(&other)),
    }
}

/// `probe`
pub fn probe(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let time = echo(&mut c, 8, 0)?;
    if o.json {
        print_json(&json!({ "version": c.version().to_string(), "seconds": time.as_secs_f64() }));
    } else {
        print(&format!(" {target} answers OpenFlow {} in {:.3} ms", c.version(), time.as_secs_f64() * 1e3));
    }
    Ok(())
}

/// `ping`
pub fn ping(o: &Options, target: &Target, count: u32, size: u16) -> anyhow::Result<ExitCode> {
    let size = usize::from(size).min(LONGEST_ECHO);
    let mut c = o.connect(target)?;
    let mut times = Vec::new();
    for i in 0..count {
        let time = echo(&mut c, size, i as u8)?.as_secs_f64() * 1e3;
        if !o.json {
            print(&format!(" {size} bytes from {target}: {time:.3} ms"));
        }
        times.push(time);
    }
    if o.json {
        print_json(&json!({ "bytes": size, "milliseconds": times }));
    }
    Ok(ExitCode::SUCCESS)
}

/// A role by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleName {
    Equal,
    Master,
    Slave,
}

/// `role`
pub fn role(o: &Options, target: &Target, role: Option<RoleName>, generation: u64) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    if c.version() < Version::V12 {
        bail!("OpenFlow {} has no roles", c.version());
    }
    let role = match role {
        None => Role::NoChange,
        Some(RoleName::Equal) => Role::Equal,
        Some(RoleName::Master) => Role::Master,
        Some(RoleName::Slave) => Role::Slave,
    };
    let request = RoleMsg { role, short_id: 0, generation_id: generation };
    let Message::RoleReply(r) = c.ask(&Message::RoleRequest(request), "role")? else {
        bail!("the answer to role is no role reply");
    };
    let name = match r.role {
        Role::NoChange => "nochange".into(),
        Role::Equal => "equal".into(),
        Role::Master => "master".into(),
        Role::Slave => "slave".into(),
        Role::Unknown(n) => n.to_string(),
    };
    // All ones: no election has been held.
    let known = (r.generation_id != u64::MAX).then_some(r.generation_id);
    if o.json {
        print_json(&json!({ "role": name, "generation_id": known }));
    } else {
        let generation = known.map_or_else(|| "none".into(), |g| g.to_string());
        print(&format!(" role {name}, generation {generation}"));
    }
    Ok(())
}

/// `benchmark`
pub fn benchmark(o: &Options, target: &Target, size: u16, count: u32) -> anyhow::Result<()> {
    let size = usize::from(size).min(LONGEST_ECHO);
    let mut c = o.connect(target)?;
    let start = Instant::now();
    for i in 0..count {
        echo(&mut c, size, i as u8)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    // There and back, headers included.
    let bytes = 2.0 * f64::from(count) * (size + ofproto::wire::HEADER_LEN) as f64;
    let rate = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
    if o.json {
        print_json(&json!({ "bytes": size, "count": count, "seconds": seconds }));
    } else {
        print(&format!(
            " {count} echoes of {size} bytes in {:.3} ms: {:.0} a second, {:.1} MB/s",
            seconds * 1e3,
            rate(f64::from(count)),
            rate(bytes) / 1e6
        ));
    }
    Ok(())
}

/// `OFPC_FRAG_*`: what becomes of fragments (OpenFlow 1.3.5 §7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FragmentMode {
    /// They go through the tables
    Normal,
    /// They are dropped
    Drop,
    /// They are put together first
    Reassemble,
    /// Nicira's: the first one with its ports, the others with ports 0
    NxMatch,
}

/// `OFPC_FRAG_MASK`
const FRAG_MASK: u16 = 3;

impl FragmentMode {
    fn of(flags: u16) -> Self {
        match flags & FRAG_MASK {
            0 => Self::Normal,
            1 => Self::Drop,
            2 => Self::Reassemble,
            _ => Self::NxMatch,
        }
    }

    /// The word for it.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
    }
}

/// How a switch's configuration says that fragments are treated.
pub fn fragments(config: &SwitchConfig) -> String {
    FragmentMode::of(config.flags).name()
}

fn config(c: &mut Connection) -> anyhow::Result<SwitchConfig> {
    match c.ask(&Message::GetConfigRequest, "configuration")? {
        Message::GetConfigReply(config) => Ok(config),
        other => bail!("the answer to configuration is an {}", message_name(&other)),
    }
}

/// `get-frags`
pub fn get_fragments(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mode = fragments(&config(&mut o.connect(target)?)?);
    if o.json {
        print_json(&json!({ "fragments": mode }))
    } else {
        print(&format!(" {mode}"))
    }
    Ok(())
}

/// `set-frags`
pub fn set_fragments(o: &Options, target: &Target, mode: FragmentMode) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let old = config(&mut c)?;
    let flags = old.flags & !FRAG_MASK | mode as u16;
    let what = format!("set-frags {}", mode.name());
    Ok(report(&c.modify(&[(what, Message::SetConfig(SwitchConfig { flags, ..old }))])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_have_the_protocol_s_numbers() {
        for (flags, name) in [(4, "normal"), (1, "drop"), (2, "reassemble"), (7, "nx-match")] {
            assert_eq!(FragmentMode::of(flags).name(), name);
            assert_eq!(FragmentMode::of(flags) as u16, flags & FRAG_MASK);
        }
    }
}
