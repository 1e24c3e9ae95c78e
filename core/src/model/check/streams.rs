//! That streams can run: each layer a few rows at a time, in buffers that hold these rows, and
//! without a row overwritten that is still needed.

use super::memory::{apart, inputs, scratch};
use crate::error::{ModelError, StreamFault};
use crate::model::format::code;
use crate::model::header::Model;
use crate::model::stream::{PLACES, StreamIndex, StreamRecord};
use crate::op::Operator;
use crate::stream::{FRAME, LinkRecord, MAX_LINKS, Stream};
use core::ops::Range;

/// Most turns of all streams together, runs of this check over the same stream counted: a small
/// file may not keep a chip busy for long.
const MAX_TURNS: usize = 1 << 16;

fn fault(stream: &StreamRecord<'_>, what: StreamFault) -> ModelError {
    ModelError::Stream {
        layer: stream.at as u16,
        what,
    }
}

/// The records themselves: one behind the other, of layers in order, with fields that mean
/// something.
pub(super) fn records(model: &Model<'_>) -> Result<(), ModelError> {
    let (mut at, mut layer) = (0, 0);
    while at < model.streams_len() {
        let cut_off = ModelError::Stream {
            layer: layer as u16,
            what: StreamFault::Record,
        };
        let stream = model.stream_at(at).ok_or(cut_off)?;
        let links = stream.links().count();
        let (mut next, mut sound) = (0, true);
        for link in stream.links() {
            // Layers that run again, then all of at..end.
            sound &= link.layer >= next && (link.layer <= stream.at || link.layer == next);
            sound &= link.band > 0 && PLACES.contains(&link.replaces) && link.reserved == 0;
            next = link.layer + 1;
        }
        let own = stream.links().filter(|l| stream.has(l.layer)).count();
        if !sound
            || next != stream.end
            || stream.at < layer
            || stream.at >= stream.end
            || own != stream.end - stream.at
            || stream.end > model.layer_count()
            || links + usize::from(stream.frame_rows > 0) > MAX_LINKS
            || stream.frame_rows > 0 && stream.at > 0
            || stream.frame_rows > model.tensor(0).shape.h
        {
            return Err(fault(&stream, StreamFault::Record));
        }
        (at, layer) = (stream.next, stream.end);
    }
    Ok(())
}

/// Layers and buffers, and that every tensor is where its readers look for it.
#[inline(never)] // its memory is not the stack's for long
pub(super) fn layers(model: &Model<'_>, index: &StreamIndex) -> Result<(), ModelError> {
    let mut walk = Stream::default();
    for stream in model.streams() {
        let begun = walk.begin(model, &stream);
        begun.ok_or(fault(&stream, StreamFault::Record))?;
        let frame = usize::from(stream.frame_rows > 0);
        let last = walk.links().len() - 1;
        for (i, link) in stream.links().enumerate() {
            let k = i + frame;
            let Some(layer) = model.layer(link.layer) else {
                return Err(fault(&stream, StreamFault::Layer));
            };
            let mean = matches!(layer.operator, Operator::Mean(_));
            let streams = match layer.operator {
                Operator::Dense(_) | Operator::Softmax(_) => false,
                Operator::Mean(_) => k == last,
                _ => true,
            };
            if !streams {
                return Err(fault(&stream, StreamFault::Layer));
            }
            let sources = walk.sources(k);
            for (i, input) in [Some(layer.input), layer.second].into_iter().enumerate() {
                let Some(input) = input else { continue };
                let there = match sources[i] {
                    Some(_) => i == 0 || matches!(layer.operator, Operator::Add(_)),
                    None => input <= stream.at && !index.is_streamed(input),
                };
                if !there {
                    return Err(fault(&stream, StreamFault::Reads));
                }
            }
            if k < last && walk.reader_count(k) == 0 {
                return Err(fault(&stream, StreamFault::Reads));
            }
            let sound = if link.replaces > 0 {
                let owner = walk.owner(k).filter(|o| walk.link(*o).layer != FRAME);
                let input = usize::from(link.replaces - 1);
                let narrow = match layer.operator {
                    Operator::Depthwise(f) => f.output.c == f.input.c && f.output.w <= f.input.w,
                    _ => true,
                };
                let alone = owner.is_some_and(|o| walk.reader_count(o) == 1);
                let placeless = link.capacity == 0 && link.offset == 0;
                let works = narrow && layer.operator.works_in_place(input);
                k < last && alone && works && placeless
            } else {
                let kept = if k == last { 0 } else { 1 };
                (link.capacity > 0) == (kept > 0) && (k < last || mean || link.offset == 0)
            };
            let place = place(model, &stream, k);
            if !sound || place.end > model.arena_len() || !place.start.is_multiple_of(4) {
                return Err(fault(&stream, StreamFault::Buffer));
            }
        }
        if frame > 0 && walk.reader_count(0) == 0 {
            return Err(fault(&stream, StreamFault::Reads));
        }
        // Buffers keep off one another and off scratch memory.
        for k in 0..=last {
            let mine = place(model, &stream, k);
            let others = (0..k).all(|j| apart(&mine, &place(model, &stream, j)));
            let free = stream
                .links()
                .all(|l| apart(&mine, &scratch(model, l.layer)));
            if !others || !free {
                return Err(fault(&stream, StreamFault::Buffer));
            }
        }
    }
    // Layers that run alone find whole tensors.
    let mut streams = model.streams().peekable();
    for i in 0..model.layer_count() {
        while streams.next_if(|s| s.end <= i).is_some() {}
        let alone = streams.peek().is_some_and(|s| i < s.at) || streams.peek().is_none();
        let inputs = inputs(model, i).into_iter().flatten();
        if alone && inputs.into_iter().any(|t| index.is_streamed(t)) {
            return Err(ModelError::Stream {
                layer: i as u16,
                what: StreamFault::Reads,
            });
        }
    }
    Ok(())
}

/// Bytes of the arena that link `k` (the frame counted) keeps while its stream runs: rows, or a
/// mean's sums.
pub(super) fn place(model: &Model<'_>, stream: &StreamRecord<'_>, k: usize) -> Range<usize> {
    let row = |tensor: usize| {
        let shape = model.tensor(tensor).shape;
        shape.w * shape.c
    };
    let (offset, len) = match (stream.frame_rows, k) {
        (0, _) => link_place(model, stream, k, row),
        (rows, 0) => (model.tensor(0).offset, rows.saturating_mul(row(0))),
        _ => link_place(model, stream, k - 1, row),
    };
    offset..offset.saturating_add(len)
}

fn link_place(
    model: &Model<'_>,
    stream: &StreamRecord<'_>,
    i: usize,
    row: impl Fn(usize) -> usize,
) -> (usize, usize) {
    let Some(link) = stream.links().nth(i) else {
        return (0, 0);
    };
    let tensor = link.layer + 1;
    let mean = model
        .record(link.layer)
        .is_some_and(|r| r.operator == code::MEAN);
    let len = match link.capacity {
        0 if mean => row(tensor).saturating_mul(4),
        rows => rows.saturating_mul(row(tensor)),
    };
    (link.offset, len)
}

/// Ends of all places.
pub(super) fn ends<'a>(model: &'a Model<'a>) -> impl Iterator<Item = usize> + 'a {
    model.streams().flat_map(move |stream| {
        let links = stream.links().count() + usize::from(stream.frame_rows > 0);
        (0..links).map(move |k| place(model, &stream, k).end)
    })
}

/// Walks all streams to their ends: every row finds room, and none is lost that is still needed.
#[inline(never)] // as above
pub(super) fn turns(model: &Model<'_>, index: &StreamIndex) -> Result<(), ModelError> {
    let (mut left, mut walked) = (MAX_TURNS, Stream::default());
    for stream in model.streams() {
        let output = model.tensor(stream.end);
        let mut walk = |over: Option<usize>| {
            let begun = walked.begin(model, &stream);
            begun.ok_or(StreamFault::Record)?;
            self::walk(model, &mut walked, over, &mut left)
        };
        walk(None).map_err(|what| fault(&stream, what))?;
        for (k, link) in stream.links().enumerate() {
            for t in inputs(model, link.layer).into_iter().flatten() {
                let reads = |l: LinkRecord| inputs(model, l.layer).contains(&Some(t));
                let again = stream.links().take(k).any(reads);
                let whole = !index.is_streamed(t) && !again;
                if whole && !apart(&model.tensor(t).range(), &output.range()) {
                    walk(Some(t)).map_err(|what| fault(&stream, what))?;
                }
            }
        }
    }
    Ok(())
}

/// Walks a stream whose output may lie `over` a tensor that it reads.
fn walk(
    model: &Model<'_>,
    stream: &mut Stream,
    over: Option<usize>,
    left: &mut usize,
) -> Result<(), StreamFault> {
    let last = stream.links().len() - 1;
    while let Some((k, n)) = stream.next() {
        *left = left.checked_sub(1).ok_or(StreamFault::TooLong)?;
        let link = *stream.link(k);
        if let Some(owner) = stream.owner(k) {
            // Its rows begin where its input's do, and have found their reader before the next.
            let first = stream.first(k);
            let there = first >= stream.link(owner).base;
            let rows = stream.end(k, n) - first;
            if !there || rows < n as i32 || stream.low(k) < i32::from(link.made) {
                return Err(StreamFault::Rows);
            }
        } else if k < last && !stream.is_settled(k) {
            return Err(StreamFault::Rows);
        }
        stream.room(k, n);
        let placed = i32::from(link.made) + n as i32 - stream.link(k).base;
        if link.capacity > 0 && placed > i32::from(link.capacity) {
            return Err(StreamFault::Buffer);
        }
        let direct = direct(model, stream, k, over);
        stream.made(k, n);
        if let Some(t) = over.filter(|_| k == last) {
            let written = stream.address(k, i32::from(stream.link(k).made));
            if !direct || written > unread(model, stream, t) {
                return Err(StreamFault::Rows);
            }
        }
    }
    Ok(())
}

/// Whether link `k` reads tensor `over` not at all, or as an addition that takes its place.
fn direct(model: &Model<'_>, stream: &Stream, k: usize, over: Option<usize>) -> bool {
    let Some((t, layer)) = over.zip(model.layer(usize::from(stream.link(k).layer))) else {
        return true;
    };
    let (from, to) = (model.tensor(t), model.tensor(layer.output));
    let takes = match layer.operator {
        Operator::Depthwise(_) => false,
        _ => layer.may_replace(t),
    };
    !layer.reads(t) || takes && from.offset == to.offset && from.shape == to.shape
}

/// First byte of tensor `t` that a link still reads; its end where none does.
fn unread(model: &Model<'_>, stream: &Stream, t: usize) -> usize {
    let tensor = model.tensor(t);
    let row = tensor.shape.w * tensor.shape.c;
    let mut first = tensor.shape.h;
    for (k, link) in stream.links().iter().enumerate() {
        let reads = model
            .layer(usize::from(link.layer))
            .is_some_and(|layer| layer.reads(t));
        if reads && link.made < link.rows {
            first = first.min(stream.first(k).max(0) as usize);
        }
    }
    tensor.offset + first * row
}
