//! How much flash and RAM a program takes, from the sections of its ELF file, and what of it each
//! function, from the symbols.

/// Bytes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Code, constants and the initial values of variables.
    pub flash: u64,
    /// Variables. The stack is not among them: it takes what they leave.
    pub statics: u64,
}

/// Sections that only reserve what is left of RAM.
const REST_OF_RAM: [&[u8]; 2] = [b".stack", b".heap"];

/// A function or a label of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name as the compiler wrote it.
    pub name: String,
    /// Bytes of code.
    pub len: u64,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    word(bytes, at).map(|w| (w & 0xffff) as usize)
}

fn text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at..)?.split(|b| *b == 0).next()
}

/// Places of the section headers of a 32-bit little-endian ELF file; none if it is something else.
fn sections(bytes: &[u8]) -> Option<impl Iterator<Item = usize>> {
    if !bytes.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let (table, entry, count) = (
        word(bytes, 32)? as usize,
        half(bytes, 46)?,
        half(bytes, 48)?,
    );
    Some((0..count).map(move |i| table.saturating_add(i * entry)))
}

/// The code's symbols by address. A label without a size, as assembly has them, reaches to the next
/// symbol. None if the file is no 32-bit little-endian ELF file.
pub fn symbols(bytes: &[u8]) -> Option<Vec<Symbol>> {
    const SYMBOLS: u32 = 2;
    let headers: Vec<usize> = sections(bytes)?.collect();
    let field = |at: usize, i: usize| word(bytes, at.checked_add(4 * i)?).map(|w| w as usize);
    let mut found = Vec::new();
    for at in &headers {
        if word(bytes, at + 4)? != SYMBOLS {
            continue;
        }
        let (begin, len, names) = (field(*at, 4)?, field(*at, 5)?, field(*at, 6)?);
        let names = field(*headers.get(names)?, 4)?;
        for symbol in (begin..begin.checked_add(len)?).step_by(16) {
            let section = half(bytes, symbol + 14)?;
            let flags = headers.get(section).and_then(|at| field(*at, 2));
            let name = text(bytes, names.checked_add(field(symbol, 0)?)?)?;
            // Code only; `$t` and the like mark ranges for debuggers.
            if flags.is_some_and(|f| f & 4 != 0) && !name.is_empty() && !name.starts_with(b"$") {
                let (address, len) = (field(symbol, 1)? & !1, field(symbol, 2)? as u64);
                let name = String::from_utf8_lossy(name).into_owned();
                found.push((address, Symbol { name, len }));
            }
        }
    }
    found.sort_by_key(|(address, _)| *address);
    let addresses: Vec<usize> = found.iter().map(|f| f.0).collect();
    for (address, symbol) in &mut found {
        if symbol.len == 0 {
            let next = addresses.iter().find(|a| **a > *address);
            symbol.len = next.map_or(0, |next| (next - *address) as u64);
        }
    }
    Some(found.into_iter().map(|f| f.1).collect())
}

/// Reads a 32-bit little-endian ELF file; none if it is something else.
pub fn sizes(bytes: &[u8]) -> Option<Sizes> {
    let sections = sections(bytes)?;
    let word = |at: usize| word(bytes, at);
    let (table, entry) = (word(32)? as usize, half(bytes, 46)?);
    let header = |i: usize| table + i * entry;
    let names = word(header((word(48)? >> 16) as usize) + 16)? as usize;
    let mut sizes = Sizes {
        flash: 0,
        statics: 0,
    };
    for at in sections {
        let name = text(bytes, names + word(at)? as usize)?;
        let (kind, flags, len) = (word(at + 4)?, word(at + 8)?, u64::from(word(at + 20)?));
        let (writable, allocated, no_bits) = (flags & 1 != 0, flags & 2 != 0, kind == 8);
        if !allocated || REST_OF_RAM.contains(&name) {
            continue;
        }
        sizes.flash += if no_bits { 0 } else { len };
        sizes.statics += if writable { len } else { 0 };
    }
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of sections: name, kind, flags, length.
    fn elf(sections: &[(&str, u32, u32, u32)]) -> Vec<u8> {
        let mut names = vec![0];
        let mut table = vec![0; 40];
        for (name, kind, flags, len) in sections {
            let mut header = [0_u32; 10];
            (header[0], header[1], header[2], header[5]) =
                (names.len() as u32, *kind, *flags, *len);
            table.extend(header.iter().flat_map(|w| w.to_le_bytes()));
            names.extend(name.bytes().chain([0]));
        }
        let mut bytes = vec![0; 52];
        bytes[..6].copy_from_slice(b"\x7fELF\x01\x01");
        bytes[32] = 52;
        bytes[46] = 40;
        bytes[48] = sections.len() as u8 + 2; // an empty one first, the names last
        bytes[50] = sections.len() as u8 + 1;
        let mut header = [0_u32; 10];
        header[4] = (52 + table.len() + 40) as u32;
        table.extend(header.iter().flat_map(|w| w.to_le_bytes()));
        bytes.extend(table);
        bytes.extend(names);
        bytes
    }

    #[test]
    fn sections_count_where_they_lie() {
        let (bits, no_bits) = (1, 8);
        let file = elf(&[
            (".text", bits, 2 | 4, 1000),
            (".rodata", bits, 2, 200),
            (".data", bits, 2 | 1, 30),
            (".bss", no_bits, 2 | 1, 4),
            (".stack", no_bits, 2 | 1, 9999),
            (".debug_info", bits, 0, 9999),
        ]);
        assert_eq!(
            sizes(&file),
            Some(Sizes {
                flash: 1230,
                statics: 34
            })
        );
    }

    #[test]
    fn symbols_of_code_have_sizes() {
        // Sections: nothing, code, symbols, the symbols' names, sections' names.
        let names = b"\0short\0label\0$t\0data\0";
        let symbol = |name: u32, address: u32, len: u32, section: u16| {
            let mut bytes = Vec::new();
            for word in [name, address, len] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend([2, 0]);
            bytes.extend(section.to_le_bytes());
            bytes
        };
        let table = [
            symbol(7, 0x21, 0, 1),
            symbol(1, 0x41, 10, 1),
            symbol(13, 0x20, 0, 1),
            symbol(16, 0x30, 4, 3),
        ]
        .concat();
        let mut bytes = vec![0; 52];
        bytes[..6].copy_from_slice(b"\x7fELF\x01\x01");
        bytes[46] = 40;
        bytes[48] = 4;
        let (symbols_at, names_at) = (52, 52 + table.len() as u32);
        bytes.extend(&table);
        bytes.extend(names);
        let headers_at = bytes.len() as u32;
        bytes[32..36].copy_from_slice(&headers_at.to_le_bytes());
        for [kind, flags, at, len, link] in [
            [0, 0, 0, 0, 0],
            [1, 2 | 4, 0, 0, 0],
            [2, 0, symbols_at, table.len() as u32, 3],
            [3, 0, names_at, names.len() as u32, 0],
        ] {
            for word in [0, kind, flags, 0, at, len, link, 0, 0, 0] {
                bytes.extend(u32::to_le_bytes(word));
            }
        }
        let named = |name: &str, len| Symbol {
            name: name.into(),
            len,
        };
        assert_eq!(
            symbols(&bytes),
            Some(vec![named("label", 0x20), named("short", 10)])
        );
        // Cut anywhere before the last section's header, whose last words nobody needs.
        let last = headers_at as usize + 3 * 40;
        assert!((52..=last).all(|n| symbols(&bytes[..n]).is_none()));
    }

    #[test]
    fn other_files_are_refused() {
        let file = elf(&[(".text", 1, 2, 1)]);
        assert!((0..file.len() - 1).all(|n| sizes(&file[..n]).is_none_or(|s| s.flash <= 1)));
        assert_eq!(sizes(b"#!/bin/sh"), None);
        assert_eq!(sizes(&[]), None);
    }
}
