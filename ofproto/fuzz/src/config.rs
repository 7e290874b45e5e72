//! A configuration file: any text is taken or refused with a place, and what is taken makes a
//! configuration or a reason.

use switchd::config::{Config, Options, parse_file};

/// Input: the file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_file("switch.toml", text) {
        Ok(options) => {
            if let Err(e) = Config::new(Options::default(), options) {
                assert!(!e.to_string().is_empty());
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}
