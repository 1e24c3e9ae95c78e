//! How much flash and RAM a program takes, from the sections of its ELF file.

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

/// Reads a 32-bit little-endian ELF file; none if it is something else.
pub fn sizes(bytes: &[u8]) -> Option<Sizes> {
    if !bytes.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let word = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    let half = |at: usize| word(at).map(|w| (w & 0xffff) as usize);
    let (table, entry, count) = (word(32)? as usize, half(46)?, half(48)?);
    let header = |i: usize| table + i * entry;
    let names = word(header((word(48)? >> 16) as usize) + 16)? as usize;
    let mut sizes = Sizes {
        flash: 0,
        statics: 0,
    };
    for at in (0..count).map(header) {
        let name = bytes
            .get(names + word(at)? as usize..)?
            .split(|b| *b == 0)
            .next()?;
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
    fn other_files_are_refused() {
        let file = elf(&[(".text", 1, 2, 1)]);
        assert!((0..file.len() - 1).all(|n| sizes(&file[..n]).is_none_or(|s| s.flash <= 1)));
        assert_eq!(sizes(b"#!/bin/sh"), None);
        assert_eq!(sizes(&[]), None);
    }
}
