//! How this program is called, for the advice in its messages.

/// How a user calls this program with `words`: as `cargo run` where cargo has started it.
pub(crate) fn call(words: &str) -> String {
    // Cargo sets it for what it runs.
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(_) => format!("cargo run --release -- {words}"),
        None => format!("pupil {words}"),
    }
}
