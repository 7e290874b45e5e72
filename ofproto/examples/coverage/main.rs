//! Writes the tables of `README.md` and of the field documentation from what the code does.
//!
//! `cargo run -p ofproto --example coverage`; a test fails while they are stale.

mod tables;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (path, text) in tables::files()? {
        let changed = std::fs::read_to_string(&path).ok().as_ref() != Some(&text);
        if changed {
            std::fs::write(&path, text)?;
        }
        println!("{} {}", if changed { "wrote" } else { "left" }, tables::short(&path));
    }
    Ok(())
}
