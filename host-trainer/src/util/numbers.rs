//! Numbers for people to read.

/// "163,962".
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(d);
    }
    text
}

/// "471 bytes", "2.8 GB".
pub(crate) fn bytes(n: u64) -> String {
    match n as f64 {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.0} MB", n / 1e6),
        n if n >= 1e4 => format!("{:.0} KB", n / 1e3),
        n => format!("{n:.0} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(471), "471 bytes");
        assert_eq!(bytes(2_777_000_000), "2.8 GB");
        assert_eq!(bytes(65 << 20), "68 MB");
    }
}
