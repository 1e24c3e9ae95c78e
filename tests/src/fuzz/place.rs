//! Memory of a mutant: every tensor, scratch memory and line buffer gets a place of its own, without
//! gaps, in random order. A kernel that writes one byte too far overwrites something that is in use, or
//! the guard after the arena.

use super::file::{File, code};
use crate::cases::Random;

/// Something that has a place.
#[derive(Clone, Copy, Debug)]
enum Place {
    Tensor(usize),
    Scratch(usize),
    Rows(usize, usize),
}

/// Assigns all places. With `shared`, outputs that replaced an input of the same shape still do.
pub fn place(file: &mut File, random: &mut Random, shared: bool) {
    let mut places: Vec<(Place, usize)> = Vec::new();
    let mut owner: Vec<usize> = Vec::new();
    for t in 0..file.tensors.len() {
        let replaced = (0..t).find(|o| shared && takes_place(file, t, *o));
        owner.push(replaced.map_or(t, |o| owner[o]));
        if owner[t] != t {
            continue;
        }
        let rows = file
            .streams
            .first()
            .map_or(0, |s| usize::from(s.frame_rows));
        let len = match file.is_streamed(t) {
            true if t == 0 => rows * file.tensors[0].row(),
            true => 0,
            false => file.tensors[t].len(),
        };
        places.push((Place::Tensor(t), len));
    }
    for (i, layer) in file.layers.iter().enumerate() {
        places.push((Place::Scratch(i), layer.scratch[1] as usize));
    }
    for (s, stream) in file.streams.iter().enumerate() {
        for (k, link) in stream.links.iter().enumerate() {
            let output = usize::from(link.layer) + 1;
            let row = file.tensors.get(output).map_or(0, super::file::Tensor::row);
            let layer = file.layers.get(usize::from(link.layer));
            let len = match link.capacity {
                0 if layer.is_some_and(|l| l.code == code::MEAN) => 4 * row,
                rows => usize::from(rows) * row,
            };
            places.push((Place::Rows(s, k), len));
        }
    }
    for i in (1..places.len()).rev() {
        places.swap(i, random.below(i + 1));
    }
    let mut end = 0usize;
    for (place, len) in places {
        let at = if len == 0 { 0 } else { end as u32 };
        end = (end + len).next_multiple_of(4).min(1 << 31);
        match place {
            Place::Tensor(t) => file.tensors[t].offset = at,
            Place::Scratch(i) => file.layers[i].scratch[0] = at,
            Place::Rows(s, k) => file.streams[s].links[k].offset = at,
        }
    }
    for (t, owner) in owner.iter().enumerate() {
        file.tensors[t].offset = file.tensors[*owner].offset;
    }
}

/// Whether tensor `t` is written where its writer, or the stream that ends with it, reads `other`.
fn takes_place(file: &File, t: usize, other: usize) -> bool {
    let (a, b) = (file.tensors[t], file.tensors[other]);
    if file.is_streamed(t) || file.is_streamed(other) || a.offset != b.offset || a.shape != b.shape
    {
        return false;
    }
    let reads = |layer: usize| {
        let layer = file.layers.get(layer);
        layer.is_some_and(|l| l.inputs.map(usize::from).contains(&other))
    };
    let mut streams = file.streams.iter();
    match streams.find(|s| usize::from(s.layers[1]) == t) {
        Some(stream) => stream.links.iter().any(|l| reads(usize::from(l.layer))),
        None => t > 0 && reads(t - 1),
    }
}
