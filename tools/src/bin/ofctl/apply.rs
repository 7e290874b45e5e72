//! Mods: read from texts, sent one by one or as a bundle, and what the switch refused of them. A barrier follows
//! them, so that a refusal shows.

use crate::arguments::InBundle;
use crate::cli::Options;
use crate::connection::{Connection, Refused};
use crate::report;
use crate::target::Target;
use crate::text_input::{Given, located, port_names};
use anyhow::bail;
use ofproto::Version;
use ofproto::bundle::{BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::ids::{BundleId, PortNo};
use ofproto::message::Message;
use ofproto::text::{ParseContext, TextError};
use std::process::ExitCode;

/// The ports' names, once they were asked for.
pub type Names = Option<Vec<(String, PortNo)>>;

/// Reads a text, with the switch's port names if it needs them: most texts don't, and asking costs a round trip.
pub fn read<T>(
    o: &Options,
    mut c: Option<&mut Connection>,
    version: Version,
    names: &mut Names,
    given: &Given,
    parse: impl Fn(&str, &ParseContext<'_>) -> Result<T, TextError>,
) -> anyhow::Result<T> {
    if let Some(c) = &mut c {
        c.keep_alive()?;
    }
    let text = given.text.as_str();
    let known = match names {
        Some(known) => known,
        None => {
            let error = match parse(text, &ParseContext::new(version)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match c.filter(|_| o.reads_names()) {
                Some(c) => names.insert(port_names(&c.ports()?)),
                None => return Err(located(text, given.place.clone())(error)),
            }
        }
    };
    parse(text, &ParseContext { version, ports: known }).map_err(located(text, given.place.clone()))
}

/// Reads texts and has the switch do what they say.
pub fn apply(
    o: &Options,
    target: &Target,
    texts: &[Given],
    name: &str,
    bundle: InBundle,
    parse: impl Fn(&str, &ParseContext<'_>) -> Result<Message, TextError>,
) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let version = c.version();
    let mut names = None;
    let mut mods = Vec::with_capacity(texts.len());
    for given in texts {
        let message = read(o, Some(&mut c), version, &mut names, given, &parse)?;
        let what = format!("{} `{}`", given.place.as_deref().unwrap_or(name), given.text.trim());
        mods.push((what, message));
    }
    finish(&mut c, &mods, bundle)
}

/// Sends mods and tells what was refused.
pub fn finish(c: &mut Connection, mods: &[(String, Message)], bundle: InBundle) -> anyhow::Result<ExitCode> {
    let refused = if bundle.wanted { in_bundle(c, mods)? } else { c.modify(mods)? };
    if bundle.wanted && !refused.is_empty() {
        eprintln!("ofctl: nothing was changed");
    } else if !refused.is_empty() && mods.len() > 1 {
        eprintln!("ofctl: {} of {} were refused", refused.len(), mods.len());
    }
    Ok(report(&refused))
}

/// All or nothing (OpenFlow 1.4.1 §6.8).
fn in_bundle(c: &mut Connection, mods: &[(String, Message)]) -> anyhow::Result<Vec<Refused>> {
    if c.version() < Version::V13 {
        bail!("OpenFlow {} has no bundles", c.version());
    }
    let bundle = BundleId(1);
    let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle, ty, flags, properties: Vec::new() });
    c.ask(&control(BundleCtrlType::OpenRequest), "a bundle")?;
    let refused = c.modify_in_bundle(bundle, flags, mods)?;
    if !refused.is_empty() {
        // It may be gone already: a failed add can close it.
        let _ = c.ask(&control(BundleCtrlType::DiscardRequest), "the bundle's end");
        return Ok(refused);
    }
    c.commit(&control(BundleCtrlType::CommitRequest), mods)
}
