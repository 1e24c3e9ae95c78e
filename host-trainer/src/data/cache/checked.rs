//! Small files of the cache: a line with the CRC-32 of the rest in hexadecimal digits, then JSON.

/// Bytes of the first line.
const LINE: usize = 9;

/// A file that says `json`.
pub(super) fn sealed(json: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:08x}\n", crc32fast::hash(json)).into_bytes();
    bytes.extend(json);
    bytes
}

/// What a file says, if it is as it was written.
///
/// # Errors
/// What is wrong with it.
pub(super) fn opened(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (line, json) = bytes.split_at_checked(LINE).ok_or("it is cut")?;
    if line == &sealed(json)[..LINE] {
        Ok(json)
    } else {
        Err("it does not match its CRC-32")
    }
}
